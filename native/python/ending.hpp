// What a thread may still do while the interpreter ends.
//
// Up to Python 3.13 a daemon thread that asks for the GIL then is ended by pthread_exit(), from
// within whichever call asked: our frames are unwound, their destructors run, without the GIL.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <cxxabi.h>
#include <unistd.h>

#include <atomic>

namespace whence::py {

// Set by an atexit function, before the interpreter ends any thread, on the thread that ends it.
inline std::atomic<bool> g_ending{false};
inline thread_local bool t_ends_interpreter = false;

inline bool is_ending() {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing();
#else
  return _Py_IsFinalizing();
#endif
}

// Will this thread, which runs, never have the GIL again? Only a thread that is being unwound asks
// and finds so: all others wait for the GIL.
[[gnu::cold, gnu::noinline]] inline bool is_killed_thread() { return is_ending() && !t_ends_interpreter; }

// What later Pythons do with such a thread.
[[noreturn, gnu::cold, gnu::noinline]] inline void stop_thread() {
  for (;;) pause();
}

inline void note_ending() {
  t_ends_interpreter = true;
  g_ending.store(true, std::memory_order_relaxed);
}

}  // namespace whence::py
