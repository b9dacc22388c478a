// CHECK and CHECK_EQ for the test programs: a failure is printed, and finish() returns it.
#pragma once

#include <atomic>
#include <cstdio>
#include <sstream>
#include <string>

namespace check {

inline std::atomic<long> done{0};
inline std::atomic<long> failed{0};

// A thread's own count: a shared one would order the very threads that are to race.
struct Tally {
  long count = 0;
  ~Tally() { done.fetch_add(count, std::memory_order_relaxed); }
};
inline thread_local Tally tally;
inline thread_local const char* sentence = "";  // what the checks that follow hold

inline void scene(const char* what_is_true) { sentence = what_is_true; }

inline bool that(bool held, const char* text, const char* file, int line, const std::string& more) {
  ++tally.count;
  if (held) return true;
  if (failed.fetch_add(1, std::memory_order_relaxed) < 20)  // the first ones tell enough
    std::fprintf(stderr, "%s:%d: not true that %s\n  %s%s\n", file, line, sentence, text,
                 more.c_str());
  return false;
}

template <class A, class B>
bool equal(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return that(true, text, file, line, "");
  std::ostringstream values;
  values << "   (" << a << " and " << b << ")";
  return that(false, text, file, line, values.str());
}

inline int finish(const char* program) {
  std::printf("%s: %ld checks, %ld failed\n", program, done.load() + tally.count, failed.load());
  return failed.load() == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(...) \
  ::check::that(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__, "")
#define CHECK_EQ(a, b) ::check::equal(a, b, #a " == " #b, __FILE__, __LINE__)
