// The Kind type: calling it records one event.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_kind(PyObject* module);

// Lenient: a refused event is only counted. Strict (the default): it also raises.
void set_strict(bool strict);
bool is_strict();

// Ends a refused call: None and no exception where lenient, null where strict.
inline PyObject* refuse() {
  // Ctrl-C and exits that came while a value was converted are the program's own.
  if (is_strict() || !PyErr_ExceptionMatches(PyExc_Exception)) return nullptr;
  PyErr_Clear();
  Py_RETURN_NONE;
}

}  // namespace whence::py
