// SpanFunction: a function whose calls are spans.
#pragma once

#include "open_span.hpp"
#include "py.hpp"

namespace whence::py {

// Keeps both names with a span whose kind is beyond the table. False: an error is set.
bool say_names(OpenSpan& span, PyObject* name, PyObject* component);

bool add_span_function(PyObject* module);

}  // namespace whence::py
