// Snowflake ids: layout, order, clocks that stand, jump or end, and threads. R2.6

#include <cstdint>
#include <thread>
#include <vector>

#include "check.hpp"
#include "whence/snowflake.hpp"

using namespace whence;

namespace {

// Tells each of `times` once, the last for ever; a pause is a millisecond of steady time.
struct ToldClock {
  std::vector<std::int64_t> times;
  std::size_t at = 0;
  std::uint64_t steady = 0;
  int pauses = 0;

  bool now_ms(std::int64_t& now) {
    if (times.empty()) return false;
    now = times[at];
    if (at + 1 < times.size()) ++at;
    return true;
  }
  std::uint64_t steady_ns() { return steady; }
  void pause() {
    steady += 1'000'000;
    ++pauses;
  }
};

SnowflakeSettings node(std::int64_t id, int node_bits = 10, int sequence_bits = 12, std::int64_t offset_ms = 0) {
  return {id, {node_bits, sequence_bits}, offset_ms};
}

std::uint64_t next(Snowflake& flakes, ToldClock& clock) {
  std::uint64_t id = 0;
  CHECK(flakes.next(clock, id) == Minted::Yes);
  return id;
}

void parts_lie_where_the_layout_says() {
  check::scene("an id holds time, node and sequence, shifted by the bits in use");
  ToldClock clock{{1, 1}};
  Snowflake flakes(node(7));
  CHECK_EQ(next(flakes, clock), 4222976u);
  CHECK_EQ(next(flakes, clock), 4222977u);
  ToldClock small_clock{{5}};
  Snowflake small(node(3, 2, 3));
  const std::uint64_t id = next(small, small_clock);
  CHECK_EQ(id, (5u << 5) | (3u << 3));
  const SnowflakeLayout layout{2, 3};
  CHECK_EQ(layout.timestamp_of(id), 5u);
  CHECK_EQ(layout.node_of(id), 3u);
  CHECK_EQ(layout.sequence_of(next(small, small_clock)), 1u);
}

void zero_is_never_an_id() {
  check::scene("at the very beginning of time the sequence begins at 1");
  ToldClock clock{{0, 0}};
  Snowflake flakes(node(0));
  CHECK_EQ(next(flakes, clock), 1u);
  CHECK_EQ(next(flakes, clock), 2u);
  ToldClock narrow_clock{{0, 0, 0, 1}};
  Snowflake narrow(node(0, 0, 0));
  CHECK_EQ(next(narrow, narrow_clock), 1u);
}

void a_used_up_sequence_waits_for_the_next_millisecond() {
  check::scene("the sequence begins at 0 again once the clock passed the millisecond");
  ToldClock clock{{3, 3, 3, 3, 3, 3, 4, 4}};
  Snowflake flakes(node(1, 1, 2));
  for (std::uint64_t sequence = 0; sequence < 4; ++sequence) CHECK_EQ(next(flakes, clock), (3u << 3 | 1u << 2) + sequence);
  CHECK_EQ(next(flakes, clock), 4u << 3 | 1u << 2);
  CHECK_EQ(clock.pauses, 1);
}

void a_clock_set_back_stops_nothing_for_long() {
  check::scene("behind the newest id the sequence goes on, and then time is counted on");
  ToldClock clock{{7, 4, 7, 8}};
  Snowflake flakes(node(7));
  CHECK_EQ(next(flakes, clock), 29388800u);
  CHECK_EQ(next(flakes, clock), 29388801u);
  CHECK_EQ(next(flakes, clock), 29388802u);
  CHECK_EQ(next(flakes, clock), 33583104u);
  ToldClock set_back{{3'600'000, 1}};  // by an hour
  Snowflake behind(node(0, 0, 1));
  std::uint64_t last = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t id = next(behind, set_back);
    CHECK(id > last);
    last = id;
  }
  CHECK_EQ(set_back.pauses, 49);  // a millisecond for each pair of ids but the first
  CHECK_EQ(last >> 1, 3'600'049u);
}

void a_clock_that_stands_still_stops_nothing_for_long() {
  check::scene("a frozen clock costs ten milliseconds a sequence");
  ToldClock frozen{{9}};
  Snowflake flakes(node(0, 0, 0));
  CHECK_EQ(next(flakes, frozen), 9u);
  CHECK_EQ(next(flakes, frozen), 10u);
  CHECK_EQ(frozen.pauses, 10);
}

void what_does_not_fit_is_refused() {
  check::scene("times beyond 41 bits, and a clock that cannot be read, make no id");
  std::uint64_t id = 0;
  ToldClock last{{(1ll << 41) - 1}};
  Snowflake flakes(node(1023));
  CHECK_EQ(next(flakes, last) >> 63, 0u);
  ToldClock late{{1ll << 41}};
  CHECK(flakes.next(late, id) == Minted::TooLate);
  Snowflake narrow(node(0, 0, 0));
  next(narrow, last);
  CHECK(narrow.next(last, id) == Minted::TooLate);  // nor is time counted on beyond them
  ToldClock none{};
  CHECK(flakes.next(none, id) == Minted::NoClock);
  CHECK_EQ(node(5, 2, 3).trouble(0), "must be >= 0 && <= 3: node_id=5");
  CHECK_EQ(node(0, -3, 3).trouble(0), "must be >= 0: node_bits=-3");
  CHECK_EQ(node(0, 3, -1).trouble(0), "must be >= 0: seq_bits=-1");
  CHECK_EQ(node(0, 10, 13).trouble(0), "too many bits used: node_bits=10 + seq_bits=13 > 22");
  CHECK_EQ(node(0, 10, 12, -6).trouble(0), "must be >= 0: offset_ms=-6");
  CHECK_EQ(node(0, 10, 12, 256).trouble(42), "offset_ms=256 > now_ms=42");
  CHECK_EQ(node(0).trouble(0), "");
}

void a_clock_before_the_offset_is_a_clock_set_back() {
  check::scene("a clock that falls behind the offset makes no negative times");
  ToldClock clock{{100, 50}};
  Snowflake flakes(node(0, 10, 12, 100));
  CHECK_EQ(next(flakes, clock), 1u);
  CHECK_EQ(next(flakes, clock), 2u);
}

}  // namespace

int main() {
  parts_lie_where_the_layout_says();
  zero_is_never_an_id();
  a_used_up_sequence_waits_for_the_next_millisecond();
  a_clock_set_back_stops_nothing_for_long();
  a_clock_that_stands_still_stops_nothing_for_long();
  what_does_not_fit_is_refused();
  a_clock_before_the_offset_is_a_clock_set_back();
  return check::finish("snowflake_test");
}
