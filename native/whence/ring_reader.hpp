// The one place that loads slots: a reader's cursor over a ring that may be written meanwhile.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "crc32.hpp"
#include "layout.hpp"

namespace whence {

using ConstWord = const std::atomic<std::uint64_t>;

enum class RingFault { None, TooShort, Foreign, Endian, NewerMajor, Corrupt, NotReady };

// A ring file in memory, checked. Never trusts a length that the file does not have.
class RingView {
 public:
  static RingFault check(const std::byte* base, std::size_t bytes, RingHeader& header) {
    if (bytes < kRingHeaderBytes) return RingFault::TooShort;
    std::memcpy(&header, base, sizeof header);
    if (std::memcmp(header.magic, kRingMagic, sizeof kRingMagic) != 0) return RingFault::Foreign;
    if (header.endian != kEndianMark) return RingFault::Endian;
    if (header.major != kFormatMajor) return RingFault::NewerMajor;
    const auto* ready = reinterpret_cast<const std::atomic<std::uint32_t>*>(
        base + offsetof(RingHeader, ready));
    if (ready->load(std::memory_order_acquire) != 1) return RingFault::NotReady;
    if (header.crc != crc32(&header, offsetof(RingHeader, crc))) return RingFault::Corrupt;
    const bool sane = header.slot_bytes == kSlotBytes && header.capacity > 0 &&
                      header.capacity <= (1ull << 32) && header.text_bytes % 8 == 0 &&
                      header.text_bytes >= 8 && header.text_bytes <= (1ull << 40) &&
                      header.slots_offset == kRingHeaderBytes &&
                      header.text_offset == text_offset_of(header.capacity) &&
                      header.row_count == kRowCount && header.owner_count == kOwnerCount;
    if (!sane) return RingFault::Corrupt;
    if (bytes < ring_file_bytes(header.capacity, header.text_bytes)) return RingFault::TooShort;
    return RingFault::None;
  }

  RingView() = default;
  RingView(const std::byte* base, const RingHeader& header)
      : base_(base), capacity_(header.capacity), text_words_(header.text_bytes / 8) {}

  std::uint64_t capacity() const { return capacity_; }
  std::uint64_t text_words() const { return text_words_; }
  ConstWord* slot(std::uint64_t index) const {
    return reinterpret_cast<ConstWord*>(base_ + kRingHeaderBytes) + index * kSlotWords;
  }
  ConstWord& text_word(std::uint64_t index) const {
    return reinterpret_cast<ConstWord*>(base_ + text_offset_of(capacity_))[index];
  }
  std::uint64_t owner_word(OwnerWord word) const {
    return reinterpret_cast<ConstWord*>(base_)[word].load(std::memory_order_acquire);
  }
  ConstWord& text_intent() const { return reinterpret_cast<ConstWord*>(base_)[kTextIntentWord]; }
  std::uint16_t row_kind(std::uint32_t row) const {
    return reinterpret_cast<const std::atomic<std::uint16_t>*>(base_ + kRowKindsOffset)[row].load(
        std::memory_order_acquire);
  }
  std::uint64_t count(std::uint32_t row, Count what) const {
    return reinterpret_cast<ConstWord*>(base_ + kRowsOffset)[row * kCounts + what].load(
        std::memory_order_relaxed);
  }
  OwnerEntry owner(std::uint64_t n) const {
    ConstWord* words = reinterpret_cast<ConstWord*>(base_ + kOwnersOffset) + (n % kOwnerCount) * 2;
    OwnerEntry entry{};
    entry.thread_id =
        static_cast<std::uint32_t>(words[0].load(std::memory_order_acquire) & 0xffffffffu);
    entry.first_ticket = words[1].load(std::memory_order_acquire);
    return entry;
  }

 private:
  const std::byte* base_ = nullptr;
  std::uint64_t capacity_ = 1;
  std::uint64_t text_words_ = 1;
};

enum class TextState : std::uint8_t { None, Whole, Lost };

// One validated copy of an event: what a single write() stored, or nothing.
struct RawEvent {
  std::uint64_t ticket = 0;
  std::array<std::uint64_t, kSlotWords> words;  // [kStampWord] is the stamp
  TextState text_state = TextState::None;
  const std::byte* text = nullptr;  // the block without its header, valid until the next read
  std::size_t text_bytes = 0;
};

// A position in a ring. Loss is a number: `next() == delivered() + lost()`, exactly.
// One thread at a time may use a cursor; any number of cursors may read one ring.
class RingCursor {
 public:
  RingCursor() = default;
  explicit RingCursor(RingView view, std::uint64_t from = 0) : view_(view) { seek(from); }

  std::uint64_t capacity() const { return view_.capacity(); }
  std::uint64_t next() const { return next_; }
  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t lost() const { return next_ - start_ - delivered_; }
  std::uint64_t text_lost() const { return text_lost_; }
  std::uint64_t corrupt() const { return corrupt_; }

  void seek(std::uint64_t ticket) {
    start_ = next_ = ticket % kTicketLimit;
    index_ = next_ % view_.capacity();
    delivered_ = text_lost_ = corrupt_ = text_end_ = 0;
  }

  // About how many events are waiting: exact when nobody is writing.
  std::uint64_t waiting() const {
    const std::uint64_t stamp = view_.slot(index_)[kStampWord].load(std::memory_order_relaxed);
    if (stamp < final_stamp(next_)) return 0;
    const std::uint64_t newest = newest_from((stamp >> 1) - 1);
    return std::min(newest - next_ + 1, view_.capacity());
  }

  // Hands up to `most` events to sink(const RawEvent&), oldest first; returns how many.
  // Inlined, so that what the sink keeps stays in registers.
  template <class Sink>
  [[gnu::always_inline]] inline std::size_t poll(std::size_t most, Sink&& sink) {
    std::size_t handed = 0;
    // Each miss moves on by at least one ticket, so a hostile or hasty writer cannot hold us.
    std::uint64_t misses_left = 2 * view_.capacity() + 64;
    while (handed < most) {
      ConstWord* slot = view_.slot(index_);
      const std::uint64_t stamp = slot[kStampWord].load(std::memory_order_acquire);
      const std::uint64_t wanted = final_stamp(next_);
      if (stamp != wanted) {
        if (stamp <= (wanted | 1)) break;  // not written yet
        skip_to_oldest(stamp);
        if (--misses_left == 0) break;
        continue;
      }
      // An object of its own for events without text: it can live in registers.
      RawEvent event;
      event.ticket = next_;
      event.words[kStampWord] = stamp;
#pragma GCC unroll 8
      for (std::size_t i = 1; i < kSlotWords; ++i)  // pairs with RingWriter's release stores
        event.words[i] = slot[i].load(std::memory_order_acquire);
      std::uint64_t again = stamp;
      if (event.words[kTagWord] & kTagText) [[unlikely]] {
        RawEvent with_text = event;
        again = read_text(with_text, slot);
        if (again == stamp) {
          ++delivered_;
          text_lost_ += with_text.text_state == TextState::Lost;
          sink(static_cast<const RawEvent&>(with_text));
        }
      } else {
        again = slot[kStampWord].load(std::memory_order_relaxed);
        if (again == stamp) {
          ++delivered_;
          sink(static_cast<const RawEvent&>(event));
        }
      }
      if (again != stamp) [[unlikely]] {
        skip_to_oldest(again);
        if (--misses_left == 0) break;
        continue;
      }
      ++handed;
      step();
    }
    return handed;
  }

  // Is the event at this position being written (in a dead session: was it, for ever)?
  bool in_flight() const {
    return view_.slot(index_)[kStampWord].load(std::memory_order_acquire) == busy_stamp(next_);
  }

 private:
  // No writer gets so far (centuries at 1 ns an event); beyond it stamps would begin anew.
  static constexpr std::uint64_t kTicketLimit = 1ull << 62;

  void step() {
    ++next_;
    if (++index_ == view_.capacity()) index_ = 0;
  }

  // The slot holds (or is being given) a later ticket, so newer ones may follow it in the ring:
  // [..lost..|newest-cap+1 ......... newest]  the oldest still valid is newest - cap + 1.
  void skip_to_oldest(std::uint64_t stamp) {
    const std::uint64_t ticket = (stamp >> 1) - 1;
    if (stamp < 2 || ticket < next_ || ticket >= kTicketLimit || ticket % view_.capacity() != index_) {
      ++corrupt_;  // no writer of ours stores such a stamp
      step();
      return;
    }
    const std::uint64_t oldest = newest_from(ticket) - view_.capacity() + 1;
    if (oldest <= next_) {
      step();
    } else {
      next_ = oldest;
      index_ = oldest % view_.capacity();
    }
  }

  // The newest ticket at or after `ticket`, by bisection: tickets were written in order.
  std::uint64_t newest_from(std::uint64_t ticket) const {
    std::uint64_t low = 0;
    std::uint64_t high = view_.capacity();
    while (high - low > 1) {
      const std::uint64_t middle = low + (high - low) / 2;
      const std::uint64_t stamp = view_.slot((ticket + middle) % view_.capacity())[kStampWord].load(
          std::memory_order_relaxed);
      if (stamp >> 1 == ticket + middle + 1)
        low = middle;
      else
        high = middle;
    }
    return ticket + low;
  }

  // Copies the event's text block; returns the slot's stamp as it was after that.
  [[gnu::noinline]] std::uint64_t read_text(RawEvent& event, ConstWord* slot) {
    copy_text(event);
    const std::uint64_t again = slot[kStampWord].load(std::memory_order_relaxed);
    if (again == event.words[kStampWord] && event.text_state == TextState::Whole) check_text(event);
    return again;
  }

  void copy_text(RawEvent& event) {
    event.text_state = TextState::Lost;
    const std::uint64_t position = event.words[kTextWord];
    if (position % 8 != 0) return;
    std::uint64_t at = position / 8 % view_.text_words();
    const std::uint64_t header = view_.text_word(at).load(std::memory_order_acquire);
    const std::uint64_t bytes = header & 0xffffffffu;
    if (header >> 32 != (event.ticket & 0xffffffffu) || bytes % 8 != 0 ||
        bytes < kTextHeaderBytes || bytes > kMaxEventTextBytes || bytes / 8 > view_.text_words())
      return;
    const std::size_t words = bytes / 8 - 1;
    if (text_.size() < words) text_.resize(words);
    for (std::size_t i = 0; i < words; ++i) {
      if (++at == view_.text_words()) at = 0;
      text_[i] = view_.text_word(at).load(std::memory_order_acquire);
    }
    event.text = reinterpret_cast<const std::byte*>(text_.data());
    event.text_bytes = words * 8;
    event.text_state = TextState::Whole;
  }

  // Whoever overwrote a word we copied had raised the intent before; the acquire loads showed it.
  // Blocks lie one behind the other: overlapping ones, which no writer of ours makes, would let a
  // small file fill our memory.
  void check_text(RawEvent& event) {
    const std::uint64_t intent = view_.text_intent().load(std::memory_order_relaxed);
    const std::uint64_t position = event.words[kTextWord];
    const std::uint64_t bytes = event.text_bytes + kTextHeaderBytes;
    if (position >= text_end_ && intent >= position && intent - position >= bytes &&
        intent - position <= view_.text_words() * 8) {
      text_end_ = position + bytes;
      return;
    }
    event.text_state = TextState::Lost;
    event.text = nullptr;
    event.text_bytes = 0;
  }

  RingView view_;
  std::uint64_t next_ = 0;
  std::uint64_t start_ = 0;
  std::uint64_t index_ = 0;
  std::uint64_t delivered_ = 0;
  std::uint64_t text_lost_ = 0;
  std::uint64_t corrupt_ = 0;
  std::uint64_t text_end_ = 0;  // of the newest block handed out
  std::vector<std::uint64_t> text_;
};

}  // namespace whence
