// Tries until the time is over, and says how often: what `make fuzz` has the hostile tests do.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "check.hpp"

namespace whence::testing {

// The argument SECONDS, or 0 where there is none: a usual test run.
inline int fuzz_seconds(int argc, char** argv) { return argc > 1 ? std::atoi(argv[1]) : 0; }

// Calls `one(seed)`, which says how many inputs it tried, with ever other seeds. A finding ends the
// program where it happens; the seed to begin with again is printed before.
template <class One>
int fuzz_for(const char* target, int seconds, One one) {
  std::uint64_t seed = std::random_device{}();
  std::printf("%s: from seed %llu\n", target, static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::uint64_t executions = 0;
  while (std::chrono::steady_clock::now() < end) executions += one(seed++);
  std::printf("%s: %llu executions\n", target, static_cast<unsigned long long>(executions));
  return check::finish(target);
}

}  // namespace whence::testing
