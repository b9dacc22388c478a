// The arguments and the result of Batch.otlp().
#pragma once

#include "py.hpp"
#include "whence/batch.hpp"

namespace whence::py {

PyObject* otlp_requests(const whence::Batch& batch, PyObject* args, PyObject* kwargs);

}  // namespace whence::py
