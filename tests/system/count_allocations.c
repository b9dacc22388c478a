// Preloaded into a program: counts the calls of malloc and its kin between two moments.
#define _GNU_SOURCE
#include <stddef.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static __thread int counting;
static __thread long calls;

void begin_counting(void) {
  calls = 0;
  counting = 1;
}

long end_counting(void) {
  counting = 0;
  return calls;
}

void* malloc(size_t n) {
  calls += counting;
  return __libc_malloc(n);
}

void* calloc(size_t n, size_t size) {
  calls += counting;
  return __libc_calloc(n, size);
}

void* realloc(void* at, size_t n) {
  calls += counting;
  return __libc_realloc(at, n);
}

void* aligned_alloc(size_t alignment, size_t n) {
  calls += counting;
  return __libc_memalign(alignment, n);
}

void* memalign(size_t alignment, size_t n) {
  calls += counting;
  return __libc_memalign(alignment, n);
}
