// One gate word per kind: is it on, which share of requests is kept, which strength is too weak.
#pragma once

#include <atomic>
#include <bit>
#include <cmath>
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
  // Nothing but on, off and exempt: a call need not look further.
  bool plain() const { return word <= (kGateOn | kGateExempt); }
  std::uint64_t threshold() const { return (word >> kGateThresholdShift) & kGateThresholdMask; }
  // Share of the sampling values that are kept, when the kind is on.
  double rate() const {
    return static_cast<double>(kSampleSteps - threshold()) / static_cast<double>(kSampleSteps);
  }
  bool has_minimum() const { return word >> kGateMinimumShift != 0; }
  float minimum() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(word >> kGateMinimumShift));
  }
  // Of two NaNs, and of any other, none is below the other: such events are kept.
  bool is_below_minimum(float strength) const { return has_minimum() && strength < minimum(); }

  static Gate make(bool on, bool exempt) {
    return Gate{(on ? kGateOn : 0) | (exempt ? kGateExempt : 0)};
  }
  // `rate` is above 0 and at most 1.
  static Gate sampling(double rate) {
    const auto kept = static_cast<std::uint64_t>(std::llround(rate * static_cast<double>(kSampleSteps)));
    return Gate{kGateOn | (kSampleSteps - (kept > 0 ? kept : 1)) << kGateThresholdShift};
  }
  // No bits mean no minimum, so a minimum of zero is the other zero.
  Gate with_minimum(float least) const {
    const auto bits = std::bit_cast<std::uint32_t>(least == 0 ? -0.0f : least);
    return Gate{(word & 0xffffffffu) | static_cast<std::uint64_t>(bits) << kGateMinimumShift};
  }
  // The same for a kind of decisions, which are recorded whenever they are on.
  Gate of_decision() const { return make(on(), true); }
};

// ---------------------------------------------------------------- sampling values, 30 bits
// An event is kept if its value is at least the gate's threshold. Events of one request have one
// value, so kinds sampled at one rate keep the same requests, and of unequal rates the smaller
// keeps a subset.

inline std::uint64_t sample_value_of_key(std::uint64_t request_key) { return request_key >> 34; }

// `low` is the lower half of a trace id: 56 bits of it are random wherever it was made.
inline std::uint64_t sample_value_of_trace(std::uint64_t low) { return (low << 8) >> 34; }

constexpr std::uint64_t scattered(std::uint64_t n) {  // SplitMix64's finish
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9ull;
  n = (n ^ (n >> 27)) * 0x94d049bb133111ebull;
  return n ^ (n >> 31);
}

// For events outside of any request: the hash of a counter that each ring has of its own. `seed`
// makes the values of one ring of one run, again and again the same.
inline std::uint64_t next_sample_value(std::uint64_t& counter, std::uint64_t seed) {
  if (counter == 0) [[unlikely]] counter = scattered(seed) | 1;
  counter += 0x9e3779b97f4a7c15ull;
  return scattered(counter) >> 34;
}

// How many events one stands for that was kept at this threshold.
inline double weight_of(std::uint64_t threshold) {
  return static_cast<double>(kSampleSteps) /
         static_cast<double>(kSampleSteps - (threshold & kGateThresholdMask));
}

// The threshold of an event that passed a gate and stood for `weight` events before; nearly, as
// thresholds have 30 bits.
inline std::uint64_t threshold_with(Gate gate, double weight) {
  if (!(weight > 1)) [[likely]] return gate.threshold();
  const auto kept = static_cast<std::uint64_t>(
      std::llround(static_cast<double>(kSampleSteps - gate.threshold()) / weight));
  return kSampleSteps - (kept > 0 ? kept : 1);
}

}  // namespace whence
