// Batch: events drained from rings, on their way to values or JSON.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_batch(PyObject* module);

}  // namespace whence::py
