// Eight threads mint from one generator, under a clock that jumps: every id is unique. R2.6

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "check.hpp"
#include "whence/snowflake.hpp"

using namespace whence;

namespace {

constexpr int kThreads = 8;
constexpr std::size_t kEach = 125'000;  // a million in all

// The machine's clock, but a thread of its own sets it back and forth.
std::atomic<std::int64_t> g_moved_ms{0};
struct JumpingClock : MachineMilliseconds {
  bool now_ms(std::int64_t& now) {
    MachineMilliseconds::now_ms(now);
    now += g_moved_ms.load(std::memory_order_relaxed);
    return true;
  }
};

void round_of(Snowflake& flakes, std::vector<std::uint64_t>& all) {
  std::vector<std::vector<std::uint64_t>> each(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (auto& mine : each)
    threads.emplace_back([&flakes, &mine] {
      JumpingClock clock;
      mine.resize(kEach);
      std::uint64_t last = 0;
      bool increasing = true;
      for (auto& id : mine) {
        increasing &= flakes.next(clock, id) == Minted::Yes && id > last;
        last = id;
      }
      CHECK(increasing);
    });
  for (auto& thread : threads) thread.join();
  all.clear();
  for (const auto& mine : each) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

}  // namespace

int main(int argc, char** argv) {
  check::scene("ids of eight threads are unique, and increase in each of them");
  const std::chrono::seconds seconds(argc > 1 ? std::atoi(argv[1]) : 2);
  const auto end = std::chrono::steady_clock::now() + seconds;
  Snowflake flakes({7, {}, 0});
  std::atomic<bool> done{false};
  std::thread mover([&done] {
    for (std::int64_t i = 0; !done.load(); ++i) {
      g_moved_ms.store(i % 7 * 3 - 9, std::memory_order_relaxed);
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  std::vector<std::uint64_t> ids;
  int rounds = 0;
  std::uint64_t newest = 0;
  do {
    round_of(flakes, ids);
    CHECK(ids.front() > newest);
    newest = ids.back();
    ++rounds;
  } while (std::chrono::steady_clock::now() < end);
  done.store(true);
  mover.join();
  std::printf("%d rounds of %zu ids\n", rounds, kThreads * kEach);
  return check::finish("snowflake_stress");
}
