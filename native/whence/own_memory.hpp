// What this process writes to: when somebody cuts one of its files short, plain memory takes over.
//
// A store beyond the end of a mapped file is a SIGBUS, which would end the host program. The handler
// (fault_guard.hpp) comes here, puts memory at the same addresses and lets the store happen again.
// An event costs nothing for it; nothing here allocates or locks in the handler.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "fault_guard.hpp"
#include "region.hpp"
#include "ring_writer.hpp"

namespace whence {

class OwnMemory {
 public:
  static OwnMemory& get() {
    static OwnMemory memory;
    return memory;
  }

  // The calling thread's own ring, or null; set by the recorder.
  RingWriter* (*writer_of_this_thread)() = nullptr;

  // From here on the region may lose its file. `shadow` is shared memory with what it should hold
  // then, else it holds zeros; a `writer` is then told to leave its ring. One thread at a time.
  void add(const Region& region, std::byte* shadow, RingWriter* writer = nullptr, bool shared = false) {
    if (table_ == nullptr) return;
    install_fault_guard();
    detail::g_mend.store([](const siginfo_t* info) { return get().mend(info); });
    const std::uint32_t used = table_->used.load(std::memory_order_relaxed);
    std::uint32_t at = 0;
    while (at < used && table_->entries[at].base.load(std::memory_order_relaxed) != nullptr) ++at;
    if (at == kMost) return;  // a process of that many threads goes on as before
    Entry& entry = table_->entries[at];
    entry.bytes = region.bytes;
    entry.shadow = shadow;
    entry.writer = writer;
    entry.shared = shared;
    entry.lost.store(false, std::memory_order_relaxed);
    entry.base.store(region.base, std::memory_order_release);
    if (at == used) table_->used.store(used + 1, std::memory_order_release);
  }

  // Before the region is unmapped. One thread at a time, as for add().
  void forget(const std::byte* base) {
    if (Entry* entry = entry_at(base)) entry->base.store(nullptr, std::memory_order_release);
  }
  // In a forked child: it has none of these regions.
  void forget_all() {
    if (table_ != nullptr) table_->used.store(0, std::memory_order_release);
    lost_.store(0);
  }

  bool is_lost(const std::byte* base) const {
    const Entry* entry = entry_at(base);
    return entry != nullptr && entry->lost.load(std::memory_order_relaxed);
  }
  // How many regions lost their file.
  std::uint32_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::uint32_t kMost = 4096;

  struct Entry {
    std::atomic<std::byte*> base;  // null: free
    std::size_t bytes;
    std::byte* shadow;
    RingWriter* writer;
    bool shared;
    std::atomic<bool> lost;
  };
  struct Table {
    std::atomic<std::uint32_t> used;
    Entry entries[kMost];
  };

  OwnMemory() : table_(static_cast<Table*>(wiped_on_fork(sizeof(Table)))) {}

  // In the handler: was that address ours, and is there memory now?
  bool mend(const siginfo_t* info) {
    if (info->si_code <= 0) return info->si_pid == getpid() && mend_unreadable();
    const auto* address = static_cast<const std::byte*>(info->si_addr);
    for (std::uint32_t i = 0; i < used(); ++i) {
      Entry& entry = table_->entries[i];
      const std::byte* base = entry.base.load(std::memory_order_acquire);
      if (base != nullptr && address >= base && address < base + entry.bytes)
        return replace(entry) && is_readable(address);
    }
    return false;
  }

  // A handler installed after ours, as faulthandler's may be, passes the signal on by raising it
  // again: the address is gone, and the fault comes back when nothing is found to be mended.
  bool mend_unreadable() {
    bool mended = false;
    for (std::uint32_t i = 0; i < used(); ++i) {
      Entry& entry = table_->entries[i];
      const std::byte* base = entry.base.load(std::memory_order_acquire);
      if (base == nullptr || entry.lost.load(std::memory_order_relaxed)) continue;
      const bool others = entry.writer != nullptr && !entry.shared &&
                          (writer_of_this_thread == nullptr || writer_of_this_thread() != entry.writer);
      if (others) continue;  // its thread will come here itself
      for (std::size_t at = 0; at < entry.bytes; at += 4096)
        if (!is_readable(base + at)) {
          mended |= replace(entry);
          break;
        }
    }
    return mended;
  }

  bool replace(Entry& entry) {
    if (entry.lost.exchange(true)) return true;  // by another thread, just now
    std::byte* base = entry.base.load(std::memory_order_relaxed);
    void* at = MAP_FAILED;
#ifdef MREMAP_FIXED
    if (entry.shadow != nullptr)  // of size 0: the same memory at a second place
      at = mremap(entry.shadow, 0, entry.bytes, MREMAP_MAYMOVE | MREMAP_FIXED, base);
#endif
    if (at == MAP_FAILED)
      at = mmap(base, entry.bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (at == MAP_FAILED) return false;
    if (entry.writer != nullptr) {
      keep_from_children({base, entry.bytes, -1});
      entry.writer->leave_ring();
    }
    lost_.fetch_add(1);
    return true;
  }

  // Asks the kernel, which answers EFAULT where a load would be a signal.
  static bool is_readable(const std::byte* address) {
    const auto aligned = reinterpret_cast<std::uintptr_t>(address) & ~std::uintptr_t{7};
    syscall(SYS_rt_sigprocmask, -1, aligned, nullptr, 8);  // no such way of setting: changes nothing
    return errno != EFAULT;
  }

  std::uint32_t used() const {
    return table_ != nullptr ? table_->used.load(std::memory_order_acquire) : 0;
  }
  Entry* entry_at(const std::byte* base) const {
    for (std::uint32_t i = 0; i < used(); ++i)
      if (table_->entries[i].base.load(std::memory_order_relaxed) == base) return &table_->entries[i];
    return nullptr;
  }

  Table* table_;  // zero in a forked child, even after a raw clone()
  std::atomic<std::uint32_t> lost_{0};
};

}  // namespace whence
