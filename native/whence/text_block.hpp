// Builds an event's text block: what does not fit its slot, within the event's limit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "layout.hpp"

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

  // Text that may be cut, to `most` bytes or what there is room for. What was left out is noted
  // with its whole length.
  void text(Entry entry, std::uint8_t index, std::string_view text, std::size_t most = kMaxEventTextBytes) {
    const std::size_t kept = cut_at_code_point(text, std::min(most, room_for_payload()));
    if (kept > 0) put(entry, index, text.data(), kept);
    if (kept < text.size()) note_truncated(entry, text.size());
  }

  // Bytes that make sense only whole.
  void whole(Entry entry, std::uint8_t index, const void* data, std::size_t bytes) {
    if (bytes > room_for_payload())
      note_truncated(entry, bytes);
    else
      put(entry, index, data, bytes);
  }

  // Pads to the words the ring stores; returns the block's length. The writer fills the header.
  std::size_t finish() {
    const std::size_t end = (used_ + 7) / 8 * 8;
    std::memset(at_ + used_, 0, end - used_);
    return end;
  }

 private:
  // Two notes of truncation (20 bytes each) must always find room.
  static constexpr std::size_t kKeptForNotes = 2 * (kEntryHeaderBytes + 8) + 8;

  std::size_t room_for_payload() const {
    const std::size_t taken = used_ + kEntryHeaderBytes + kKeptForNotes;
    return taken < limit_ ? limit_ - taken : 0;
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
