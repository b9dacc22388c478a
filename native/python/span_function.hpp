// SpanFunction: a function whose calls are spans.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_span_function(PyObject* module);

}  // namespace whence::py
