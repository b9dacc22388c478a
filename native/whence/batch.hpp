// Events drained from rings, as columns of words: one column per slot word, text in one heap.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "catalogue.hpp"
#include "decode.hpp"
#include "layout.hpp"
#include "long_requests.hpp"
#include "ring_reader.hpp"

namespace whence {

// Words that nobody cleared. Large ones come in huge pages: faulting in a gigabyte of small ones
// takes longer than filling it. Others grow where they are, if they can: nothing is faulted in twice.
class WordColumn {
 public:
  std::uint64_t* get() const { return words_.get(); }

  void grow(std::size_t kept, std::size_t wanted) {
    constexpr std::size_t kHugePage = 2 << 20;
    const std::size_t bytes = (wanted * 8 + kHugePage - 1) / kHugePage * kHugePage;
    if (wanted * 8 < 2 * kHugePage) {
      auto* grown = static_cast<std::uint64_t*>(std::realloc(words_.get(), wanted * 8));
      if (grown == nullptr) throw std::bad_alloc();
      static_cast<void>(words_.release());  // is `grown` now, or gone
      words_.reset(grown);
      return;
    }
    auto* bigger = static_cast<std::uint64_t*>(std::aligned_alloc(kHugePage, bytes));
    if (bigger == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    madvise(bigger, bytes, MADV_HUGEPAGE);
#endif
    if (kept > 0) std::memcpy(bigger, words_.get(), kept * 8);
    words_.reset(bigger);
  }

 private:
  struct Free {
    void operator()(std::uint64_t* words) const { std::free(words); }
  };
  std::unique_ptr<std::uint64_t, Free> words_;
};

// Bytes one behind the other, which nobody cleared; what is there stays where it is when more come,
// if it can.
class ByteHeap {
 public:
  const std::byte* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }
  void clear() { size_ = 0; }

  // `count` more for the caller to fill; the place of the first.
  std::byte* extend(std::size_t count) {
    if (capacity_ - size_ < count) [[unlikely]] grow(size_ + count);
    std::byte* place = bytes_.get() + size_;
    size_ += count;
    return place;
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };

  [[gnu::noinline]] void grow(std::size_t least) {
    const std::size_t wanted = std::max<std::size_t>({least, capacity_ + capacity_ / 2, 256});
    auto* grown = static_cast<std::byte*>(std::realloc(bytes_.get(), wanted));
    if (grown == nullptr) throw std::bad_alloc();
    static_cast<void>(bytes_.release());  // is `grown` now, or gone
    bytes_.reset(grown);
    capacity_ = wanted;
  }

  std::unique_ptr<std::byte, Free> bytes_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Where rows come from: one ring of one session.
struct RowSource {
  std::shared_ptr<const Catalogue> catalogue;
  std::string session;
  std::uint64_t session_key = 0;
  std::uint32_t ring = 0;
};

class Batch {
 public:
  static constexpr std::size_t kTicketColumn = 0;  // the others are numbered like the slot's words

  std::size_t size() const { return rows_; }
  const std::uint64_t* column(std::size_t word) const { return columns_[word].get(); }
  const RowSource& source(std::size_t row) const {
    const auto after = std::upper_bound(
        drains_.begin(), drains_.end(), row,
        [](std::size_t wanted, const Drain& drain) { return wanted < drain.first_row; });
    return *(after - 1)->source;
  }
  // use(first row, row after the last, source) for each drain that brought any, in order of rows.
  template <class Use>
  void each_drain(Use&& use) const {
    for (std::size_t i = 0; i < drains_.size(); ++i) {
      const std::size_t end = i + 1 < drains_.size() ? drains_[i + 1].first_row : rows_;
      if (drains_[i].first_row < end) use(drains_[i].first_row, end, *drains_[i].source);
    }
  }
  std::uint64_t ticket(std::size_t row) const { return columns_[kTicketColumn].get()[row]; }
  std::uint64_t time_ns(std::size_t row) const { return columns_[kTimeWord].get()[row]; }

  // What this batch and `earlier` learn of long request ids, both know from now on.
  void share_long_requests(const Batch& earlier) { shared_ = earlier.shared_; }

  // The row of the event at this place; size() if it is not here.
  std::size_t find(std::uint64_t session_key, std::uint32_t ring, std::uint64_t wanted) const {
    const std::uint64_t* tickets = columns_[kTicketColumn].get();
    for (std::size_t i = 0; i < drains_.size(); ++i) {
      if (drains_[i].source->ring != ring || drains_[i].source->session_key != session_key) continue;
      const std::uint64_t* end = tickets + (i + 1 < drains_.size() ? drains_[i + 1].first_row : rows_);
      const std::uint64_t* found = std::lower_bound(tickets + drains_[i].first_row, end, wanted);
      if (found != end && *found == wanted) return static_cast<std::size_t>(found - tickets);
    }
    return rows_;
  }

  // Forgets the events and keeps the memory: a collector's next drain then costs no page faults.
  void clear() {
    rows_ = 0;
    heap_.clear();
    drains_.clear();
    long_requests_.clear();
  }

  // Drains `cursor`; returns the number of events taken.
  std::size_t drain(RingCursor& cursor, std::shared_ptr<const RowSource> source, std::size_t most) {
    drains_.push_back({rows_, std::move(source)});
    // Whoever writes as fast as we read is left for the next drain; what lies in the ring is not.
    most = std::min<std::uint64_t>(most, 2 * cursor.capacity() + 64);
    std::size_t taken = 0;
    reserve(rows_ + std::min<std::size_t>({most, cursor.waiting(), kMostReserved}));
    while (taken < most) {
      if (rows_ == capacity_) reserve(rows_ + std::min(most - taken, kStep));
      const std::size_t part = std::min(most - taken, capacity_ - rows_);
      const std::size_t got = take(cursor, part);
      taken += got;
      if (got < part) break;
    }
    return taken;
  }

  // Row numbers ordered by time, then session, ring and ticket: stable and without ties.
  std::vector<std::uint32_t> in_time_order() const {
    std::vector<std::uint32_t> order(rows_);
    for (std::size_t i = 0; i < rows_; ++i) order[i] = static_cast<std::uint32_t>(i);
    const auto before = [this](std::uint32_t a, std::uint32_t b) {
      if (time_ns(a) != time_ns(b)) return time_ns(a) < time_ns(b);
      const RowSource& left = source(a);
      const RowSource& right = source(b);
      if (const int names = left.session.compare(right.session)) return names < 0;
      if (left.ring != right.ring) return left.ring < right.ring;
      return ticket(a) < ticket(b);
    };
    if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
    return order;
  }

  // The rows of each session in order of time; sessions in the order of their first events.
  std::vector<std::pair<std::string, std::vector<std::uint32_t>>> rows_by_session() const {
    std::vector<std::pair<std::string, std::vector<std::uint32_t>>> out;
    std::unordered_map<std::string_view, std::size_t> places;
    const RowSource* last = nullptr;
    std::size_t at = 0;
    for (const std::uint32_t row : in_time_order()) {
      const RowSource& found = source(row);
      if (&found != last) {
        const auto [place, fresh] = places.try_emplace(found.session, out.size());
        if (fresh) out.emplace_back(found.session, std::vector<std::uint32_t>());
        at = place->second;
        last = &found;
      }
      out[at].second.push_back(row);
    }
    return out;
  }

  const DecodedEvent& decode(std::size_t row, EventDecoder& decoder) const {
    return decode(row, source(row), decoder);
  }

  // The same for those who know the row's source already.
  const DecodedEvent& decode(std::size_t row, const RowSource& source, EventDecoder& decoder) const {
    std::array<std::uint64_t, kSlotWords> words;
    for (std::size_t i = 0; i < kSlotWords; ++i) words[i] = columns_[i].get()[row];
    const bool has_text = words[kTagWord] & kTagText;
    const std::uint64_t at = has_text ? words[kTextWord] : kTextLost;
    const std::byte* text = at == kTextLost ? nullptr : heap_.data() + at + 8;
    std::uint64_t bytes = 0;
    if (text != nullptr) std::memcpy(&bytes, heap_.data() + at, 8);
    return decoder.decode(*source.catalogue, words, text, bytes, has_text && text == nullptr);
  }

  // What the events take in memory.
  std::size_t bytes() const { return rows_ * kSlotWords * 8 + heap_.size(); }

  // Takes these rows of another batch, which are in rising order.
  void take_rows(const Batch& from, const std::vector<std::uint32_t>& rows) {
    reserve(rows_ + rows.size());
    const RowSource* last = nullptr;
    auto next = from.drains_.begin();
    for (const std::uint32_t row : rows) {
      while (next != from.drains_.end() && next->first_row <= row) ++next;
      const std::shared_ptr<const RowSource>& source = (next - 1)->source;
      if (source.get() != last) drains_.push_back({rows_, source});
      last = source.get();
      for (std::size_t i = 0; i < kSlotWords; ++i) columns_[i].get()[rows_] = from.columns_[i].get()[row];
      take_text(from);
      ++rows_;
    }
  }

  // The id of a request whose own copy of the text was overtaken: from any event here that has the
  // same 128-bit fingerprint and kept it; else the fingerprint itself.
  std::string lost_request(const std::array<std::uint64_t, 2>& words) const {
    const auto found = long_requests_.find(Fingerprint{words});
    if (found != long_requests_.end()) return found->second;
    if (auto id = shared_->find(Fingerprint{words})) return *std::move(id);
    char text[48];
    std::snprintf(text, sizeof text, "lost:%016llx%016llx", static_cast<unsigned long long>(words[1]),
                  static_cast<unsigned long long>(words[0]));
    return text;
  }

 private:
  static constexpr std::size_t kStep = 4096;
  static constexpr std::size_t kMostReserved = 1 << 24;  // on the word of the ring alone
  // In the column of kTextWord, where the ring had a text position.
  static constexpr std::uint64_t kTextLost = ~0ull;

  // Rows from `first_row` on, up to the next drain's, are of `source`.
  struct Drain {
    std::size_t first_row;
    std::shared_ptr<const RowSource> source;
  };

  using Fingerprint = RequestFingerprint;

  void reserve(std::size_t rows) {
    if (rows <= capacity_) return;
    const std::size_t wanted = std::max(rows, capacity_ + capacity_ / 2);
    for (WordColumn& column : columns_) column.grow(rows_, wanted);
    capacity_ = wanted;
  }

  // Takes at most `most` events, for which there is room.
  std::size_t take(RingCursor& cursor, std::size_t most) {
    std::array<std::uint64_t*, kSlotWords> to;  // locals: the stores could alias our own fields
    for (std::size_t i = 0; i < kSlotWords; ++i) to[i] = columns_[i].get() + rows_;
    std::size_t row = 0;
    const std::size_t taken = cursor.poll(most, [&](const RawEvent& event) __attribute__((always_inline)) {
      to[kTicketColumn][row] = event.ticket;
#pragma GCC unroll 8
      for (std::size_t i = kTicketColumn + 1; i < kSlotWords; ++i) to[i][row] = event.words[i];
      if (event.text_state != TextState::None)
        to[kTextWord][row] = event.text_state == TextState::Whole ? append_text(event) : kTextLost;
      ++row;
    });
    rows_ += taken;
    return taken;
  }

  // Of a row whose words are in place: its text, or what is known of a request lost with it.
  void take_text(const Batch& from) {
    const std::uint64_t tag = column(kTagWord)[rows_];
    if (!(tag & kTagText)) return;
    std::uint64_t& at = columns_[kTextWord].get()[rows_];
    if (at != kTextLost) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, from.heap_.data() + at, 8);
      const std::size_t to = heap_.size();
      std::memcpy(heap_.extend(8 + bytes), from.heap_.data() + at, 8 + bytes);
      at = to;
    }
    if (static_cast<RequestForm>((tag >> kTagRequestShift) & 3) != RequestForm::Long) return;
    const Fingerprint print{{column(kRequestWord)[rows_], column(kRequestWord + 1)[rows_]}};
    const auto known = from.long_requests_.find(print);
    if (known != from.long_requests_.end())
      long_requests_.emplace(print, known->second);
    else if (auto id = from.shared_->find(print))
      long_requests_.emplace(print, *std::move(id));
  }

  std::uint64_t append_text(const RawEvent& event) {
    const std::uint64_t at = heap_.size();
    const std::uint64_t bytes = event.text_bytes;
    std::byte* to = heap_.extend(8 + bytes);
    std::memcpy(to, &bytes, 8);
    std::memcpy(to + 8, event.text, bytes);
    const auto form = static_cast<RequestForm>((event.words[kTagWord] >> kTagRequestShift) & 3);
    if (form == RequestForm::Long) remember_request(event);
    return at;
  }

  void remember_request(const RawEvent& event) {
    const Fingerprint print{{event.words[kRequestWord], event.words[kRequestWord + 1]}};
    if (long_requests_.contains(print)) return;
    EventDecoder decoder;
    const DecodedEvent& decoded =
        decoder.decode(*drains_.back().source->catalogue, event.words, event.text, event.text_bytes, false);
    if (decoded.request_lost) return;
    long_requests_.emplace(print, decoded.request_id);
    shared_->remember(print, decoded.request_id);
  }

  std::size_t rows_ = 0;
  std::size_t capacity_ = 0;
  std::array<WordColumn, kSlotWords> columns_;
  ByteHeap heap_;  // texts: u64 length, bytes
  std::vector<Drain> drains_;
  LongRequestIds long_requests_;           // of the events here
  std::shared_ptr<LongRequests> shared_ = std::make_shared<LongRequests>();  // drained before, too
};

}  // namespace whence
