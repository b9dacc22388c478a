// An awaitable that has its value at once.
#pragma once

#include "py.hpp"

namespace whence::py {

bool make_ready_type();

// A new awaitable of that value.
PyObject* ready(PyObject* value);

}  // namespace whence::py
