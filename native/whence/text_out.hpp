// Text under construction: appends of a few bytes each, quicker than std::string's.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace whence {

class TextOut {
 public:
  TextOut() = default;

  std::string_view view() const { return {begin_.get(), size()}; }
  std::size_t size() const { return static_cast<std::size_t>(at_ - begin_.get()); }
  bool empty() const { return size() == 0; }
  void clear() { at_ = begin_.get(); }
  // Empty, and of memory no more is kept than that.
  void clear_down_to(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - begin_.get()) > bytes) *this = TextOut();
    clear();
  }

  void put(char c) {
    make_room(1);
    *at_++ = c;
  }

  // A literal's length is known when the compiler sees it, so the copy becomes a few moves.
  template <std::size_t N>
  void put(const char (&literal)[N]) {
    make_room(N);
    std::memcpy(at_, literal, N - 1);
    at_ += N - 1;
  }

  void put(std::string_view text) {
    make_room(text.size());
    copy(at_, text.data(), text.size());
    at_ += text.size();
  }

  template <class Int>
  void put_int(Int value) {
    make_room(24);
    at_ = std::to_chars(at_, at_ + 24, value).ptr;
  }

  void put_zeros(std::size_t count) {
    make_room(count);
    std::memset(at_, '0', count);
    at_ += count;
  }

  // The text copied to a place with room for it; the place behind it.
  static char* copy(char* to, std::string_view text) {
    copy(to, text.data(), text.size());
    return to + text.size();
  }

  // What lies from `at` on moves to `to`, which is before it; the text ends there.
  void close_gap(std::size_t to, std::size_t at) {
    const std::size_t moved = size() - at;
    std::memmove(begin_.get() + to, begin_.get() + at, moved);
    at_ = begin_.get() + to + moved;
  }
  void cut(std::size_t size) { at_ = begin_.get() + size; }
  char* at(std::size_t place) { return begin_.get() + place; }

  // `count` bytes for the caller to fill.
  char* extend(std::size_t count) {
    make_room(count);
    char* place = at_;
    at_ += count;
    return place;
  }

 private:
  // Most pieces are short: two overlapping moves beat a call.
  static void copy(char* to, const char* from, std::size_t bytes) {
    if (bytes > 32) {
      std::memcpy(to, from, bytes);
    } else if (bytes >= 16) {
      copy_both_ends<16>(to, from, bytes);
    } else if (bytes >= 8) {
      copy_both_ends<8>(to, from, bytes);
    } else if (bytes >= 4) {
      copy_both_ends<4>(to, from, bytes);
    } else {
      for (std::size_t i = 0; i < bytes; ++i) to[i] = from[i];
    }
  }
  template <std::size_t N>
  static void copy_both_ends(char* to, const char* from, std::size_t bytes) {
    char head[N];
    char tail[N];
    std::memcpy(head, from, N);
    std::memcpy(tail, from + bytes - N, N);
    std::memcpy(to, head, N);
    std::memcpy(to + bytes - N, tail, N);
  }

  void make_room(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - at_) < bytes) [[unlikely]] grow(bytes);
  }

  [[gnu::noinline]] void grow(std::size_t bytes) {
    const std::size_t used = size();
    const std::size_t wanted = std::max<std::size_t>((used + bytes) * 2, 256);
    auto bigger = std::make_unique_for_overwrite<char[]>(wanted);
    if (used > 0) std::memcpy(bigger.get(), begin_.get(), used);
    begin_ = std::move(bigger);
    at_ = begin_.get() + used;
    end_ = begin_.get() + wanted;
  }

  std::unique_ptr<char[]> begin_;
  char* at_ = nullptr;
  char* end_ = nullptr;
};

}  // namespace whence
