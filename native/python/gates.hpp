// Gates as Python says them: rates and minimums in, gate words out.
#pragma once

#include "py.hpp"
#include "whence/gate.hpp"

namespace whence::py {

// A gate that is on. Null and None: the default. False with an exception set: no rate, no minimum.
bool gate_from(PyObject* rate, PyObject* minimum, Gate& gate);

bool add_gates(PyObject* module);

}  // namespace whence::py
