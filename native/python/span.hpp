// Span: a piece of work that lasts; written once, when it ends.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_span(PyObject* module);

}  // namespace whence::py
