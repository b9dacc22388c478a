// Creates a session's folder and files, safely: owned, private, complete before they are visible.
#pragma once

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "clock.hpp"
#include "crc32.hpp"
#include "layout.hpp"
#include "region.hpp"

namespace whence {

// $WHENCE_GROUP=1 lets the group read, for a collector of another user in the same pod; others
// never may. A folder keeps the set-group bit that it inherits.
inline bool group_may_read() {
  const char* chosen = std::getenv("WHENCE_GROUP");
  return chosen != nullptr && std::strcmp(chosen, "1") == 0;
}
inline mode_t file_mode() { return group_may_read() ? 0640 : 0600; }
inline mode_t folder_mode() { return group_may_read() ? 0750 : 0700; }

// The umask may take away what the group is to have. True: it is a new folder of that mode.
inline bool make_folder(int at, const char* path) {
  if (mkdirat(at, path, folder_mode()) != 0) return false;
  struct stat status;
  if (group_may_read() && fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      (status.st_mode & 0777) != folder_mode())
    fchmodat(at, path, folder_mode() | (status.st_mode & S_ISGID), 0);
  return true;
}

inline std::uint64_t random_u64() {
  std::uint64_t value = 0;
  if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value)
    value = monotonic_ns() * 0x9e3779b97f4a7c15ull ^ static_cast<std::uint64_t>(getpid());
  return value;
}

// Where sessions are made: $WHENCE_DIR, else /dev/shm/whence-$UID (docs/file-format.md).
inline std::string base_folder() {
  const char* chosen = std::getenv("WHENCE_DIR");
  if (chosen != nullptr && *chosen == '/') return chosen;
  if (chosen != nullptr && *chosen != 0) {  // the process may go elsewhere later
    char here[4096];
    return getcwd(here, sizeof here) != nullptr ? std::string(here) + "/" + chosen : chosen;
  }
#if defined(__APPLE__)
  const char* temporary = std::getenv("TMPDIR");
  return std::string(temporary ? temporary : "/tmp") + "/whence-" + std::to_string(geteuid());
#else
  return "/dev/shm/whence-" + std::to_string(geteuid());
#endif
}

// Opens the base folder, making it (and parents of a chosen one) if need be. -1 and errno: refused.
inline int open_base_folder(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1))
    make_folder(AT_FDCWD, path.substr(0, slash).c_str());
  if (!make_folder(AT_FDCWD, path.c_str()) && errno != EEXIST) return -1;
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat status;
  // Another user who owns the folder could swap our files: refuse rather than record there.
  if (fstat(fd, &status) != 0 || status.st_uid != geteuid()) {
    close(fd);
    errno = EPERM;
    return -1;
  }
  return fd;
}

// What to tell the user whose folder was refused.
inline std::string base_folder_problem(const std::string& path, int error) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) return std::strerror(error);
  if (S_ISLNK(status.st_mode))
    return "a symbolic link, and who may change it could lead us elsewhere; set WHENCE_DIR to the folder itself";
  if (!S_ISDIR(status.st_mode)) return "not a folder; set WHENCE_DIR to one";
  if (status.st_uid != geteuid()) return "belongs to another user; set WHENCE_DIR to a folder of your own";
  return std::strerror(error);
}

struct SessionIdentity {
  std::uint8_t uuid[16] = {};
  std::uint64_t key = 0;
  std::uint64_t run = 0;
  std::uint64_t request_seed = 0;
  std::string name;
};

// What the session file says beside the identity: JSON made by the caller.
inline SessionIdentity new_identity(std::uint64_t run, std::uint64_t request_seed) {
  SessionIdentity identity;
  identity.request_seed = request_seed;
  const std::uint64_t high = random_u64();
  const std::uint64_t low = random_u64();
  std::memcpy(identity.uuid, &high, 8);
  std::memcpy(identity.uuid + 8, &low, 8);
  identity.uuid[6] = static_cast<std::uint8_t>((identity.uuid[6] & 0x0f) | 0x40);
  identity.uuid[8] = static_cast<std::uint8_t>((identity.uuid[8] & 0x3f) | 0x80);
  for (int i = 10; i < 16; ++i) identity.key = identity.key << 8 | identity.uuid[i];
  identity.run = run != 0 ? run : random_u64() | 1;
  const std::time_t seconds = static_cast<std::time_t>(wall_ns() / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char name[64];
  std::snprintf(name, sizeof name, "%04d%02d%02dT%02d%02d%02d-%d-%012llx", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, getpid(),
                static_cast<unsigned long long>(identity.key));
  identity.name = name;
  return identity;
}

namespace detail {

inline std::string read_small_file(const char* path) {
  char text[1024];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t bytes = read(fd, text, sizeof text);
  close(fd);
  return bytes > 0 ? std::string(text, static_cast<std::size_t>(bytes)) : std::string();
}

// Field 22 of /proc/self/stat; the name before it may hold spaces and parentheses.
inline std::uint64_t start_ticks() {
  const std::string stat = read_small_file("/proc/self/stat");
  std::size_t at = stat.rfind(')');
  if (at == std::string::npos) return 0;
  for (int field = 2; field < 22; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) return 0;
  }
  return std::strtoull(stat.c_str() + at + 1, nullptr, 10);
}

inline void read_boot_id(std::uint8_t out[16]) {
  const std::string text = read_small_file("/proc/sys/kernel/random/boot_id");
  std::size_t digits = 0;
  for (const char c : text) {
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (value < 0 || digits >= 32) continue;
    out[digits / 2] = static_cast<std::uint8_t>(out[digits / 2] << 4 | value);
    ++digits;
  }
}

// Released with the last descriptor or mapping of this opening of the file: how readers know that
// the owner lives.
inline bool lock_for_life(int fd) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
#ifdef F_OFD_SETLK
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
#else
  return fcntl(fd, F_SETLK, &lock) == 0;
#endif
}

inline SmallHeader small_header(const char magic[8], std::size_t bytes, const std::uint8_t uuid[16]) {
  SmallHeader header{};
  std::memcpy(header.magic, magic, 8);
  header.endian = kEndianMark;
  header.major = kFormatMajor;
  header.minor = kFormatMinor;
  header.file_bytes = bytes;
  std::memcpy(header.session_uuid, uuid, 16);
  return header;
}

}  // namespace detail

// Notes how monotonic and wall time relate; readers take the nearest. Any one thread at a time.
inline void add_anchor(std::byte* session, Anchor anchor) {
  auto* count = reinterpret_cast<std::atomic<std::uint64_t>*>(session + kAnchorsOffset);
  const std::uint64_t n = count->load(std::memory_order_relaxed);
  const std::uint64_t at = n < kAnchorCount ? n : 1 + (n - 1) % (kAnchorCount - 1);  // first stays
  auto* words = count + 2 + at * 2;
  words[0].store(anchor.monotonic_ns, std::memory_order_release);
  words[1].store(anchor.wall_ns, std::memory_order_release);
  count->store(n + 1, std::memory_order_release);
}

inline void fill_session(std::byte* base, const SessionIdentity& identity, std::string_view text,
                         ClockSource source) {
  SessionHeader header{};
  std::memcpy(header.magic, kSessionMagic, sizeof header.magic);
  header.endian = kEndianMark;
  header.major = kFormatMajor;
  header.minor = kFormatMinor;
  std::memcpy(header.uuid, identity.uuid, 16);
  header.key = identity.key;
  header.pid = static_cast<std::uint32_t>(getpid());
  header.uid = geteuid();
  header.start_ticks = detail::start_ticks();
  detail::read_boot_id(header.boot_id);
  header.run = identity.run;
  header.created_monotonic_ns = monotonic_ns();
  header.created_wall_ns = wall_ns();
  header.clock_source = static_cast<std::uint32_t>(source);
  header.request_seed = identity.request_seed;
  if (text.size() > kSessionTextBytes) text = "{}";
  header.text_length = static_cast<std::uint32_t>(text.size());
  header.crc = crc32(text.data(), text.size(), crc32(&header, offsetof(SessionHeader, crc)));
  std::memcpy(base + kSessionTextOffset, text.data(), text.size());
  add_anchor(base, {header.created_monotonic_ns, header.created_wall_ns});
  header.ready = 1;
  std::memcpy(base, &header, sizeof header);
}

inline void fill_ring(std::byte* base, const SessionIdentity& identity, std::uint32_t ring,
                      std::uint64_t capacity, std::uint64_t text_bytes, bool shared) {
  RingHeader header{};
  std::memcpy(header.magic, kRingMagic, sizeof header.magic);
  header.endian = kEndianMark;
  header.major = kFormatMajor;
  header.minor = kFormatMinor;
  header.header_bytes = kRingHeaderBytes;
  header.slot_bytes = kSlotBytes;
  header.capacity = capacity;
  header.text_bytes = text_bytes;
  header.slots_offset = kRingHeaderBytes;
  header.text_offset = text_offset_of(capacity);
  header.file_bytes = ring_file_bytes(capacity, text_bytes);
  std::memcpy(header.session_uuid, identity.uuid, 16);
  header.ring = ring;
  header.shared = shared ? 1 : 0;
  header.created_ns = monotonic_ns();
  header.row_count = kRowCount;
  header.owner_count = kOwnerCount;
  header.crc = crc32(&header, offsetof(RingHeader, crc));
  std::memcpy(base, &header, offsetof(RingHeader, ready));
  reinterpret_cast<std::atomic<std::uint32_t>*>(base + offsetof(RingHeader, ready))
      ->store(1, std::memory_order_release);
}

inline void remove_ring_file(int folder, std::uint32_t ring) {
  char name[32];
  std::snprintf(name, sizeof name, "ring-%05u", ring);
  unlinkat(folder, name, 0);
}

// A ring file appears under its name only when its header is complete.
inline Region create_ring_file(int folder, const SessionIdentity& identity, std::uint32_t ring,
                               std::uint64_t capacity, std::uint64_t text_bytes, bool shared) {
  char name[32];
  char hidden[32];
  std::snprintf(name, sizeof name, "ring-%05u", ring);
  std::snprintf(hidden, sizeof hidden, ".new-%05u", ring);
  const Region region =
      create_file_region(folder, hidden, ring_file_bytes(capacity, text_bytes), file_mode());
  if (!region) return {};
  fill_ring(region.base, identity, ring, capacity, text_bytes, shared);
  if (renameat(folder, hidden, folder, name) != 0) {
    const int error = errno;
    munmap(region.base, region.bytes);
    unlinkat(folder, hidden, 0);
    errno = error;
    return {};
  }
  keep_from_children(region);
  return region;
}

}  // namespace whence
