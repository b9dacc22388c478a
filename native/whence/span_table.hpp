// The spans that are open: a table in the ring's header that outlives its process.
//
// The ring's owner takes entries, any thread gives them back. The id is stored last and cleared
// first, so a reader that finds the same id before and after its copy has the whole entry: ids are
// not used again.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "layout.hpp"

namespace whence {

using SpanEntry = std::array<std::uint64_t, kSpanWords>;

// Random-looking ids that a thread makes without asking anybody; two threads' seeds differ.
inline std::uint64_t next_span_id(std::uint64_t& seed) {
  std::uint64_t id = 0;
  while (id == 0) {
    seed += 0x9e3779b97f4a7c15ull;
    id = seed;
    id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9ull;
    id = (id ^ (id >> 27)) * 0x94d049bb133111ebull;
    id ^= id >> 31;
  }
  return id;
}

// The writer's end. `base` is the ring's mapping.
class SpanTable {
 public:
  static constexpr std::uint32_t kNone = ~0u;

  explicit SpanTable(std::byte* base)
      : words_(reinterpret_cast<std::atomic<std::uint64_t>*>(base + kSpansOffset)),
        overflow_(reinterpret_cast<std::atomic<std::uint64_t>*>(base)[kSpanOverflowWord]) {}

  // The owner notes a span; `hint` is where it looks first. kNone: the table is full, counted.
  std::uint32_t open(const SpanEntry& span, std::uint32_t& hint) {
    for (std::uint32_t tries = 0; tries < kSpanCount; ++tries) {
      const std::uint32_t at = (hint + tries) % kSpanCount;
      std::atomic<std::uint64_t>* entry = words_ + at * kSpanWords;
      if (entry[kSpanId].load(std::memory_order_acquire) != 0) continue;  // pairs with close()
      for (std::size_t i = kSpanId + 1; i < kSpanWords; ++i)
        entry[i].store(span[i], std::memory_order_release);
      entry[kSpanId].store(span[kSpanId], std::memory_order_release);
      hint = at + 1;
      return at;
    }
    overflow_.store(overflow_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return kNone;
  }

  // Any thread, but one alone for each span: until it clears the id nobody else touches the entry, so
  // a look and a store will do. False: the entry is not of this span, as in a forked child.
  bool close(std::uint32_t at, std::uint64_t span_id) {
    if (at >= kSpanCount) return false;
    std::atomic<std::uint64_t>& id = words_[at * kSpanWords + kSpanId];
    if (id.load(std::memory_order_relaxed) != span_id) return false;
    id.store(0, std::memory_order_release);
    return true;
  }

 private:
  std::atomic<std::uint64_t>* words_;
  std::atomic<std::uint64_t>& overflow_;
};

// The reader's end: copies what is open, as far as it holds still long enough; returns how many.
inline std::size_t copy_open_spans(const std::byte* base, SpanEntry (&out)[kSpanCount]) {
  const auto* words = reinterpret_cast<const std::atomic<std::uint64_t>*>(base + kSpansOffset);
  std::size_t found = 0;
  for (std::uint32_t at = 0; at < kSpanCount; ++at) {
    const std::atomic<std::uint64_t>* entry = words + at * kSpanWords;
    for (int tries = 0; tries < 4; ++tries) {
      SpanEntry copy;
      for (std::size_t i = 0; i < kSpanWords; ++i) copy[i] = entry[i].load(std::memory_order_acquire);
      if (copy[kSpanId] == 0) break;
      if (entry[kSpanId].load(std::memory_order_relaxed) != copy[kSpanId]) continue;
      out[found++] = copy;
      break;
    }
  }
  return found;
}

}  // namespace whence
