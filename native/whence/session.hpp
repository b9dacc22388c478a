// The session that this process writes: its folder, dictionary, gates and log of gate changes.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "gate.hpp"
#include "names.hpp"
#include "session_files.hpp"

namespace whence {

class Session {
 public:
  // Makes the folder and its files; where that fails, the same in plain memory (`on_disk()` false,
  // `trouble()` says why): recording goes on, only nothing outlives the process.
  static Session* create(std::uint64_t run, std::string_view description, ClockSource source) {
    auto* session = new Session;  // lives as long as the process: emitters point into it
    session->identity_ = new_identity(run);
    if (!session->create_on_disk(description, source)) session->create_in_memory(description, source);
    session->names_ = std::make_unique<NameTable>(session->names_region_, session->identity_.uuid);
    if (session->on_disk() && !session->publish()) session->trouble_ = std::strerror(errno);
    return session;
  }

  const SessionIdentity& identity() const { return identity_; }
  bool on_disk() const { return folder_ >= 0; }
  const std::string& path() const { return path_; }
  const std::string& trouble() const { return trouble_; }
  int folder() const { return folder_; }
  NameTable& names() { return *names_; }
  const std::byte* file() const { return session_region_.base; }
  GateWord* gate(std::uint16_t kind) const {
    return reinterpret_cast<GateWord*>(control_.base + kGatesOffset) + kind;
  }
  // Events that no ring could be had for, and kinds that the dictionary has no room for.
  std::atomic<std::uint64_t> unrecorded{0};
  std::atomic<std::uint64_t> unnamed_kinds{0};

  // Proves when a kind was off. Lost on a full disk, like anything else there.
  void log_gate(std::uint16_t kind, std::uint64_t before, std::uint64_t after) {
    if (gates_log_ < 0) return;
    GateRecord record{monotonic_ns(), kind, 0, before, after};
    record.crc = crc32(&record.before, 16, crc32(&record, 12));
    while (write(gates_log_, &record, sizeof record) < 0 && errno == EINTR) {
    }
  }

  // Adds a (monotonic, wall) anchor when the wall clock was set since the last one.
  void anchor_wall_clock() {
    if (anchoring_.test_and_set(std::memory_order_acquire)) return;
    const std::uint64_t wall = wall_ns();
    const std::uint64_t monotonic = monotonic_ns();
    const auto offset = static_cast<std::int64_t>(wall - monotonic);
    const std::int64_t moved = offset - wall_offset_;
    if (moved > 1'000'000 || moved < -1'000'000) {
      if (wall_offset_ != 0) add_anchor(session_region_.base, {monotonic, wall});
      wall_offset_ = offset;
    }
    anchoring_.clear(std::memory_order_release);
  }

  // In a forked child: give the parent's lock and files back without touching them.
  void abandon() {
    for (int* fd : {&lock_fd_, &folder_, &gates_log_, &names_region_.fd}) {
      if (*fd >= 0) close(*fd);
      *fd = -1;
    }
  }

 private:
  Session() = default;

  bool create_on_disk(std::string_view description, ClockSource source) {
    const std::string base_path = base_folder();
    const int base = open_base_folder(base_path);
    if (base < 0) {
      trouble_ = base_path + ": " + std::strerror(errno);
      return false;
    }
    hidden_ = ".new-" + identity_.name;
    const bool made = make_folder(base) && make_files(description, source);
    if (!made) {
      trouble_ = base_path + ": " + std::strerror(errno);
      discard(base);
      close(base);
      return false;
    }
    base_ = base;
    path_ = base_path + "/" + identity_.name;
    return true;
  }

  bool make_folder(int base) {
    if (mkdirat(base, hidden_.c_str(), kFolderMode) != 0) return false;
    folder_ = openat(base, hidden_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return folder_ >= 0;
  }

  bool make_files(std::string_view description, ClockSource source) {
    session_region_ = create_file_region(folder_, "session", kSessionBytes, kFileMode, 0, true);
    if (!session_region_) return false;
    lock_fd_ = session_region_.fd;
    fill_session(session_region_.base, identity_, description, source);
    if (!detail::lock_for_life(lock_fd_)) return false;
    control_ = create_file_region(folder_, "control", kControlBytes, kFileMode);
    if (!control_) return false;
    fill_control();
    names_region_ =
        create_file_region(folder_, "names", kNamesBytes, kFileMode, kNamesMaxBytes, true);
    if (!names_region_) return false;
    gates_log_ = openat(folder_, "gates",
                        O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY | O_APPEND, kFileMode);
    return gates_log_ >= 0;
  }

  // Only a complete folder gets its name.
  bool publish() {
    const int renamed = renameat(base_, hidden_.c_str(), base_, identity_.name.c_str());
    const int error = errno;
    close(base_);
    errno = error;
    return renamed == 0;
  }

  void discard(int base) {
    const int error = errno;
    if (folder_ >= 0) {
      for (const char* name : {"session", "control", "names", "gates"}) unlinkat(folder_, name, 0);
    }
    abandon();
    unlinkat(base, hidden_.c_str(), AT_REMOVEDIR);
    errno = error;
  }

  void create_in_memory(std::string_view description, ClockSource source) {
    session_region_ = anonymous_region(kSessionBytes);
    control_ = anonymous_region(kControlBytes);
    names_region_ = anonymous_region(kNamesBytes);
    if (!session_region_ || !control_ || !names_region_) std::abort();  // not even 300 KiB of memory
    fill_session(session_region_.base, identity_, description, source);
    fill_control();
  }

  void fill_control() {
    const SmallHeader header = detail::small_header(kControlMagic, kControlBytes, identity_.uuid);
    std::memcpy(control_.base, &header, sizeof header);
  }

  SessionIdentity identity_;
  std::string path_;
  std::string hidden_;
  std::string trouble_;
  int base_ = -1;
  int folder_ = -1;
  int lock_fd_ = -1;
  int gates_log_ = -1;
  Region session_region_;
  Region control_;
  Region names_region_;
  std::unique_ptr<NameTable> names_;
  std::atomic_flag anchoring_ = ATOMIC_FLAG_INIT;
  std::int64_t wall_offset_ = 0;  // guarded by anchoring_
};

}  // namespace whence
