// Calls back after every machine instruction of a piece of code, by the processor's trap flag.
//
// The callback sees memory exactly as a kill at that instruction would leave it. Not under
// ThreadSanitizer, which delivers signals late, and not on other processors.
#pragma once

#if defined(__x86_64__) && !defined(WHENCE_TSAN)
#define WHENCE_CAN_STEP 1

#include <ucontext.h>

#include <csignal>
#include <cstdint>

namespace single_step {

constexpr std::uint64_t kTrapFlag = 0x100;
inline bool (*after_each)() = nullptr;

inline void on_trap(int, siginfo_t*, void* context) {
  if (!after_each())
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~static_cast<long>(kTrapFlag);
}

// Runs `code`, calling `callback` after each instruction until it returns false.
template <class Code>
[[gnu::noinline]] void run(bool (*callback)(), Code&& code) {
  after_each = callback;
  struct sigaction action {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, nullptr);
  __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | kTrapFlag);
  code();
  __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~kTrapFlag);
}

}  // namespace single_step

#endif
