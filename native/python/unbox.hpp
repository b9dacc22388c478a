// Python values to field bytes, without running Python code.
//
// So no event is half-encoded when a dunder method emits another. What needs Python code is converted
// first, in convert.hpp.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "py.hpp"
#include "whence/layout.hpp"

namespace whence::py {

enum class Unboxed { Ok, NeedsConversion, Error };

inline void store(std::byte* at, const void* value, std::size_t bytes) { std::memcpy(at, value, bytes); }

// An exact int of at most 60 bits that needs no call; false for any other value.
[[gnu::always_inline]] inline bool unbox_compact(PyObject* object, std::int64_t& out) {
  if (!PyLong_CheckExact(object)) return false;
#if PY_VERSION_HEX >= 0x030c0000
  if (!PyUnstable_Long_IsCompact(reinterpret_cast<PyLongObject*>(object))) return false;
  out = PyUnstable_Long_CompactValue(reinterpret_cast<PyLongObject*>(object));
  return true;
#else
  const Py_ssize_t size = Py_SIZE(object);
  const auto* digits = reinterpret_cast<PyLongObject*>(object)->ob_digit;
  if (size == 1) {
    out = digits[0];
    return true;
  }
  if (size != 2) return false;
  out = static_cast<std::int64_t>(digits[0] | static_cast<std::uint64_t>(digits[1]) << PyLong_SHIFT);
  return true;
#endif
}

[[gnu::always_inline]] inline Unboxed unbox_i64(PyObject* object, std::int64_t& out) {
  if (unbox_compact(object, out)) return Unboxed::Ok;
  if (!PyLong_Check(object)) return Unboxed::NeedsConversion;
  int overflow = 0;
  out = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow == 0) return out == -1 && PyErr_Occurred() ? Unboxed::Error : Unboxed::Ok;
  PyErr_SetString(PyExc_OverflowError, "int does not fit a signed 64-bit field");
  return Unboxed::Error;
}

inline Unboxed unbox_u64(PyObject* object, std::uint64_t& out, std::uint64_t most) {
  if (!PyLong_Check(object)) return Unboxed::NeedsConversion;
  out = PyLong_AsUnsignedLongLong(object);
  if (out == static_cast<std::uint64_t>(-1) && PyErr_Occurred()) {
    PyErr_Clear();
  } else if (out <= most) {
    return Unboxed::Ok;
  }
  PyErr_Format(PyExc_OverflowError, "int does not fit an unsigned field (0 to %llu)",
               static_cast<unsigned long long>(most));
  return Unboxed::Error;
}

inline Unboxed unbox_f64(PyObject* object, double& out) {
  if (PyFloat_Check(object)) {
    out = PyFloat_AS_DOUBLE(object);
    return Unboxed::Ok;
  }
  if (!PyLong_Check(object)) return Unboxed::NeedsConversion;
  out = PyLong_AsDouble(object);
  return out == -1.0 && PyErr_Occurred() ? Unboxed::Error : Unboxed::Ok;
}

// Stores a scalar of `type` at `at`.
[[gnu::always_inline]] inline Unboxed unbox_scalar(FieldType type, PyObject* object, std::byte* at) {
  if (type == FieldType::I64) {  // before the switch: a predicted branch beats a jump table
    std::int64_t value = 0;
    const Unboxed done = unbox_i64(object, value);
    store(at, &value, 8);
    return done;
  }
  if (type == FieldType::F64 && PyFloat_CheckExact(object)) {
    const double value = PyFloat_AS_DOUBLE(object);
    store(at, &value, 8);
    return Unboxed::Ok;
  }
  switch (type) {
    case FieldType::I64: break;
    case FieldType::F64: {
      double value = 0;
      const Unboxed done = unbox_f64(object, value);
      store(at, &value, 8);
      return done;
    }
    case FieldType::Bool:
      if (!PyBool_Check(object)) return Unboxed::NeedsConversion;
      *at = static_cast<std::byte>(object == Py_True ? 1 : 0);
      return Unboxed::Ok;
    case FieldType::U64: {
      std::uint64_t value = 0;
      const Unboxed done = unbox_u64(object, value, std::numeric_limits<std::uint64_t>::max());
      store(at, &value, 8);
      return done;
    }
    case FieldType::U32: {
      std::uint64_t value = 0;
      const Unboxed done = unbox_u64(object, value, std::numeric_limits<std::uint32_t>::max());
      store(at, &value, 4);
      return done;
    }
    case FieldType::U8: {
      std::uint64_t value = 0;
      const Unboxed done = unbox_u64(object, value, std::numeric_limits<std::uint8_t>::max());
      store(at, &value, 1);
      return done;
    }
    case FieldType::F32: {
      double value = 0;
      const Unboxed done = unbox_f64(object, value);
      const auto narrow = static_cast<float>(value);
      store(at, &narrow, 4);
      if (!std::isinf(narrow) || std::isinf(value)) [[likely]] return done;
      PyErr_SetString(PyExc_OverflowError, "float does not fit a 32-bit field");
      return Unboxed::Error;
    }
    case FieldType::Name:
    case FieldType::None: break;
  }
  return Unboxed::NeedsConversion;
}

}  // namespace whence::py
