// OtlpReader: OTLP requests become Arrow columns.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_otlp_in(PyObject* module);

}  // namespace whence::py
