// Span: a piece of work that lasts; written once, when it ends.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_span(PyObject* module);

// A session appeared: the spans that waited for one begin, as of the moments they were made.
void begin_pending_spans();

}  // namespace whence::py
