// Conversions that may run Python code; always done before a ticket is taken.
#include "convert.hpp"

#include <cstring>

namespace whence::py {

namespace {

const char* wanted_name(FieldType type) {
  switch (type) {
    case FieldType::Bool: return "bool";
    case FieldType::F32:
    case FieldType::F64: return "float";
    case FieldType::Name: return "str";
    default: return "int";
  }
}

// Duration.nanos and Timestamp.value_ns are ints with a name.
PyObject* whole_number(PyObject* object) {
  if (PyIndex_Check(object)) return PyNumber_Index(object);
  for (const char* name : {"nanos", "value_ns"}) {
    Ref value(PyObject_GetAttrString(object, name));
    if (value && PyLong_Check(value.get())) return value.release();
    PyErr_Clear();
  }
  return nullptr;
}

// ModelID and its like: values whose text is asked for by name, never by str().
PyObject* named_text(PyObject* object) {
  Ref text(PyObject_CallMethod(object, "to_string", nullptr));
  if (text && PyUnicode_Check(text.get())) return text.release();
  PyErr_Clear();
  return nullptr;
}

PyObject* exact_str(PyObject* object, const char* what) {
  if (PyUnicode_Check(object)) return PyUnicode_FromObject(object);
  PyErr_Format(PyExc_TypeError, "%s must be str, not %s", what, Py_TYPE(object)->tp_name);
  return nullptr;
}

PyObject* exact_score(PyObject* object) {
  if (PyFloat_CheckExact(object)) return Py_NewRef(object);
  return PyNumber_Float(object);
}

PyObject* convert_scores(PyObject* scores) {
  Ref out(PyDict_New());
  Ref items(PyMapping_Items(scores));
  if (!out || !items) return nullptr;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    PyObject* pair = PyList_GET_ITEM(items.get(), i);
    Ref key(exact_str(PyTuple_GET_ITEM(pair, 0), "an option's score name"));
    Ref value(key ? exact_score(PyTuple_GET_ITEM(pair, 1)) : nullptr);
    if (!value || PyDict_SetItem(out.get(), key.get(), value.get()) < 0) return nullptr;
  }
  return out.release();
}

PyObject* convert_option(PyObject* option) {
  if (PyUnicode_Check(option)) {
    Ref name(exact_str(option, "an option's name"));
    Ref scores(PyDict_New());
    Ref reason(PyUnicode_FromString(""));
    return name && scores && reason
               ? PyTuple_Pack(4, name.get(), scores.get(), Py_False, reason.get())
               : nullptr;
  }
  if (!PyTuple_Check(option) || PyTuple_GET_SIZE(option) != 4) {
    PyErr_Format(PyExc_TypeError, "options must be whence.Option values, not %s",
                 Py_TYPE(option)->tp_name);
    return nullptr;
  }
  Ref name(exact_str(PyTuple_GET_ITEM(option, 0), "an option's name"));
  Ref scores(name ? convert_scores(PyTuple_GET_ITEM(option, 1)) : nullptr);
  if (!scores) return nullptr;
  const int chosen = PyObject_IsTrue(PyTuple_GET_ITEM(option, 2));
  if (chosen < 0) return nullptr;
  Ref reason(exact_str(PyTuple_GET_ITEM(option, 3), "an option's reason"));
  return reason ? PyTuple_Pack(4, name.get(), scores.get(), chosen ? Py_True : Py_False, reason.get())
                : nullptr;
}

// int, float, bool and str stay; anything else is shown by its str().
PyObject* attribute_value(PyObject* value) {
  if (PyBool_Check(value) || PyLong_CheckExact(value) || PyFloat_CheckExact(value) ||
      PyUnicode_CheckExact(value))
    return Py_NewRef(value);
  if (PyFloat_Check(value)) return PyNumber_Float(value);
  if (PyLong_Check(value) || (PyIndex_Check(value) && !PyUnicode_Check(value)))
    return PyNumber_Index(value);
  if (PyUnicode_Check(value)) return PyUnicode_FromObject(value);
  return PyObject_Str(value);
}

}  // namespace

PyObject* convert_scalar(FieldType type, FieldRole role, PyObject* object) {
  PyObject* converted = nullptr;
  switch (type) {
    case FieldType::Name:
      if (PyUnicode_Check(object)) return Py_NewRef(object);
      if (role == FieldRole::Model) converted = named_text(object);
      break;
    case FieldType::F32:
    case FieldType::F64:
      if (!PyUnicode_Check(object) && !PyBytes_Check(object) && PyNumber_Check(object))
        converted = PyNumber_Float(object);
      break;
    case FieldType::Bool:
      if (std::strstr(Py_TYPE(object)->tp_name, "bool") != nullptr) {  // numpy.bool
        const int truth = PyObject_IsTrue(object);
        if (truth >= 0) converted = Py_NewRef(truth ? Py_True : Py_False);
      }
      break;
    default: converted = whole_number(object);
  }
  if (converted == nullptr && !PyErr_Occurred())
    PyErr_Format(PyExc_TypeError, "expected %s, got %s", wanted_name(type), Py_TYPE(object)->tp_name);
  return converted;
}

PyObject* convert_options(PyObject* object) {
  if (PyUnicode_Check(object)) {
    PyErr_SetString(PyExc_TypeError, "options must be a sequence of whence.Option, not str");
    return nullptr;
  }
  Ref items(PySequence_Tuple(object));  // a copy: conversions below may run code that changes it
  if (!items) return nullptr;
  const Py_ssize_t count = PyTuple_GET_SIZE(items.get());
  Ref out(PyTuple_New(count));
  for (Py_ssize_t i = 0; out && i < count; ++i) {
    PyObject* option = convert_option(PyTuple_GET_ITEM(items.get(), i));
    if (option == nullptr) return nullptr;
    PyTuple_SET_ITEM(out.get(), i, option);
  }
  return out.release();
}

PyObject* convert_attributes(PyObject* object) {
  Ref items(PyMapping_Items(object));
  if (!items) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError))
      PyErr_Format(PyExc_TypeError, "attributes must be a mapping, not %s", Py_TYPE(object)->tp_name);
    return nullptr;
  }
  const Py_ssize_t count = PyList_GET_SIZE(items.get());
  Ref out(PyTuple_New(count));
  for (Py_ssize_t i = 0; out && i < count; ++i) {
    PyObject* pair = PyList_GET_ITEM(items.get(), i);
    Ref key(exact_str(PyTuple_GET_ITEM(pair, 0), "an attribute's name"));
    Ref value(key ? attribute_value(PyTuple_GET_ITEM(pair, 1)) : nullptr);
    PyObject* kept = value ? PyTuple_Pack(2, key.get(), value.get()) : nullptr;
    if (kept == nullptr) return nullptr;
    PyTuple_SET_ITEM(out.get(), i, kept);
  }
  return out.release();
}

}  // namespace whence::py
