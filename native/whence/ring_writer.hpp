// The one place that stores to slots: one writer's end of a ring.
//
// Order of stores (checked by native/model): the kind's counter, the busy stamp, the text intent,
// text words (release), slot words (release), the final stamp (release). A reader that sees any
// word of a later event also sees that event's busy stamp, so it knows that its copy is spoilt.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "layout.hpp"

namespace whence {

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free, "lock-free words are address-free, so files can be shared");

// The words of a slot but the stamp, ready to be stored.
struct SlotImage {
  std::array<std::uint64_t, kSlotWords> words{};  // [kStampWord] is unused

  void set_fields(const std::byte* image, std::size_t bytes) {
    std::memcpy(&words[kFieldWord], image, bytes);
  }
};

// State of a ring's only writer. All zero = no ring: the state of a new thread or a forked child.
class RingWriter {
 public:
  bool attached() const { return slots_ != nullptr; }
  std::uint64_t next_ticket() const { return ticket_; }
  std::uint64_t capacity() const { return capacity_; }
  std::uint64_t text_bytes() const { return text_words_ * 8; }
  std::size_t max_text_bytes() const {
    const std::uint64_t quarter = text_bytes() / 4;
    return quarter < kMaxEventTextBytes ? quarter & ~7ull : kMaxEventTextBytes;
  }
  std::byte* base() const { return base_; }
  // The ring's file is gone: what is being written ends where it is, the next event finds no ring.
  void leave_ring() { slots_ = nullptr; }

  // `base` is a ring file's mapping with a complete header, none of whose slots was used.
  void attach(std::byte* base, std::uint64_t capacity, std::uint64_t text_bytes) {
    base_ = base;
    capacity_ = capacity;
    text_words_ = text_bytes / 8;
    text_ = reinterpret_cast<Word*>(base + text_offset_of(capacity));
    ticket_ = index_ = text_position_ = text_index_ = 0;
    rows_used_ = 0;
    std::memset(rows_, 0xff, sizeof rows_);
    row_kind(kRowCount - 1).store(kOtherKinds, std::memory_order_relaxed);
    slots_ = reinterpret_cast<Word*>(base + kRingHeaderBytes);
  }

  // Writes one event. `text` is its whole text block (8-byte multiple, header left blank), or null.
  // Async-signal-safe; costs no lock, allocation or system call. False: an event was being written.
  bool write(SlotImage& image, const std::byte* text = nullptr, std::size_t text_length = 0) {
    return write_inline(image, text, text_length);
  }

  // The same, compiled into the caller: for the one path where a call is worth saving.
  [[gnu::always_inline]] inline bool write_inline(SlotImage& image, const std::byte* text = nullptr,
                                                  std::size_t text_length = 0) {
    const auto kind = static_cast<std::uint16_t>(image.words[kTagWord] & kTagKindMask);
    if (writing_) [[unlikely]] {
      // The event we interrupted may be choosing a row right now: a new kind must not take one too.
      const std::uint8_t row = rows_[kind & (kMaxKinds - 1)];
      add(owner_word(kNestedWord), 1);
      add(row_word(row == 0xff ? kRowCount - 1 : row, kNested), 1);
      return false;
    }
    writing_ = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    store_event(count_word(kind, kRecorded), image, text, text_length);
    return true;
  }

  // An event without text of a kind that this ring has counted before. False, with nothing done, for
  // any other and while an event is being written: write() is for these.
  [[gnu::always_inline]] inline bool write_known(SlotImage& image) {
    const std::uint8_t row = rows_[image.words[kTagWord] & (kMaxKinds - 1)];
    if (writing_ || row == 0xff) [[unlikely]] return false;
    writing_ = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    store_event(row_word(row, kRecorded), image, nullptr, 0);
    return true;
  }

  // Counts a call that was not recorded.
  void count(std::uint16_t kind, Count what) {
    const bool outer = writing_;
    writing_ = true;  // a signal handler's event waits its turn here too: it is counted as nested
    std::atomic_signal_fence(std::memory_order_seq_cst);
    add(count_word(kind, what), 1);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    writing_ = outer;
  }
  void count_truncated() { add(owner_word(kTruncatedWord), 1); }

  void set_state(RingState state) {
    owner_word(kStateWord).store(static_cast<std::uint64_t>(state), std::memory_order_release);
  }
  void set_watermark() { owner_word(kWatermarkWord).store(ticket_, std::memory_order_release); }

  std::uint64_t watermark() const { return owner_word(kWatermarkWord).load(std::memory_order_relaxed); }

  // Notes who writes from the next ticket on.
  void set_owner(std::uint32_t thread_id) {
    const std::uint64_t n = owner_word(kOwnersWord).load(std::memory_order_relaxed);
    auto* words = reinterpret_cast<Word*>(base_ + kOwnersOffset) + (n % kOwnerCount) * 2;
    words[0].store(thread_id, std::memory_order_release);
    words[1].store(ticket_, std::memory_order_release);
    owner_word(kOwnersWord).store(n + 1, std::memory_order_release);
  }

 private:
  [[gnu::always_inline]] inline void store_event(Word& recorded, SlotImage& image, const std::byte* text,
                                                 std::size_t text_length) {
    const std::uint64_t ticket = ticket_;  // locals: the stores below could alias our own fields
    const std::uint64_t index = index_;
    Word* slot = slots_ + index * kSlotWords;
    add(recorded, 1);
    std::atomic_signal_fence(std::memory_order_release);  // a crash may leave the count one ahead
    slot[kStampWord].store(busy_stamp(ticket), std::memory_order_relaxed);
    if (text != nullptr) image.words[kTextWord] = write_text(text, text_length);
#pragma GCC unroll 8
    for (std::size_t i = 1; i < kSlotWords; ++i)  // pairs with RingCursor's acquire loads
      slot[i].store(image.words[i], std::memory_order_release);
    slot[kStampWord].store(final_stamp(ticket), std::memory_order_release);
    ticket_ = ticket + 1;
    index_ = index + 1 == capacity_ ? 0 : index + 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    writing_ = false;
  }

  // Owner-only words: a plain load and store, never a read-modify-write.
  static void add(Word& word, std::uint64_t n) {
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  Word& owner_word(OwnerWord word) const { return reinterpret_cast<Word*>(base_)[word]; }

  Word& count_word(std::uint16_t kind, Count what) {
    std::uint8_t row = rows_[kind & (kMaxKinds - 1)];
    if (row == 0xff) [[unlikely]] row = new_row(kind);
    return row_word(row, what);
  }
  Word& row_word(std::uint32_t row, Count what) const {
    return reinterpret_cast<Word*>(base_ + kRowsOffset)[row * kCounts + what];
  }

  std::atomic<std::uint16_t>& row_kind(std::uint32_t row) const {
    return reinterpret_cast<std::atomic<std::uint16_t>*>(base_ + kRowKindsOffset)[row];
  }

  // The last row stands for all kinds that came too late to get one of their own.
  [[gnu::noinline]] std::uint8_t new_row(std::uint16_t kind) {
    const auto row = static_cast<std::uint8_t>(rows_used_ < kRowCount - 1 ? rows_used_++
                                                                          : kRowCount - 1);
    if (row != kRowCount - 1) row_kind(row).store(kind, std::memory_order_release);
    rows_[kind & (kMaxKinds - 1)] = row;
    return row;
  }

  // Text goes word by word to ever-growing positions, wrapping at the end of the text ring.
  std::uint64_t write_text(const std::byte* text, std::size_t bytes) {
    const std::uint64_t position = text_position_;
    const std::uint64_t words = bytes / 8;
    // Said before the bytes are touched; the release stores below carry it to readers.
    owner_word(kTextIntentWord).store(position + bytes, std::memory_order_relaxed);
    Word* const ring = text_;  // locals: the stores below could alias our own fields
    const std::uint64_t ring_words = text_words_;
    std::uint64_t at = text_index_;
    std::uint64_t word = static_cast<std::uint32_t>(bytes) |
                         (ticket_ & 0xffffffffu) << 32;  // the block's header
    for (std::uint64_t i = 0;;) {
      ring[at].store(word, std::memory_order_release);
      if (++at == ring_words) at = 0;
      if (++i == words) break;
      std::memcpy(&word, text + i * 8, 8);
    }
    text_index_ = at;
    text_position_ = position + bytes;
    return position;
  }

  Word* slots_ = nullptr;
  std::uint64_t ticket_ = 0;  // of the next event
  std::uint64_t index_ = 0;   // ticket_ % capacity_
  std::uint64_t capacity_ = 0;
  std::byte* base_ = nullptr;
  Word* text_ = nullptr;
  std::uint64_t text_words_ = 0;
  std::uint64_t text_position_ = 0;
  std::uint64_t text_index_ = 0;  // text_position_ / 8 % text_words_
  bool writing_ = false;
  std::uint32_t rows_used_ = 0;
  std::uint8_t rows_[kMaxKinds];  // kind -> counter row, 0xff = none yet
};

}  // namespace whence
