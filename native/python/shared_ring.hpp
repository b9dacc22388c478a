// SharedRing: the native half of TraceCollector, one ring that many threads write in turn.
#pragma once

#include "py.hpp"
#include "whence/recorder.hpp"

namespace whence::py {

extern PyTypeObject* g_shared_ring_type;

// The ring's writer, or null before its first event (and in a forked child).
WriterState* shared_writer(PyObject* shared_ring);

bool add_shared_ring(PyObject* module);

}  // namespace whence::py
