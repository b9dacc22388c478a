// Whom a span's link leads to, but for another span object.
#pragma once

#include "open_span.hpp"
#include "py.hpp"

namespace whence::py {

// A Context, a traceparent, or (trace id, span id). False: an error is set.
bool read_link(PyObject* to, SpanLinkTo& link);

}  // namespace whence::py
