// What to do without memory, in programs with exceptions and in those built without them.
//
//   WHENCE_TRY { list.push_back(x); } WHENCE_NO_MEMORY { ... }
//
// Without exceptions the library ends the program instead of throwing: nothing is to be caught.
#pragma once

#include <new>

#if defined(__cpp_exceptions)
#define WHENCE_TRY try
#define WHENCE_NO_MEMORY catch (const std::bad_alloc&)
#else
#define WHENCE_TRY if (true)
#define WHENCE_NO_MEMORY else
#endif
