// The columns that Batch.arrow(clocks) gives, for whoever takes Arrow's C structs.
#pragma once

#include <memory>

#include "py.hpp"
#include "whence/arrow_columns.hpp"
#include "whence/batch.hpp"

namespace whence::py {

bool add_arrow(PyObject* module);

// Columns as an object of the type ArrowColumns.
PyObject* give_columns(std::shared_ptr<const arrow::Columns> columns);

PyObject* arrow_columns(const whence::Batch& batch, PyObject* clocks);

}  // namespace whence::py
