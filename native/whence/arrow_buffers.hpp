// Growing Arrow buffers: numbers, bits, texts with their offsets, and dictionaries of texts.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
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

// Bytes that nobody cleared. Large ones come in huge pages: small ones would be faulted in one by
// one, which takes as long as filling them.
class Block {
 public:
  Block() = default;
  explicit Block(std::size_t bytes) : bytes_(static_cast<char*>(operator new(bytes, kAlignment))) {
#ifdef MADV_HUGEPAGE
    constexpr std::size_t kPage = 4096;
    constexpr std::size_t kLarge = 4 << 20;
    const auto past = reinterpret_cast<std::uintptr_t>(bytes_.get()) % kPage;
    if (bytes >= kLarge) madvise(bytes_.get() + (kPage - past) % kPage, bytes - kPage, MADV_HUGEPAGE);
#endif
  }

  char* get() const { return bytes_.get(); }

  // As Arrow wants it.
  static std::size_t rounded(std::size_t bytes) { return (bytes + kStep - 1) / kStep * kStep; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  static constexpr std::size_t kStep = 64;

  struct Free {
    void operator()(char* bytes) const { operator delete(bytes, kAlignment); }
  };
  std::unique_ptr<char, Free> bytes_;
};

// Things one after the other. Their place is never null, not even when there are none.
template <class T>
class Memory {
 public:
  Memory() { resize(1); }

  T* data() const { return begin_; }
  std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
  std::size_t capacity() const { return static_cast<std::size_t>(limit_ - begin_); }

  void push(T thing) {
    if (end_ == limit_) [[unlikely]] resize(capacity() * 2);
    *end_++ = thing;
  }

  // Room for `count` more, which the caller fills; their place.
  T* extend(std::size_t count) {
    if (static_cast<std::size_t>(limit_ - end_) < count) [[unlikely]]
      resize(std::max(size() + count, capacity() * 2));
    T* const place = end_;
    end_ += count;
    return place;
  }

  void shrink(std::size_t count) { end_ = begin_ + count; }

  // `seen` rows of `rows` are in: room for what they let expect, and some more.
  void expect(std::size_t seen, std::size_t rows) {
    const std::size_t count = size() / seen * rows + size() % seen * rows / seen + size() / 4;
    if (count > capacity()) resize(count);
  }

  // Goes on in a place for `count` that somebody else keeps.
  void move_to(char* place, std::size_t count) {
    const std::size_t used = size();
    std::memcpy(place, begin_, used * sizeof(T));
    settle(reinterpret_cast<T*>(place), used, count);
    own_ = Block();
  }

 private:
  [[gnu::noinline]] void resize(std::size_t capacity) {
    const std::size_t used = size();
    const std::size_t bytes = Block::rounded(capacity * sizeof(T));
    Block bigger(bytes);
    if (used > 0) std::memcpy(bigger.get(), begin_, used * sizeof(T));
    settle(reinterpret_cast<T*>(bigger.get()), used, bytes / sizeof(T));
    own_ = std::move(bigger);
  }

  void settle(T* begin, std::size_t used, std::size_t capacity) {
    begin_ = begin;
    end_ = begin + used;
    limit_ = begin + capacity;
  }

  Block own_;  // empty while somebody else keeps the things
  T* begin_ = nullptr;
  T* end_ = nullptr;
  T* limit_ = nullptr;
};

// One block for the columns of which each row has one thing. First they are asked what they need.
class Room {
 public:
  template <class T>
  void operator()(Memory<T>& memory, std::size_t count) {
    const std::size_t bytes = Block::rounded(count * sizeof(T));
    if (block_.get() != nullptr) memory.move_to(block_.get() + used_, bytes / sizeof(T));
    used_ += bytes;
  }

  void allocate() {
    block_ = Block(std::max<std::size_t>(used_, 1));
    used_ = 0;
  }

 private:
  Block block_;
  std::size_t used_ = 0;
};

template <class T>
class Numbers {
 public:
  void ask(Room& room, std::size_t count) { room(values_, count); }
  void expect(std::size_t seen, std::size_t rows) { values_.expect(seen, rows); }
  std::size_t size() const { return values_.size(); }
  std::size_t bytes() const { return size() * sizeof(T); }
  const T* data() const { return values_.data(); }
  void push(T value) { values_.push(value); }

  Array array() const { return {static_cast<std::int64_t>(size()), 0, {nullptr, data()}, {}, nullptr}; }

 private:
  Memory<T> values_;
};

class Bits {
 public:
  void ask(Room& room, std::size_t count) { room(bytes_, count / 8 + 1); }
  void expect(std::size_t seen, std::size_t rows) { bytes_.expect(seen, rows); }
  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_.size(); }
  std::size_t zeros() const { return size_ - ones_; }
  const unsigned char* data() const { return bytes_.data(); }

  void push(bool bit) {
    if (size_ % 8 == 0) bytes_.push(0);
    if (bit) {
      bytes_.data()[size_ / 8] |= static_cast<unsigned char>(1u << size_ % 8);
      ++ones_;
    }
    ++size_;
  }

  Array array() const { return {static_cast<std::int64_t>(size_), 0, {nullptr, data()}, {}, nullptr}; }

 private:
  Memory<unsigned char> bytes_;
  std::size_t size_ = 0;
  std::size_t ones_ = 0;
};

namespace detail {

template <class Word>
std::uint64_t copy_word(char* to, const char* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  std::memcpy(to, &word, sizeof word);
  return word;
}

}  // namespace detail

// Copies the text; is every byte of it ASCII?
inline bool copy_ascii(char* to, std::string_view text) {
  using detail::copy_word;
  const char* from = text.data();
  const std::size_t bytes = text.size();
  std::uint64_t seen = 0;
  if (bytes >= 8) {
    std::size_t at = 0;
    for (; at + 16 <= bytes; at += 16)
      seen |= copy_word<std::uint64_t>(to + at, from + at) | copy_word<std::uint64_t>(to + at + 8, from + at + 8);
    if (at + 8 < bytes) seen |= copy_word<std::uint64_t>(to + at, from + at);
    seen |= copy_word<std::uint64_t>(to + bytes - 8, from + bytes - 8);  // overlaps what was copied
  } else if (bytes >= 4) {
    seen = copy_word<std::uint32_t>(to, from) | copy_word<std::uint32_t>(to + bytes - 4, from + bytes - 4);
  } else {
    for (std::size_t at = 0; at < bytes; ++at) seen |= static_cast<unsigned char>(to[at] = from[at]);
  }
  return (seen & 0x8080808080808080ull) == 0;
}

inline bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (std::uint64_t word; at + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if ((word & 0x8080808080808080ull) == 0) {  // eight letters at a time, as a rule
        at += sizeof word;
        continue;
      }
    }
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

// UTF-8 with 32-bit offsets.
class Texts {
 public:
  Texts() { offsets_.push(0); }

  void ask(Room& room, std::size_t count) { offsets_.ask(room, count + 1); }
  void expect(std::size_t seen, std::size_t rows) {
    data_.expect(seen, rows);
    if (offsets_.size() > seen + 1) offsets_.expect(seen, rows);  // several to a row
  }
  std::size_t size() const { return offsets_.size() - 1; }
  std::size_t text_bytes() const { return data_.size(); }
  std::size_t bytes() const { return text_bytes() + offsets_.bytes(); }

  void push(std::string_view text) {
    const std::size_t before = text_bytes();
    if (!copy_ascii(room_for(text.size()), text) && !is_utf8(text)) [[unlikely]] {
      data_.shrink(before);
      const std::string better = repaired(text);
      copy_ascii(room_for(better.size()), better);
    }
    push_empty();
  }
  void push_empty() { offsets_.push(static_cast<std::int32_t>(text_bytes())); }

  std::string_view operator[](std::size_t at) const {
    const std::int32_t* ends = offsets_.data() + at;
    return {data_.data() + ends[0], static_cast<std::size_t>(ends[1] - ends[0])};
  }

  Array array() const {
    return {static_cast<std::int64_t>(size()), 0, {nullptr, offsets_.data(), data_.data()}, {}, nullptr};
  }

 private:
  static constexpr std::size_t kMostBytes = std::numeric_limits<std::int32_t>::max();

  char* room_for(std::size_t bytes) {
    if (bytes > kMostBytes - text_bytes()) [[unlikely]]
      throw std::length_error("the texts of a column exceed 32-bit offsets");
    return data_.extend(bytes);
  }

  Memory<char> data_;
  Numbers<std::int32_t> offsets_;
};

// Texts of which some, as a rule most, are null.
class SparseTexts {
 public:
  void ask(Room& room, std::size_t count) {
    texts_.ask(room, count);
    present_.ask(room, count);
  }
  void expect(std::size_t seen, std::size_t rows) { texts_.expect(seen, rows); }
  std::size_t text_bytes() const { return texts_.text_bytes(); }
  std::size_t bytes() const { return texts_.bytes() + present_.bytes(); }

  // An empty text is null.
  void push(std::string_view text) {
    present_.push(!text.empty());
    if (text.empty()) [[likely]]
      texts_.push_empty();
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

  // Of a text that stays where it is as long as this dictionary grows.
  std::int32_t number_of_kept(std::string_view text) {
    const auto address = reinterpret_cast<std::uintptr_t>(text.data());
    Recent& recent = recent_[(address >> 3 ^ address >> 9) % recent_.size()];
    if (recent.text.data() != text.data() || recent.text.size() != text.size() || recent.number < 0)
      recent = {text, number(text)};
    return recent.number;
  }

  std::int32_t number(std::string_view text) {
    if (!is_utf8(text)) [[unlikely]] return number_of_valid(repaired(text));
    return number_of_valid(text);
  }

 private:
  struct Place {
    std::uint32_t hash = 0;
    std::int32_t number = -1;  // none
  };
  struct Recent {
    std::string_view text;
    std::int32_t number = -1;
  };

  std::int32_t number_of_valid(std::string_view text) {
    const auto hash = static_cast<std::uint32_t>(XXH3_64bits(text.data(), text.size()));
    Place& place = find(hash, text);
    if (place.number >= 0) [[likely]] return place.number;
    const auto number = static_cast<std::int32_t>(texts_.size());
    texts_.push(text);
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
  std::array<Recent, 64> recent_;
};

}  // namespace whence::arrow
