// Nanoseconds of CLOCK_MONOTONIC at the price of reading the cycle counter.
//
// Each thread scales the counter from its own last anchor, a (counter, monotonic) pair. The read
// that passes the next anchor takes a new one. Anchors come quickly at first (1 ms, 2 ms, 4 ms ...)
// and then every ~1 s, so the estimate of the counter's rate is always as old as the interval it
// is used for: an error of 50 ns at both ends stays below 1 us.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace whence {

enum class ClockSource : std::uint32_t { ClockGettime = 0, CycleCounter = 1 };

inline std::uint64_t clock_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}
inline std::uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
inline std::uint64_t wall_ns() { return clock_ns(CLOCK_REALTIME); }

// The machine's two clocks; tests put their own in its place.
struct MachineClocks {
  static std::uint64_t cycles() {
#if defined(__x86_64__)
    return __rdtsc();
#elif defined(__aarch64__)
    std::uint64_t value;
    asm volatile("mrs %0, cntvct_el0" : "=r"(value));
    return value;
#else
    return monotonic_ns();
#endif
  }
  static std::uint64_t monotonic() { return monotonic_ns(); }
};

// The counter may be trusted when the hardware says it never stops and the kernel uses it itself.
inline ClockSource detect_clock_source() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1u << 8)) != 0;
  if (!invariant) return ClockSource::ClockGettime;
  char name[16] = {};
  if (std::FILE* file =
          std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re")) {
    const bool read = std::fgets(name, sizeof name, file) != nullptr;
    std::fclose(file);
    if (read && std::strncmp(name, "tsc", 3) == 0) return ClockSource::CycleCounter;
  }
  return ClockSource::ClockGettime;
#elif defined(__aarch64__)
  return ClockSource::CycleCounter;  // the generic timer is constant by architecture
#else
  return ClockSource::ClockGettime;
#endif
}

template <class Clocks>
class BasicClock {
 public:
  static constexpr std::uint64_t kLongestNs = 1'000'000'000;
  static constexpr std::uint64_t kShortestNs = 1'000'000;
  static constexpr unsigned kShift = 32;

  // Nanoseconds since the monotonic epoch; never less than an earlier answer of this object.
  std::uint64_t now_ns() {
    return now_ns([](std::uint64_t) {});
  }

  // The same; `on_anchor(now)` runs whenever a new anchor was taken, about once a second.
  template <class OnAnchor>
  [[gnu::always_inline]] inline std::uint64_t now_ns(OnAnchor&& on_anchor) {
    std::uint64_t now = 0;
    if (quick_ns(now)) [[likely]] return now;
    last_ns_ = anchor();  // also when the counter went back, by little or by much
    on_anchor(last_ns_);
    return last_ns_;
  }

  // The same where no anchor is due, without a call; false, with nothing changed, where one is.
  [[gnu::always_inline]] inline bool quick_ns(std::uint64_t& now_ns) {
    const std::uint64_t passed = Clocks::cycles() - base_cycles_;
    const std::uint64_t now = base_ns_ + scaled(passed);
    if (passed >= interval_cycles_ || now < last_ns_) [[unlikely]] return false;
    now_ns = last_ns_ = now;
    return true;
  }

  // Anchors taken so far, for tests.
  std::uint64_t anchors() const { return anchors_; }

  // False: every read asks the kernel. Set once, before the first read.
  static inline bool counter_trusted = true;
  // The newest well-measured rate of any thread, so that a new thread need not begin slowly.
  static inline std::atomic<std::uint64_t> shared_rate{0};

 private:
  struct Pair {
    std::uint64_t cycles;
    std::uint64_t ns;
  };

  std::uint64_t scaled(std::uint64_t cycles) const {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(cycles) * mult_) >> kShift);
  }

  [[gnu::noinline]] std::uint64_t anchor() {
    const Pair pair = read_pair();
    // The last answer may be ahead of the true time by the last interval's error.
    const std::uint64_t start_ns = pair.ns > last_ns_ ? pair.ns : last_ns_;
    if (!counter_trusted) {
      ++anchors_;
      return scale_from({pair.cycles, start_ns}, start_ns, 0, 0);
    }
    if (anchors_++ == 0) return begin_at(pair, start_ns);
    if (pair.cycles <= first_.cycles) return begin_at(pair, start_ns);  // the counter went back
    const std::uint64_t passed = pair.cycles - first_.cycles;
    const std::uint64_t passed_ns = pair.ns - first_.ns;
    if (passed_ns < kShortestNs / 2) return scale_from(pair, start_ns, 0, rate_);
    const auto rate = static_cast<std::uint64_t>(
        (static_cast<unsigned __int128>(passed_ns) << kShift) / passed);
    const bool jumped = rate_ != 0 && (rate > rate_ + rate_ / 64 || rate < rate_ - rate_ / 64);
    if (jumped || rate == 0) {
      rate_ = 0;  // the counter jumped (a migrated machine): measure anew
      return begin_at(pair, start_ns);
    }
    rate_ = rate;
    const std::uint64_t interval_ns = passed_ns < kLongestNs ? passed_ns : kLongestNs;
    if (passed_ns >= kLongestNs) {
      first_ = pair;
      shared_rate.store(rate, std::memory_order_relaxed);
    }
    return scale_from(pair, start_ns, interval_ns, rate);
  }

  // A first anchor: with another thread's rate the counter serves at once, else the kernel does.
  std::uint64_t begin_at(Pair pair, std::uint64_t start_ns) {
    first_ = pair;
    if (rate_ == 0 && anchors_ == 1) rate_ = shared_rate.load(std::memory_order_relaxed);
    return scale_from(pair, start_ns, rate_ != 0 ? kShortestNs : 0, rate_);
  }

  // Sets the scale that answers until `interval_ns` have passed; ahead of time, it runs slower.
  std::uint64_t scale_from(Pair pair, std::uint64_t start_ns, std::uint64_t interval_ns,
                           std::uint64_t rate) {
    const std::uint64_t ahead_ns = start_ns - pair.ns;
    base_cycles_ = pair.cycles;
    base_ns_ = start_ns;
    interval_cycles_ = interval_ns == 0 ? 0
                                        : static_cast<std::uint64_t>(
                                              (static_cast<unsigned __int128>(interval_ns) << kShift) / rate);
    mult_ = rate;
    if (ahead_ns > 0 && interval_ns > 0)
      mult_ = ahead_ns >= interval_ns
                  ? 0
                  : static_cast<std::uint64_t>(static_cast<unsigned __int128>(rate) *
                                               (interval_ns - ahead_ns) / interval_ns);
    return start_ns;
  }

  // The tightest of three: an interrupt between the two reads makes a pair useless.
  static Pair read_pair() {
    Pair best{};
    std::uint64_t best_width = ~0ull;
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t before = Clocks::cycles();
      const std::uint64_t ns = Clocks::monotonic();
      const std::uint64_t width = Clocks::cycles() - before;
      if (width < best_width) {
        best_width = width;
        best = Pair{before + width / 2, ns};
      }
    }
    return best;
  }

  std::uint64_t base_cycles_ = 0;
  std::uint64_t base_ns_ = 0;
  std::uint64_t last_ns_ = 0;          // the last answer
  std::uint64_t interval_cycles_ = 0;  // 0: every read takes an anchor
  std::uint64_t mult_ = 0;             // ns per cycle << kShift, slewed
  std::uint64_t rate_ = 0;             // the same as measured; 0 = not known yet
  std::uint64_t anchors_ = 0;
  Pair first_{};  // start of the stretch that the rate is measured over
};

using CycleClock = BasicClock<MachineClocks>;

}  // namespace whence
