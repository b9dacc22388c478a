// Makes the k-th allocation of memory fail, once or from there on: for LD_PRELOAD.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

static long seen, wanted;
static int always, armed;

void arm(long k, int for_ever) { seen = 0, wanted = k, always = for_ever, armed = 1; }
long disarm(void) { return armed = 0, seen; }

static int fails(void) {
  if (!armed) return 0;
  ++seen;
  if (seen != wanted && !(always && seen > wanted)) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t bytes) {
  static void* (*real)(size_t);
  if (real == NULL) real = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  return fails() ? NULL : real(bytes);
}

void* realloc(void* at, size_t bytes) {
  static void* (*real)(void*, size_t);
  if (real == NULL) real = (void* (*)(void*, size_t))dlsym(RTLD_NEXT, "realloc");
  return fails() ? NULL : real(at, bytes);
}

void* aligned_alloc(size_t alignment, size_t bytes) {
  static void* (*real)(size_t, size_t);
  if (real == NULL) real = (void* (*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
  return fails() ? NULL : real(alignment, bytes);
}
