// Long request ids remembered from drain to drain: the newest, within bounds, by any thread.

#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "whence/long_requests.hpp"

using namespace whence;

namespace {

RequestFingerprint print_of(std::uint64_t number) { return {{number * 0x9e3779b97f4a7c15ull, number}}; }

void the_newest_half_is_always_kept() {
  check::scene("whatever is told, the ids of the last half of the room are there");
  LongRequests ids(100 * (80 + 20));
  for (std::uint64_t n = 0; n < 1'000; ++n) {
    ids.remember(print_of(n), std::string(16, 'r') + std::to_string(1'000 + n));
    for (std::uint64_t back = 0; back < 50 && back <= n; ++back) {
      const auto found = ids.find(print_of(n - back));
      CHECK(found.has_value());
      CHECK_EQ(found.value_or("none"), std::string(16, 'r') + std::to_string(1'000 + n - back));
    }
    if (n >= 100) CHECK(!ids.find(print_of(n - 100)).has_value());
  }
}

void an_id_larger_than_the_room_is_not_kept() {
  check::scene("one id never takes the room of all");
  LongRequests ids(1'000);
  ids.remember(print_of(1), "small");
  ids.remember(print_of(2), std::string(2'000, 'x'));
  CHECK(ids.find(print_of(1)) == "small");
  CHECK(!ids.find(print_of(2)).has_value());
}

void threads_may_share_it() {
  check::scene("what one thread remembers every thread finds");
  LongRequests ids;
  std::vector<std::thread> threads;
  for (std::uint64_t first = 0; first < 4; ++first)
    threads.emplace_back([&ids, first] {
      for (std::uint64_t n = first; n < 2'000; n += 4) {
        ids.remember(print_of(n), std::to_string(n));
        CHECK(ids.find(print_of(n)) == std::to_string(n));
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (std::uint64_t n = 0; n < 2'000; ++n) CHECK(ids.find(print_of(n)) == std::to_string(n));
}

}  // namespace

int main() {
  the_newest_half_is_always_kept();
  an_id_larger_than_the_room_is_not_kept();
  threads_may_share_it();
  return check::finish("long_requests_test");
}
