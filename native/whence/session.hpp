// The session that this process writes: its folder, dictionary, gates and log of gate changes.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "gate.hpp"
#include "names.hpp"
#include "own_memory.hpp"
#include "rules.hpp"
#include "session_files.hpp"

namespace whence {

class Session {
 public:
  // Makes the folder and its files; where that fails, the same in plain memory (`on_disk()` false,
  // `trouble()` says why): recording goes on, only nothing outlives the process.
  // Null: the folder has no room for it, and memory will not do.
  static Session* create(std::uint64_t run, std::uint64_t request_seed, std::string_view description,
                         ClockSource source, bool memory_will_do) {
    auto* session = new Session;  // lives as long as the process: emitters point into it
    session->identity_ = new_identity(run, request_seed);
    session->on_disk_ = session->create_on_disk(description, source);
    if (session->on_disk()) return session;
    if (session->folder_full_ && !memory_will_do) {
      delete session;
      return nullptr;
    }
    session->create_in_memory(description, source);
    return session;
  }

  const SessionIdentity& identity() const { return identity_; }
  bool on_disk() const { return on_disk_; }
  const std::string& path() const { return path_; }
  const std::string& trouble() const { return trouble_; }
  // The open folder; -1 where there is none, or the host closed it.
  int folder() const { return folder_.fd(); }
  NameTable& names() { return *names_; }
  const std::byte* file() const { return session_region_.base; }
  GateWord* gate(std::uint16_t kind) const {
    return reinterpret_cast<GateWord*>(control_.base + kGatesOffset) + kind;
  }
  std::byte* rules_bytes() const { return control_.base + kRulesOffset; }
  Rules rules() const { return Rules(rules_bytes()); }
  // Events that no memory could be had for.
  std::atomic<std::uint64_t> unrecorded{0};

  // A ring of an ended collector is removed to make room: the ledger must still add up.
  void count_removed_ring(std::uint64_t events) {
    add_to<std::uint64_t>(kRemovedRingsOffset, 1);
    add_to<std::uint64_t>(kRemovedEventsOffset, events);
  }

  // Noted where other processes find them: kUnnamedKindsOffset or kMemoryRingsOffset.
  std::uint32_t count_missing(std::size_t offset) { return add_to<std::uint32_t>(offset, 1); }
  std::uint32_t count_of(std::size_t offset) const { return count_at<std::uint32_t>(control_.base + offset).load(); }

  // Proves when a kind was off. Lost on a full disk, like anything else there.
  void log_gate(std::uint16_t kind, std::uint64_t before, std::uint64_t after) {
    keep_gate(kind, after);
    const int fd = gates_log_.fd();
    if (fd < 0) return;
    GateRecord record{monotonic_ns(), kind, 0, before, after};
    record.crc = crc32(&record.before, 16, crc32(&record, 12));
    while (write(fd, &record, sizeof record) < 0 && errno == EINTR) {
    }
  }

  // What a gate and the rules would be if the control page lost its file.
  void keep_gate(std::uint16_t kind, std::uint64_t word) {
    if (shadow_) reinterpret_cast<GateWord*>(shadow_.base + kControlShadow + kGatesOffset)[kind].store(word);
  }
  void keep_rules() {
    if (shadow_)
      std::memcpy(shadow_.base + kControlShadow + kRulesOffset, rules_bytes(), Rules::kBytes);
  }

  // Adds a (monotonic, wall) anchor when the wall clock was set since the last one.
  void anchor_wall_clock() {
    if (anchoring_.test_and_set(std::memory_order_acquire)) return;
    const std::uint64_t wall = wall_ns();
    const std::uint64_t monotonic = monotonic_ns();
    const auto offset = static_cast<std::int64_t>(wall - monotonic);
    const std::int64_t moved = offset - wall_offset_;
    if (moved > 1'000'000 || moved < -1'000'000) {
      if (wall_offset_ != 0) {
        if (shadow_) add_anchor(shadow_.base, {monotonic, wall});
        add_anchor(session_region_.base, {monotonic, wall});
      }
      wall_offset_ = offset;
    }
    anchoring_.clear(std::memory_order_release);
  }

  // In a forked child: give the parent's lock and files back without touching them.
  void abandon() {
    for (KeptFile* file : {&session_region_.file, &folder_, &gates_log_, &names_region_.file})
      file->close();
  }
  // In a child that was forked: the parent's control page is still read here.
  void guard_control() const {
    if (shadow_) OwnMemory::get().add({control_.base, kControlPages, {}}, shadow_.base + kControlShadow);
  }

 private:
  // What the files hold, once more: session, control and names.
  static constexpr std::size_t kControlPages = (kControlBytes + 4095) / 4096 * 4096;
  static constexpr std::size_t kControlShadow = kSessionBytes;
  static constexpr std::size_t kNamesShadow = kControlShadow + kControlPages;

  Session() = default;

  template <class Count>
  static std::atomic_ref<Count> count_at(std::byte* at) {
    return std::atomic_ref(*reinterpret_cast<Count*>(at));
  }
  // Counts are kept in the shadow, too. The recorder's lock is held.
  template <class Count>
  Count add_to(std::size_t offset, Count more) {
    const Count sum = count_at<Count>(control_.base + offset).fetch_add(more) + more;
    if (shadow_) count_at<Count>(shadow_.base + kControlShadow + offset).store(sum);
    return sum;
  }

  bool create_on_disk(std::string_view description, ClockSource source) {
    const std::string base_path = base_folder();
    const int base = open_base_folder(base_path);
    if (base < 0) {
      trouble_ = base_path + ": " + base_folder_problem(base_path, errno);
      return false;
    }
    const std::string hidden = ".new-" + identity_.name;
    // Only a complete folder gets its name.
    const bool made = open_new_folder(base, hidden) && make_files(description, source) &&
                      renameat(base, hidden.c_str(), base, identity_.name.c_str()) == 0;
    if (made) guard_files();
    if (!made) {
      folder_full_ = errno == ENOSPC || errno == EDQUOT;
      trouble_ = base_path + ": " + std::strerror(errno);
      discard(base, hidden);
    }
    close(base);
    path_ = made ? base_path + "/" + identity_.name : std::string();
    return made;
  }

  bool open_new_folder(int base, const std::string& hidden) {
    if (!make_folder(base, hidden.c_str())) return false;
    const int fd = openat(base, hidden.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    folder_ = KeptFile(fd);
    return fd >= 0;
  }

  bool make_files(std::string_view description, ClockSource source) {
    const int folder = folder_.fd();
    session_region_ = create_file_region(folder, "session", kSessionBytes, file_mode(), 0, true);
    if (!session_region_) return false;
    fill_session(session_region_.base, identity_, description, source);
    if (!detail::lock_for_life(session_region_.file.fd())) return false;
    keep_from_children(session_region_);
    // A second mapping holds the lock even where plain memory must take the place of the first.
    void* lock = mmap(nullptr, 4096, PROT_NONE, MAP_SHARED, session_region_.file.fd(), 0);
    if (lock != MAP_FAILED) {
      lock_holder_ = Region{static_cast<std::byte*>(lock), 4096, {}};
      keep_from_children(lock_holder_);
    }
#ifdef F_OFD_SETLK
    // The mapping holds the lock from here on: no child inherits it, however it was made, and no
    // host loses it by closing descriptors.
    session_region_.file.close();
#endif
    control_ = create_file_region(folder, "control", kControlBytes, file_mode());
    if (!control_) return false;
    fill_control();
    names_region_ = create_file_region(folder, "names", kNamesBytes, file_mode(), kNamesMaxBytes, true);
    if (!names_region_) return false;
    shadow_ = shared_region(kNamesShadow + kNamesMaxBytes);
    names_ = std::make_unique<NameTable>(names_region_, identity_.uuid,
                                         shadow_ ? shadow_.base + kNamesShadow : nullptr);
    const int gates = openat(folder, "gates",
                             O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY | O_APPEND,
                             file_mode());
    gates_log_ = KeptFile(gates);
    return gates >= 0 && fchmod(gates, file_mode()) == 0;
  }

  void guard_files() {
    if (!shadow_) return;
    keep_from_children({shadow_.base + kNamesShadow, kNamesMaxBytes, {}});
    std::memcpy(shadow_.base, session_region_.base, kSessionBytes);
    std::memcpy(shadow_.base + kControlShadow, control_.base, kControlBytes);
    OwnMemory& memory = OwnMemory::get();
    memory.add(session_region_, shadow_.base);
    memory.add({control_.base, kControlPages, {}}, shadow_.base + kControlShadow);
    memory.add({names_region_.base, kNamesMaxBytes, {}}, shadow_.base + kNamesShadow);
  }

  // Leaves nothing of a folder that could not be completed, least of all memory of a full disk.
  void discard(int base, const std::string& hidden) {
    const int error = errno;
    if (const int folder = folder_.fd(); folder >= 0)
      for (const char* name : {"session", "control", "names", "gates"}) unlinkat(folder, name, 0);
    abandon();
    unlinkat(base, hidden.c_str(), AT_REMOVEDIR);
    names_.reset();
    if (session_region_) munmap(session_region_.base, session_region_.bytes);
    if (control_) munmap(control_.base, control_.bytes);
    if (names_region_) munmap(names_region_.base, kNamesMaxBytes);
    if (shadow_) munmap(shadow_.base, shadow_.bytes);
    if (lock_holder_) munmap(lock_holder_.base, lock_holder_.bytes);
    shadow_ = lock_holder_ = {};
    errno = error;
  }

  void create_in_memory(std::string_view description, ClockSource source) {
    // The last resort lies in the program's image: no host shall end for want of 300 KiB.
    alignas(4096) static std::byte last_resort[kSessionBytes + kControlPages + kNamesBytes];
    std::byte* reserve = last_resort;
    for (auto [region, bytes] : {std::pair{&session_region_, kSessionBytes},
                                 {&control_, kControlPages},
                                 {&names_region_, kNamesBytes}}) {
      *region = anonymous_region(bytes);
      if (!*region) *region = Region{static_cast<std::byte*>(std::memset(reserve, 0, bytes)), bytes, {}};
      reserve += bytes;
    }
    fill_session(session_region_.base, identity_, description, source);
    fill_control();
    names_ = std::make_unique<NameTable>(names_region_, identity_.uuid);
  }

  void fill_control() {
    const SmallHeader header = detail::small_header(kControlMagic, kControlBytes, identity_.uuid);
    std::memcpy(control_.base, &header, sizeof header);
  }

  SessionIdentity identity_;
  std::string path_;
  std::string trouble_;
  bool on_disk_ = false;
  bool folder_full_ = false;
  KeptFile folder_;
  KeptFile gates_log_;
  Region session_region_;  // holds the lock that tells readers that this process lives
  Region lock_holder_;
  Region shadow_;
  Region control_;
  Region names_region_;
  std::unique_ptr<NameTable> names_;
  std::atomic_flag anchoring_ = ATOMIC_FLAG_INIT;
  std::int64_t wall_offset_ = 0;  // guarded by anchoring_
};

}  // namespace whence
