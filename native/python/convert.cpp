// Conversions that may run Python code; always done before a ticket is taken.
#include "convert.hpp"

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

// numpy.bool, numpy.float32 and their like are neither bool nor float to Python. Only a program that
// imported numpy has one; any other type is none of these, whatever it is called.
bool is_of_numpy(PyObject* object, const char* type_name) {
  if (Py_TYPE(object)->tp_as_number == nullptr || PyLong_Check(object) || PyUnicode_Check(object)) return false;
  Ref name(PyUnicode_FromString("numpy"));
  Ref numpy(name ? PyImport_GetModule(name.get()) : nullptr);
  Ref type(numpy ? PyObject_GetAttrString(numpy.get(), type_name) : nullptr);
  if (!type) PyErr_Clear();
  return type && PyType_Check(type.get()) &&
         PyObject_TypeCheck(object, reinterpret_cast<PyTypeObject*>(type.get()));
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

// Other fields than the model's take a ModelID alone: many a large thing has a to_string().
bool is_model_id(PyObject* object) {
  Ref ids(PyImport_ImportModule("whence.model.ids"));
  Ref type(ids ? PyObject_GetAttrString(ids.get(), "ModelID") : nullptr);
  const int found = type ? PyObject_IsInstance(object, type.get()) : -1;
  if (found < 0) PyErr_Clear();
  return found == 1;
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
  return convert_scalar(FieldType::F64, FieldRole::Plain, object);
}

// A list of pairs; whatever items() of a mapping of the user's gives, nothing else comes through.
PyObject* mapping_items(PyObject* object, const char* what) {
  Ref items(PyMapping_Items(object));
  if (!items) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError))
      PyErr_Format(PyExc_TypeError, "%s must be a mapping, not %s", what, Py_TYPE(object)->tp_name);
    return nullptr;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    PyObject* pair = PyList_GET_ITEM(items.get(), i);
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) continue;
    PyErr_Format(PyExc_TypeError, "%s must be a mapping; items() of a %s gives no pairs", what,
                 Py_TYPE(object)->tp_name);
    return nullptr;
  }
  return items.release();
}

PyObject* convert_scores(PyObject* scores) {
  Ref out(PyDict_New());
  Ref items(mapping_items(scores, "an option's scores"));
  if (!out || !items) return nullptr;
  if (PyList_GET_SIZE(items.get()) > 255) {
    PyErr_SetString(PyExc_ValueError, "an option has at most 255 scores");
    return nullptr;
  }
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

// Beyond 64 bits an int is kept as its digits: decimal ones, where every setting of Python's limit on
// them (640 at least) allows these, else those of hex().
PyObject* attribute_int(PyObject* value) {
  constexpr Py_ssize_t kMostHexDigits = 2048 / 4;
  int overflow = 0;
  PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow == 0) return PyNumber_Index(value);
  Ref digits(PyNumber_ToBase(value, 16));
  if (!digits) return nullptr;
  const Py_ssize_t prefix = overflow < 0 ? 3 : 2;  // -0x
  return PyUnicode_GET_LENGTH(digits.get()) - prefix > kMostHexDigits ? digits.release() : PyObject_Str(value);
}

// int, float, bool and str stay; anything else is shown by its str().
PyObject* attribute_value(PyObject* value) {
  if (PyLong_CheckExact(value)) return attribute_int(value);
  if (PyBool_Check(value) || PyFloat_CheckExact(value) || PyUnicode_CheckExact(value))
    return Py_NewRef(value);
  if (is_of_numpy(value, "bool_")) return convert_scalar(FieldType::Bool, FieldRole::Plain, value);
  if (PyFloat_Check(value) || is_of_numpy(value, "floating")) return PyNumber_Float(value);
  if (PyIndex_Check(value)) {
    Ref whole(PyNumber_Index(value));
    if (whole) return attribute_int(whole.get());
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return nullptr;
    PyErr_Clear();  // an array of several numbers has __index__, too
  }
  if (PyUnicode_Check(value)) return PyUnicode_FromObject(value);
  return PyObject_Str(value);
}

}  // namespace

PyObject* convert_scalar(FieldType type, FieldRole role, PyObject* object) {
  PyObject* converted = nullptr;
  switch (type) {
    case FieldType::Name:
      if (PyUnicode_Check(object)) return Py_NewRef(object);
      if (role == FieldRole::Model || is_model_id(object)) converted = named_text(object);
      break;
    case FieldType::F32:
    case FieldType::F64:
      if (!PyUnicode_Check(object) && !PyBytes_Check(object) && PyNumber_Check(object))
        converted = PyNumber_Float(object);
      break;
    case FieldType::Bool:
      if (is_of_numpy(object, "bool_")) {
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
  Ref items(mapping_items(object, "attributes"));
  if (!items) return nullptr;
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
