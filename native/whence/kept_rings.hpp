// Rings that nobody writes to any more: files kept for readers, memory kept while it is being read.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "region.hpp"
#include "session.hpp"

namespace whence {

constexpr std::uint64_t kClosedRingsBytes = 64 << 20;  // rings of ended collectors that are kept

// Used under the recorder's lock.
class KeptRings {
 public:
  // Readers in this process have `count` rings more; each comes back by unpin().
  void pin(std::size_t count) { pins_ += count; }
  void unpin() {
    if (--pins_ > 0) return;
    for (const Region& region : unmap_later_) munmap(region.base, region.bytes);
    unmap_later_.clear();
  }

  // Gives a ring's memory back, as soon as no reader may have it.
  void unmap(std::byte* base, std::size_t bytes) {
    if (pins_ == 0)
      munmap(base, bytes);
    else
      unmap_later_.push_back({base, bytes, -1});
  }

  // The ring of an ended collector: its file stays until newer ones need the room.
  void keep_file(Session& session, std::uint32_t ring, std::size_t bytes, std::uint64_t events) {
    closed_.push_back({ring, bytes, events});
    closed_bytes_ += bytes;
    while (closed_bytes_ > kClosedRingsBytes && closed_.size() > 1) {
      session.count_removed_ring(closed_.front().events);  // first: a kill must not hide them
      if (session.on_disk()) remove_ring_file(session.folder(), closed_.front().ring);
      closed_bytes_ -= closed_.front().bytes;
      closed_.pop_front();
    }
  }

 private:
  struct ClosedRing {
    std::uint32_t ring;
    std::size_t bytes;
    std::uint64_t events;
  };

  std::deque<ClosedRing> closed_;  // oldest first
  std::size_t closed_bytes_ = 0;
  std::size_t pins_ = 0;  // in-process readers of rings that they do not own
  std::vector<Region> unmap_later_;
};

}  // namespace whence
