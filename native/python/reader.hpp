// Python's way into rings and dictionaries: RingReader and Catalogue.
#pragma once

#include <memory>

#include "py.hpp"
#include "whence/batch.hpp"

namespace whence::py {

struct CatalogueObject {
  PyObject_HEAD
  std::shared_ptr<Catalogue> catalogue;
};

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

extern PyTypeObject* g_catalogue_type;
extern PyTypeObject* g_ring_reader_type;

// Raises the class of that name from whence.model.errors.
void raise_error(const char* class_name, const char* message);

bool add_reader(PyObject* module);

}  // namespace whence::py
