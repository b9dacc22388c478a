// Raises the named exceptions of whence.model.errors.
#pragma once

#include "py.hpp"

namespace whence::py {

inline void raise_error(const char* class_name, const char* message) {
  const Ref module(PyImport_ImportModule("whence.model.errors"));
  const Ref type(module ? PyObject_GetAttrString(module.get(), class_name) : nullptr);
  if (type) PyErr_SetString(type.get(), message);
}

}  // namespace whence::py
