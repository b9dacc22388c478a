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
  if (is_strict()) return nullptr;
  PyErr_Clear();
  Py_RETURN_NONE;
}

}  // namespace whence::py
