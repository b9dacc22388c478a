// Preloaded into a program: makes chosen system calls of the recording core fail, once it is armed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char target[32];
static int armed, first, forever, error, seen;

// From its `k`-th call on (from 1), `name` fails once, or every time if `always`.
void arm(const char* name, int k, int number, int always) {
  strncpy(target, name, sizeof target - 1);
  first = k;
  error = number;
  forever = always;
  seen = 0;
  armed = 1;
}

// How many calls there were.
int disarm(void) {
  armed = 0;
  return seen;
}

// Calls of others are let through: the interpreter does not survive all that we do.
static int is_ours(const void* caller) {
  Dl_info info;
  return dladdr(caller, &info) != 0 && strstr(info.dli_fname, "/_native.") != NULL;
}

static int fails(const char* name, const void* caller) {
  if (!armed || strcmp(name, target) != 0 || !is_ours(caller)) return 0;
  ++seen;
  if (seen != first && !(forever && seen > first)) return 0;
  errno = error;
  return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRAP(result, failure, name, group, parameters, arguments) \
  result name parameters {                                        \
    return fails(group, __builtin_return_address(0)) ? failure : NEXT(name) arguments;         \
  }

WRAP(int, -1, fallocate, "fallocate", (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
WRAP(int, -1, fallocate64, "fallocate", (int fd, int mode, off64_t at, off64_t n), (fd, mode, at, n))
WRAP(ssize_t, -1, pwrite, "pwrite", (int fd, const void* p, size_t n, off_t at), (fd, p, n, at))
WRAP(ssize_t, -1, pwrite64, "pwrite", (int fd, const void* p, size_t n, off64_t at), (fd, p, n, at))
WRAP(ssize_t, -1, write, "write", (int fd, const void* p, size_t n), (fd, p, n))
WRAP(void*, MAP_FAILED, mmap, "mmap", (void* p, size_t n, int a, int b, int fd, off_t at),
     (p, n, a, b, fd, at))
WRAP(void*, MAP_FAILED, mmap64, "mmap", (void* p, size_t n, int a, int b, int fd, off64_t at),
     (p, n, a, b, fd, at))
WRAP(int, -1, madvise, "madvise", (void* p, size_t n, int what), (p, n, what))
WRAP(int, -1, renameat, "renameat", (int a, const char* p, int b, const char* q), (a, p, b, q))
WRAP(int, -1, unlinkat, "unlinkat", (int fd, const char* path, int flags), (fd, path, flags))
WRAP(int, -1, mkdirat, "mkdirat", (int fd, const char* path, mode_t mode), (fd, path, mode))
WRAP(int, -1, mkdir, "mkdir", (const char* path, mode_t mode), (path, mode))
WRAP(int, -1, fchmod, "fchmod", (int fd, mode_t mode), (fd, mode))
WRAP(int, -1, fstat, "fstat", (int fd, struct stat* out), (fd, out))
WRAP(int, -1, fstat64, "fstat", (int fd, struct stat64* out), (fd, out))

#define WRAP_OPEN(name, group, parameters, leading)                 \
  int name parameters {                                             \
    va_list rest;                                                   \
    va_start(rest, flags);                                          \
    const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                   \
    return fails(group, __builtin_return_address(0)) ? -1 : NEXT(name) leading;                  \
  }

WRAP_OPEN(open, "open", (const char* path, int flags, ...), (path, flags, mode))
WRAP_OPEN(open64, "open", (const char* path, int flags, ...), (path, flags, mode))
WRAP_OPEN(openat, "openat", (int fd, const char* path, int flags, ...), (fd, path, flags, mode))
WRAP_OPEN(openat64, "openat", (int fd, const char* path, int flags, ...), (fd, path, flags, mode))

#define WRAP_FCNTL(name)                           \
  int name(int fd, int what, ...) {                \
    va_list rest;                                  \
    va_start(rest, what);                          \
    void* argument = va_arg(rest, void*);          \
    va_end(rest);                                  \
    return fails("fcntl", __builtin_return_address(0)) ? -1 : NEXT(name)(fd, what, argument); \
  }

WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)
