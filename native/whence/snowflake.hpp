// Snowflake ids: milliseconds | node | sequence in 64 bits, minted by any number of threads.
//
//   63  62 ............. node_bits + sequence_bits ...... sequence_bits .............. 0
//   [0] [ milliseconds since offset_ms, 41 bits ] [ node, 10 bits ] [ sequence, 12 bits ]
//
// The layout is that of Agrona's SnowflakeIdGenerator. All state is one word that only grows, so an
// id is larger than every id the same thread had before, and no two are equal. A clock set back does
// not stop it: the sequence of the newest millisecond is used up first, and from then on time is
// counted on, at most a millisecond of ids for each millisecond that really passes.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "whence/clock.hpp"

namespace whence {

inline constexpr unsigned kSnowflakeTimeBits = 41;
inline constexpr unsigned kSnowflakeFreeBits = 22;  // 63 - 41: what node and sequence share

struct SnowflakeLayout {
  int node_bits = 10;
  int sequence_bits = 12;

  int shift() const { return node_bits + sequence_bits; }
  std::int64_t max_node() const { return (std::int64_t{1} << node_bits) - 1; }
  std::int64_t max_sequence() const { return (std::int64_t{1} << sequence_bits) - 1; }

  // Parts of an id; the timestamp is relative to the generator's offset_ms.
  std::uint64_t timestamp_of(std::uint64_t id) const { return id >> shift(); }
  std::uint64_t node_of(std::uint64_t id) const {
    return (id >> sequence_bits) & static_cast<std::uint64_t>(max_node());
  }
  std::uint64_t sequence_of(std::uint64_t id) const { return id & static_cast<std::uint64_t>(max_sequence()); }

  // What is wrong with it; empty where nothing is.
  std::string trouble() const {
    if (node_bits < 0) return "must be >= 0: node_bits=" + std::to_string(node_bits);
    if (sequence_bits < 0) return "must be >= 0: seq_bits=" + std::to_string(sequence_bits);
    if (std::int64_t{node_bits} + sequence_bits > int{kSnowflakeFreeBits})
      return "too many bits used: node_bits=" + std::to_string(node_bits) +
             " + seq_bits=" + std::to_string(sequence_bits) + " > " + std::to_string(kSnowflakeFreeBits);
    return {};
  }
};

struct SnowflakeSettings {
  std::int64_t node_id = 0;
  SnowflakeLayout layout;
  std::int64_t offset_ms = 0;

  // The same, at a time.
  std::string trouble(std::int64_t now_ms) const {
    if (std::string of_layout = layout.trouble(); !of_layout.empty()) return of_layout;
    if (node_id < 0 || node_id > layout.max_node())
      return "must be >= 0 && <= " + std::to_string(layout.max_node()) + ": node_id=" + std::to_string(node_id);
    if (offset_ms < 0) return "must be >= 0: offset_ms=" + std::to_string(offset_ms);
    if (offset_ms > now_ms)
      return "offset_ms=" + std::to_string(offset_ms) + " > now_ms=" + std::to_string(now_ms);
    return {};
  }
};

// The clock that ids are minted by; tests put their own in its place. Wall time at the price of the
// cycle counter: how far it is from monotonic time is looked up again every 16 ms, so that a clock
// that was set is followed.
class MachineMilliseconds {
 public:
  static constexpr std::uint64_t kFollowNs = 16'000'000;

  // Milliseconds since 1970. False: it cannot be read, which ends the minting.
  bool now_ms(std::int64_t& now) {
    const std::uint64_t monotonic = t_clock_of_ids.now_ns();
    // Pairs with the release in follow(): who sees its time sees its distance.
    if (monotonic >= follow_at_ns_.load(std::memory_order_acquire)) [[unlikely]] follow();
    now = static_cast<std::int64_t>((monotonic + wall_less_monotonic_.load(std::memory_order_relaxed)) / 1'000'000);
    return true;
  }
  // Never set back, for bounding waits.
  std::uint64_t steady_ns() { return monotonic_ns(); }
  // Between two looks at the clock while a sequence is used up.
  void pause() { sched_yield(); }

 private:
  [[gnu::noinline]] static void follow() {
    const std::uint64_t monotonic = t_clock_of_ids.now_ns();
    wall_less_monotonic_.store(wall_ns() - monotonic, std::memory_order_relaxed);
    follow_at_ns_.store(monotonic + kFollowNs, std::memory_order_release);
  }

  // Its own, as the clock of events tells them of its anchors.
  static inline thread_local constinit CycleClock t_clock_of_ids;
  static inline std::atomic<std::uint64_t> wall_less_monotonic_{0};
  static inline std::atomic<std::uint64_t> follow_at_ns_{0};  // written by any thread
};

enum class Minted {
  Yes,
  UsedUp,    // the millisecond has no ids left, and the clock has not passed it
  TooLate,   // 41 bits of milliseconds are over
  NoClock,
};

class Snowflake {
 public:
  // How long a call waits for a clock that stands still, or was set back, before it counts time on.
  static constexpr std::uint64_t kStillNs = 10'000'000;
  static constexpr std::uint64_t kBehindNs = 1'000'000;

  // `settings` without trouble.
  explicit Snowflake(const SnowflakeSettings& settings)
      : settings_(settings), node_(static_cast<std::uint64_t>(settings.node_id) << settings.layout.sequence_bits) {}

  const SnowflakeSettings& settings() const { return settings_; }

  // The next id, never 0. Waits where the millisecond's ids are used up, 10 ms at most.
  template <class Clock>
  Minted next(Clock& clock, std::uint64_t& id) {
    const Minted first = try_next(clock, id);
    if (first != Minted::UsedUp) [[likely]] return first;
    return wait(clock, id);
  }

  // The same without waiting.
  template <class Clock>
  [[gnu::always_inline]] inline Minted try_next(Clock& clock, std::uint64_t& id) {
    State seen;
    std::int64_t now = 0;
    return look(clock, id, seen, now);
  }

  // The rest of next(), after try_next() said UsedUp.
  template <class Clock>
  [[gnu::noinline]] Minted wait(Clock& clock, std::uint64_t& id) {
    State waited_for = ~State{0};
    std::uint64_t since_ns = 0;
    for (;;) {
      State seen;
      std::int64_t now = 0;
      const Minted minted = look(clock, id, seen, now);
      if (minted != Minted::UsedUp) return minted;
      const std::uint64_t steady_ns = clock.steady_ns();
      if (seen != waited_for) {
        waited_for = seen;
        since_ns = steady_ns;
      } else if (steady_ns - since_ns >= (now < time_in(seen) ? kBehindNs : kStillNs)) {
        const Minted ahead = begin(seen, time_in(seen) + 1, id);
        if (ahead != Minted::UsedUp) return ahead;
        continue;  // another thread came first
      }
      clock.pause();
    }
  }

 private:
  using State = std::uint64_t;  // milliseconds << 22 | sequence of the newest id; the word only grows

  static std::int64_t time_in(State state) { return static_cast<std::int64_t>(state >> kSnowflakeFreeBits); }
  static std::uint64_t sequence_in(State state) { return state & ((State{1} << kSnowflakeFreeBits) - 1); }

  // One look at the clock; `seen` and `now` tell what was found where the answer is UsedUp.
  template <class Clock>
  [[gnu::always_inline]] inline Minted look(Clock& clock, std::uint64_t& id, State& seen, std::int64_t& now) {
    for (;;) {
      seen = state_.load(std::memory_order_relaxed);
      if (!clock.now_ms(now)) [[unlikely]] return Minted::NoClock;
      now -= settings_.offset_ms;
      if (now > time_in(seen)) {
        const Minted begun = begin(seen, now, id);
        if (begun != Minted::UsedUp) return begun;
      } else if (sequence_in(seen) < static_cast<std::uint64_t>(settings_.layout.max_sequence())) {
        if (!replace(seen, seen + 1)) continue;
        id = id_of(seen + 1);
        return Minted::Yes;
      } else {
        return Minted::UsedUp;
      }
    }
  }

  // The first id of a millisecond; UsedUp where another thread came first.
  Minted begin(State seen, std::int64_t time_ms, std::uint64_t& id) {
    if (time_ms >> kSnowflakeTimeBits != 0) [[unlikely]] return Minted::TooLate;
    const State begun = static_cast<State>(time_ms) << kSnowflakeFreeBits;
    if (!replace(seen, begun)) return Minted::UsedUp;
    id = id_of(begun);
    return Minted::Yes;
  }

  // Relaxed: nothing is published by an id, and threads agree on the order of one word's values.
  bool replace(State seen, State wanted) {
    return state_.compare_exchange_strong(seen, wanted, std::memory_order_relaxed);
  }

  std::uint64_t id_of(State state) const {
    return state >> kSnowflakeFreeBits << settings_.layout.shift() | node_ | sequence_in(state);
  }

  // Written by every minting thread; alone on its line, and on the one that is fetched with it.
  alignas(128) std::atomic<State> state_{0};
  alignas(128) SnowflakeSettings settings_;
  std::uint64_t node_;
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace whence
