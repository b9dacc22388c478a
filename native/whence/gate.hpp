// One gate word per kind: is it on, which share of requests is kept, which strength is too weak.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "layout.hpp"

namespace whence {

using GateWord = std::atomic<std::uint64_t>;
static_assert(GateWord::is_always_lock_free);

// Any 64-bit value is a valid gate: a corrupt page changes what is recorded and nothing else.
struct Gate {
  std::uint64_t word = 0;

  bool on() const { return word & kGateOn; }
  bool exempt() const { return word & kGateExempt; }
  std::uint64_t threshold() const { return (word >> kGateThresholdShift) & kGateThresholdMask; }
  float minimum() const { return std::bit_cast<float>(static_cast<std::uint32_t>(word >> 32)); }

  static Gate make(bool on, bool exempt) {
    return Gate{(on ? kGateOn : 0) | (exempt ? kGateExempt : 0)};
  }
};

}  // namespace whence
