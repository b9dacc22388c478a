// Growing Arrow buffers: numbers, bits, texts with their offsets, and dictionaries of texts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_export.hpp"
#include "json.hpp"
#define XXH_INLINE_ALL
#include "xxhash/xxhash.h"

namespace whence::arrow {

// Bytes that nobody cleared, aligned as Arrow wants them. Never null, not even when empty.
class Memory {
 public:
  Memory() { grow(0, kAlignment); }

  char* data() const { return bytes_.get(); }
  std::size_t capacity() const { return capacity_; }

  // Room for `wanted` bytes, of which the first `used` are kept.
  void need(std::size_t used, std::size_t wanted) {
    if (wanted > capacity_) [[unlikely]] grow(used, wanted);
  }
  // The same for a size that is known, or guessed well.
  void reserve(std::size_t used, std::size_t wanted) {
    if (wanted > capacity_) replace(used, wanted);
  }

 private:
  static constexpr std::size_t kAlignment = 64;

  [[gnu::noinline]] void grow(std::size_t used, std::size_t wanted) {
    replace(used, std::max(wanted, capacity_ * 2));
  }

  void replace(std::size_t used, std::size_t wanted) {
    const std::size_t bytes = (wanted + kAlignment - 1) / kAlignment * kAlignment;
    auto* bigger = static_cast<char*>(std::aligned_alloc(kAlignment, bytes));
    if (bigger == nullptr) throw std::bad_alloc();
    if (used > 0) std::memcpy(bigger, bytes_.get(), used);
    bytes_.reset(bigger);
    capacity_ = bytes;
  }

  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<char, Free> bytes_;
  std::size_t capacity_ = 0;
};

template <class T>
class Numbers {
 public:
  void reserve(std::size_t count) { memory_.reserve(bytes(), count * sizeof(T)); }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return size_ * sizeof(T); }

  void push(T value) {
    memory_.need(bytes(), bytes() + sizeof(T));
    reinterpret_cast<T*>(memory_.data())[size_++] = value;
  }

  Array array() const { return {static_cast<std::int64_t>(size_), 0, {nullptr, memory_.data()}, {}, nullptr}; }
  const void* data() const { return memory_.data(); }

 private:
  Memory memory_;
  std::size_t size_ = 0;
};

class Bits {
 public:
  void reserve(std::size_t count) { memory_.reserve(bytes(), count / 8 + 1); }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return (size_ + 7) / 8; }
  std::size_t zeros() const { return size_ - ones_; }

  void push(bool bit) {
    const std::size_t at = size_ / 8;
    memory_.need(bytes(), at + 1);
    char& byte = memory_.data()[at];
    if (size_ % 8 == 0) byte = 0;
    byte = static_cast<char>(static_cast<unsigned char>(byte) | unsigned{bit} << size_ % 8);
    ones_ += bit;
    ++size_;
  }

  Array array() const { return {static_cast<std::int64_t>(size_), 0, {nullptr, memory_.data()}, {}, nullptr}; }
  const void* data() const { return memory_.data(); }

 private:
  Memory memory_;
  std::size_t size_ = 0;
  std::size_t ones_ = 0;
};

// Is every byte ASCII?
inline bool is_ascii(std::string_view text) {
  constexpr std::uint64_t kHighs = 0x8080808080808080ull;
  const char* at = text.data();
  std::size_t left = text.size();
  std::uint64_t seen = 0;
  std::uint64_t word = 0;
  for (; left >= 8; at += 8, left -= 8) {
    std::memcpy(&word, at, 8);
    seen |= word;
  }
  for (; left > 0; ++at, --left) seen |= static_cast<unsigned char>(*at);
  return (seen & kHighs) == 0;
}

inline bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = whence::detail::utf8_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

// What is not UTF-8, in a damaged file, becomes U+FFFD, byte for byte as in JSON.
[[gnu::noinline]] inline std::string repaired(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = whence::detail::utf8_length(text, at);
    if (length > 0)
      out += text.substr(at, length);
    else
      out += "\xef\xbf\xbd";
    at += std::max<std::size_t>(length, 1);
  }
  return out;
}

inline bool is_text(std::string_view text) { return is_ascii(text) || is_utf8(text); }

// UTF-8 with 32-bit offsets.
class Texts {
 public:
  Texts() { offsets_.push(0); }

  void reserve(std::size_t count) { offsets_.reserve(count + 1); }
  void reserve_bytes(std::size_t bytes) { data_.reserve(used_, bytes); }
  std::size_t size() const { return offsets_.size() - 1; }
  std::size_t text_bytes() const { return used_; }
  std::size_t bytes() const { return used_ + offsets_.bytes(); }

  void push(std::string_view text) {
    if (is_text(text)) [[likely]]
      push_valid(text);
    else
      push_valid(repaired(text));
  }

  // Of what is known to be UTF-8.
  void push_valid(std::string_view text) {
    const std::size_t end = used_ + text.size();
    if (end > kMostBytes) throw std::length_error("texts of a column exceed 32-bit offsets");
    data_.need(used_, end);
    TextOut::copy(data_.data() + used_, text);
    used_ = end;
    offsets_.push(static_cast<std::int32_t>(end));
  }

  std::string_view operator[](std::size_t at) const {
    const auto* offsets = static_cast<const std::int32_t*>(offsets_.data());
    return {data_.data() + offsets[at], static_cast<std::size_t>(offsets[at + 1] - offsets[at])};
  }

  Array array() const {
    return {static_cast<std::int64_t>(size()), 0, {nullptr, offsets_.data(), data_.data()}, {}, nullptr};
  }

 private:
  static constexpr std::size_t kMostBytes = std::numeric_limits<std::int32_t>::max();

  Memory data_;
  Numbers<std::int32_t> offsets_;
  std::size_t used_ = 0;
};

// Texts of which some, as a rule most, are null.
class SparseTexts {
 public:
  void reserve(std::size_t count) {
    texts_.reserve(count);
    present_.reserve(count);
  }
  void reserve_bytes(std::size_t bytes) { texts_.reserve_bytes(bytes); }
  std::size_t text_bytes() const { return texts_.text_bytes(); }
  std::size_t bytes() const { return texts_.bytes() + present_.bytes(); }

  // An empty text is null.
  void push(std::string_view text) {
    present_.push(!text.empty());
    if (text.empty())
      texts_.push_valid(text);
    else
      texts_.push(text);
  }

  Array array() const {
    Array out = texts_.array();
    out.null_count = static_cast<std::int64_t>(present_.zeros());
    if (out.null_count > 0) out.buffers[0] = present_.data();
    return out;
  }

 private:
  Texts texts_;
  Bits present_;
};

// Different texts, each with its number.
class Dictionary {
 public:
  Dictionary() : table_(64) {}

  std::size_t bytes() const { return texts_.bytes() + table_.size() * sizeof(Place); }
  Array array() const { return texts_.array(); }

  std::int32_t number(std::string_view text) {
    if (!is_text(text)) [[unlikely]] return number_of_valid(repaired(text));
    return number_of_valid(text);
  }

 private:
  struct Place {
    std::uint32_t hash = 0;
    std::int32_t number = -1;  // none
  };

  std::int32_t number_of_valid(std::string_view text) {
    const auto hash = static_cast<std::uint32_t>(XXH3_64bits(text.data(), text.size()));
    Place& place = find(hash, text);
    if (place.number >= 0) [[likely]] return place.number;
    const auto number = static_cast<std::int32_t>(texts_.size());
    texts_.push_valid(text);
    place = {hash, number};
    if (texts_.size() * 2 > table_.size()) enlarge();
    return number;
  }

  Place& find(std::uint32_t hash, std::string_view text) {
    const std::size_t mask = table_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
      Place& place = table_[at];
      if (place.number < 0) return place;
      if (place.hash == hash && texts_[static_cast<std::size_t>(place.number)] == text) return place;
    }
  }

  void enlarge() {
    std::vector<Place> bigger(table_.size() * 2);
    const std::size_t mask = bigger.size() - 1;
    for (const Place& place : table_) {
      if (place.number < 0) continue;
      std::size_t at = place.hash & mask;
      while (bigger[at].number >= 0) at = (at + 1) & mask;
      bigger[at] = place;
    }
    table_.swap(bigger);
  }

  Texts texts_;
  std::vector<Place> table_;  // a power of two, at least half of it free
};

}  // namespace whence::arrow
