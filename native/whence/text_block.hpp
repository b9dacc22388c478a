// Builds an event's text block: what does not fit its slot, within the event's limit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "layout.hpp"
#include "session_files.hpp"
#define XXH_INLINE_ALL
#include "xxhash/xxhash.h"

namespace whence {

// The least text ring: a quarter of it is an event's limit, and must hold the largest field image.
constexpr std::uint64_t kMinTextBytes = 4096;
static_assert(kMinTextBytes / 4 >= kTextHeaderBytes + kMaxImageBytes + 64);

// The longest prefix of `text` of at most `most` bytes that ends between two code points.
inline std::size_t cut_at_code_point(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text.size();
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  return most;
}

class TextBlock {
 public:
  // `scratch` has `limit` bytes; `limit` is a multiple of 8 and at least 64.
  TextBlock(std::byte* scratch, std::size_t limit) : at_(scratch), limit_(limit) {}

  bool truncated() const { return truncated_; }
  const std::byte* data() const { return at_; }

  // The part of the field image that the slot has no room for.
  void image_rest(const std::byte* image, std::size_t image_bytes) {
    if (image_bytes <= kFieldBytesWithText) return;
    const std::size_t rest = image_bytes - kFieldBytesWithText;
    std::memcpy(at_ + used_, image + kFieldBytesWithText, rest);
    used_ += rest;
  }

  // Text that may be cut. What was left out is noted with its whole length.
  void text(Entry entry, std::uint8_t index, std::string_view text) {
    text_up_to(room_for_payload(), entry, index, text);
  }

  // The same for text that `rest()` more bytes follow: it leaves them their room, if need be half.
  template <class Rest>
  void text_before(Rest&& rest, Entry entry, std::uint8_t index, std::string_view text) {
    text_up_to(share(rest, text.size()), entry, index, text);
  }

  // How much of `wanted` bytes to take when `rest()` more follow.
  template <class Rest>
  std::size_t share(Rest&& rest, std::size_t wanted) const {
    const std::size_t room = room_for_payload();
    if (wanted <= room / 2) return wanted;
    const std::size_t after = rest();
    if (wanted + after <= room) return wanted;
    return after == 0 ? room : std::max(room / 2, room - std::min(room, after + kNoteBytes));
  }

  // An id, or where it has no room its beginning and the hash of all of it: two ids that only begin
  // alike must not become one.
  void id(Entry entry, std::uint8_t index, std::string_view text) {
    if (text.size() <= room_for_payload()) {
      put(entry, index, text.data(), text.size());
      return;
    }
    static const std::uint64_t seed = random_u64();  // so that nobody can make two that meet
    const XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), text.size(), seed);
    char cut[kIdBeginningBytes + 40];
    const std::size_t kept = cut_at_code_point(text, kIdBeginningBytes);
    std::memcpy(cut, text.data(), kept);
    const int more = std::snprintf(cut + kept, sizeof cut - kept, "~%016llx%016llx",
                                   static_cast<unsigned long long>(hash.high64),
                                   static_cast<unsigned long long>(hash.low64));
    whole(entry, index, cut, kept + static_cast<std::size_t>(more));
    note_truncated(entry, text.size());
  }

  // Bytes that make sense only whole.
  void whole(Entry entry, std::uint8_t index, const void* data, std::size_t bytes) {
    if (bytes > room_for_payload())
      note_truncated(entry, bytes);
    else
      put(entry, index, data, bytes);
  }

  // What was too large to be put at all.
  void left_out(Entry entry, std::size_t bytes) { note_truncated(entry, bytes); }

  // Pads to the words the ring stores; returns the block's length. The writer fills the header.
  std::size_t finish() {
    const std::size_t end = (used_ + 7) / 8 * 8;
    std::memset(at_ + used_, 0, end - used_);
    return end;
  }

 private:
  static constexpr std::size_t kIdBeginningBytes = 64;
  // Two notes of truncation must always find room.
  static constexpr std::size_t kNoteBytes = kEntryHeaderBytes + 8;
  static constexpr std::size_t kKeptForNotes = 2 * kNoteBytes + 8;

  std::size_t room_for_payload() const {
    const std::size_t taken = used_ + kEntryHeaderBytes + kKeptForNotes;
    return taken < limit_ ? limit_ - taken : 0;
  }

  void text_up_to(std::size_t most, Entry entry, std::uint8_t index, std::string_view text) {
    const std::size_t kept = cut_at_code_point(text, most);
    if (kept > 0) put(entry, index, text.data(), kept);
    if (kept < text.size()) note_truncated(entry, text.size());
  }

  void put(Entry entry, std::uint8_t index, const void* data, std::size_t bytes) {
    const auto length = static_cast<std::uint32_t>(bytes);
    at_[used_] = static_cast<std::byte>(entry);
    at_[used_ + 1] = static_cast<std::byte>(index);
    std::memcpy(at_ + used_ + 2, &length, sizeof length);
    if (bytes > 0) std::memcpy(at_ + used_ + kEntryHeaderBytes, data, bytes);
    used_ += kEntryHeaderBytes + bytes;
  }

  void note_truncated(Entry entry, std::size_t bytes) {
    truncated_ = true;
    const std::uint64_t length = bytes;
    if (notes_ < 2 && used_ + kEntryHeaderBytes + 8 <= limit_) {
      ++notes_;
      put(Entry::Truncated, static_cast<std::uint8_t>(entry), &length, sizeof length);
    }
  }

  std::byte* at_;
  std::size_t limit_;
  std::size_t used_ = kTextHeaderBytes;
  unsigned notes_ = 0;
  bool truncated_ = false;
};

}  // namespace whence
