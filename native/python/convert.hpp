// Turns what users pass (NumPy scalars, ModelID, Duration, options) into exact Python values.
#pragma once

#include "py.hpp"
#include "whence/layout.hpp"

namespace whence::py {

// A new reference to an int, float, bool or str fit for `type`; null and TypeError otherwise.
// May run Python code (`__index__`, `__float__`, `to_string`).
PyObject* convert_scalar(FieldType type, FieldRole role, PyObject* object);

// options -> a tuple of exact (str name, dict scores, bool chosen, str reason).
PyObject* convert_options(PyObject* object);

// attributes -> a tuple of (str key, int | float | bool | str value).
PyObject* convert_attributes(PyObject* object);

}  // namespace whence::py
