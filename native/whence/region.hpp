// Memory of a session: a file of the session's folder, or plain memory where no file can be had.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace whence {

// A descriptor that stays open, and the file it means. A host may close every descriptor it finds
// (daemons do) and then be given the same number for a file of its own: that one is not ours to use.
class KeptFile {
 public:
  KeptFile(int fd = -1) : fd_(fd) {
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) return;
    device_ = status.st_dev;
    inode_ = status.st_ino;
  }

  // The descriptor, or -1 when there is none or it means another file by now.
  int fd() const {
    struct stat status;
    const bool ours = fd_ >= 0 && fstat(fd_, &status) == 0 && status.st_dev == device_ &&
                      status.st_ino == inode_;
    return ours ? fd_ : -1;
  }
  void close() {
    if (const int mine = fd(); mine >= 0) ::close(mine);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

struct Region {
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  KeptFile file;  // only where the caller asked for it

  explicit operator bool() const { return base != nullptr; }
};

// Takes the memory now: a full tmpfs must say so here, not by SIGBUS at some later store.
inline int reserve_file(int fd, std::size_t from, std::size_t bytes) {
  if (fallocate(fd, 0, static_cast<off_t>(from), static_cast<off_t>(bytes)) == 0) return 0;
  // EINTR: a storm of signals would interrupt it again and again; small writes get through.
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR) return errno;
  static constexpr std::byte kZeros[4096]{};
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t part = std::min(bytes - done, sizeof kZeros);
    const ssize_t written = pwrite(fd, kZeros, part, static_cast<off_t>(from + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    done += static_cast<std::size_t>(written);
  }
  return 0;
}

// A new file of zeros, mapped. `address_bytes` may reserve room for growth. Sets errno on failure.
inline Region create_file_region(int folder, const char* name, std::size_t bytes, mode_t mode,
                                 std::size_t address_bytes = 0, bool keep_fd = false) {
  const int fd =
      openat(folder, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_RDWR, mode);
  if (fd < 0) return {};
  int error = fchmod(fd, mode) == 0 ? reserve_file(fd, 0, bytes) : errno;
  void* at = MAP_FAILED;
  if (error == 0) {
    at = mmap(nullptr, std::max(bytes, address_bytes), PROT_READ | PROT_WRITE,
              MAP_SHARED | (address_bytes == 0 ? MAP_POPULATE : 0), fd, 0);
    if (at == MAP_FAILED) error = errno;
  }
  if (error != 0) {
    unlinkat(folder, name, 0);
    close(fd);
    errno = error;
    return {};
  }
  const KeptFile kept(keep_fd ? fd : -1);
  if (!keep_fd) close(fd);
  return Region{static_cast<std::byte*>(at), bytes, kept};
}

inline Region anonymous_region(std::size_t bytes) {
  void* at =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return {};
  return Region{static_cast<std::byte*>(at), bytes, {}};
}

// Memory of which a second view can be made, by mremap() of size 0.
inline Region shared_region(std::size_t bytes) {
  void* at =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return {};
  return Region{static_cast<std::byte*>(at), bytes, {}};
}

// Zero in a forked child, so that a child sees "nothing yet" even after a raw clone().
inline void* wiped_on_fork(std::size_t bytes) {
  const Region region = anonymous_region(bytes);
  if (!region) return nullptr;
#ifdef MADV_WIPEONFORK
  madvise(region.base, bytes, MADV_WIPEONFORK);  // older kernels: pthread_atfork alone
#endif
  return region.base;
}

// A child has no business in these pages; without them a bug there cannot spoil the parent's ring.
inline void keep_from_children(const Region& region) {
  madvise(region.base, region.bytes, MADV_DONTFORK);
}

}  // namespace whence
