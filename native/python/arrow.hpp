// The columns that Batch.arrow(clocks) gives, for whoever takes Arrow's C structs.
#pragma once

#include "py.hpp"
#include "whence/batch.hpp"

namespace whence::py {

bool add_arrow(PyObject* module);

PyObject* arrow_columns(const whence::Batch& batch, PyObject* clocks);

}  // namespace whence::py
