// Python's way into a ring: RingReader.
#pragma once

#include "py.hpp"
#include "whence/ring_reader.hpp"

namespace whence::py {

struct RingReaderObject {
  PyObject_HEAD
  RingHeader header;
  RingView view;
  RingCursor cursor;
  const std::byte* base;
  std::size_t bytes;
  bool mapped;       // base was mmap'ed by this object
  std::uint32_t pinned;  // 0, or the Recorder's generation that keeps `base` until unpin()
  bool guarded;      // another process may truncate the file while we read
  bool busy;         // a poll is running without the GIL
  PyObject* owner;   // keeps in-process memory alive, or null
};

extern PyTypeObject* g_ring_reader_type;

bool add_reader(PyObject* module);

}  // namespace whence::py
