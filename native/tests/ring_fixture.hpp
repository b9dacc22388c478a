// A ring in plain memory, and events whose every word and byte of text follow from one number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "whence/ring_reader.hpp"
#include "whence/ring_writer.hpp"
#include "whence/session_files.hpp"

namespace whence::testing {

// One mapping that writer and readers share: race detectors see through no second one.
class TestRing {
 public:
  TestRing(std::uint64_t capacity, std::uint64_t text_bytes)
      : region_(anonymous_region(ring_file_bytes(capacity, text_bytes))),
        writer_(std::make_unique<RingWriter>()) {
    fill_ring(region_.base, SessionIdentity{}, 0, capacity, text_bytes, false);
    writer_->attach(region_.base, capacity, text_bytes);
  }
  ~TestRing() { munmap(region_.base, region_.bytes); }
  TestRing(const TestRing&) = delete;
  TestRing& operator=(const TestRing&) = delete;

  RingWriter& writer() { return *writer_; }
  std::byte* base() const { return region_.base; }
  std::size_t bytes() const { return region_.bytes; }
  RingFault fault() const {
    RingHeader header{};
    return RingView::check(region_.base, region_.bytes, header);
  }
  RingView view() const {
    RingHeader header{};
    RingView::check(region_.base, region_.bytes, header);
    return RingView(region_.base, header);
  }

 private:
  Region region_;
  std::unique_ptr<RingWriter> writer_;
};

inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;  // splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

constexpr std::uint64_t kKinds = 3;
inline std::uint16_t kind_of(std::uint64_t number) {
  return static_cast<std::uint16_t>(1 + number % kKinds);
}

// The event of `number`. Word 5 is the number itself, so that a reader need not trust the ticket.
inline SlotImage image_of(std::uint64_t number, bool has_text) {
  SlotImage image;
  for (std::size_t i = 1; i < kSlotWords; ++i) image.words[i] = mix(number * 8 + i);
  image.words[kTagWord] = kind_of(number) | (has_text ? kTagText : 0) |
                          (mix(number) >> kTagThresholdShift) << kTagThresholdShift;
  image.words[kFieldWord] = number;
  return image;
}

// `words` words of text, the blank header included.
inline void fill_text(std::uint64_t number, std::size_t words, std::vector<std::uint64_t>& text) {
  text.assign(words, 0);
  for (std::size_t i = 1; i < words; ++i) text[i] = mix(~number * 0x10001 + i);
}

inline bool write_event(RingWriter& writer, std::uint64_t number, std::size_t text_words,
                        std::vector<std::uint64_t>& scratch) {
  SlotImage image = image_of(number, text_words > 0);
  if (text_words == 0) return writer.write(image);
  fill_text(number, text_words, scratch);
  return writer.write(image, reinterpret_cast<const std::byte*>(scratch.data()), text_words * 8);
}

inline std::uint64_t number_of(const RawEvent& event) { return event.words[kFieldWord]; }

// Is every word, and the text if it is there, what one write_event(number, text_words) stored?
inline bool is_whole(const RawEvent& event, std::uint64_t number, std::size_t text_words) {
  const SlotImage expected = image_of(number, text_words > 0);
  const std::size_t compared = text_words > 0 ? kTextWord : kSlotWords;
  for (std::size_t i = 1; i < compared; ++i)
    if (event.words[i] != expected.words[i]) return false;
  if (text_words == 0) return event.text_state == TextState::None;
  if (event.text_state == TextState::Lost) return event.text == nullptr && event.text_bytes == 0;
  if (event.text_state != TextState::Whole) return false;
  if (event.text_bytes != (text_words - 1) * 8) return false;
  for (std::size_t i = 1; i < text_words; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, event.text + (i - 1) * 8, 8);
    if (word != mix(~number * 0x10001 + i)) return false;
  }
  return true;
}

// Recorded calls of one kind, by the ring's counter rows.
inline std::uint64_t counted(const RingView& view, std::uint16_t kind, Count what) {
  for (std::uint32_t row = 0; row < kRowCount; ++row)
    if (view.row_kind(row) == kind) return view.count(row, what);
  return 0;
}
inline std::uint64_t recorded(const RingView& view) {
  std::uint64_t sum = 0;
  for (std::uint32_t row = 0; row < kRowCount; ++row) sum += view.count(row, kRecorded);
  return sum;
}

}  // namespace whence::testing
