// The arguments and the result of Batch.otlp().
#pragma once

#include "py.hpp"
#include "whence/batch.hpp"
#include "whence/otlp_table.hpp"

namespace whence::py {

// table: what whence.export.conventions.native_table() returns
bool read_table(PyObject* object, otlp::Table& table);

PyObject* otlp_requests(const whence::Batch& batch, PyObject* args, PyObject* kwargs);

}  // namespace whence::py
