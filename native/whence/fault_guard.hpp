// Survives mapped files that are truncated: a reader is told so, a writer goes on in memory.
#pragma once

#include <setjmp.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <mutex>

namespace whence {

namespace detail {

inline thread_local sigjmp_buf* t_fault_exit = nullptr;
inline struct sigaction g_previous_fault_action;
// Puts memory where this process's own files were (own_memory.hpp). False: the address is not ours.
inline std::atomic<bool (*)(const siginfo_t*)> g_mend{nullptr};

inline void on_fault(int signal, siginfo_t* info, void* context) {
  if (t_fault_exit != nullptr) siglongjmp(*t_fault_exit, 1);
  const int error = errno;
  const auto mend = g_mend.load(std::memory_order_acquire);
  if (mend != nullptr && mend(info)) {
    errno = error;
    return;
  }
  // Not ours: whoever handled it before does so now; without a handler the process ends as usual.
  if ((g_previous_fault_action.sa_flags & SA_SIGINFO) != 0 &&
      g_previous_fault_action.sa_sigaction != nullptr) {
    g_previous_fault_action.sa_sigaction(signal, info, context);
  } else if (g_previous_fault_action.sa_handler != SIG_DFL &&
             g_previous_fault_action.sa_handler != SIG_IGN) {
    g_previous_fault_action.sa_handler(signal);
  } else {
    sigaction(SIGBUS, &g_previous_fault_action, nullptr);
    raise(SIGBUS);
  }
}

}  // namespace detail

// For processes that map rings, their own or others'. What a host installs later comes before ours.
inline void install_fault_guard() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = detail::on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &detail::g_previous_fault_action);
  });
}

// Runs `read`, which must hold nothing that a jump out of it would leak. False: SIGBUS came.
template <class Read>
bool guarded(Read&& read) {
  sigjmp_buf exit;
  sigjmp_buf* const outer = detail::t_fault_exit;
  if (sigsetjmp(exit, 1) != 0) {
    detail::t_fault_exit = outer;
    return false;
  }
  detail::t_fault_exit = &exit;
  read();
  detail::t_fault_exit = outer;
  return true;
}

}  // namespace whence
