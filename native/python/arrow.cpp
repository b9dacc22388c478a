// ArrowColumns: the events of a batch as record batches, in capsules as Arrow's protocol has them.
#include "arrow.hpp"

#include <memory>
#include <new>
#include <string>
#include <utility>

#include "safe.hpp"
#include "whence/arrow_export.hpp"
#include "whence/arrow_rows.hpp"

namespace whence::py {

namespace {

struct ColumnsObject {
  PyObject_HEAD
  std::shared_ptr<const arrow::Columns> columns;
};

PyTypeObject* g_columns_type = nullptr;

ColumnsObject* as_columns(PyObject* object) { return reinterpret_cast<ColumnsObject*>(object); }

void columns_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  using Shared = std::shared_ptr<const arrow::Columns>;
  as_columns(object)->columns.~Shared();
  type->tp_free(object);
  Py_DECREF(type);
}

Py_ssize_t columns_length(PyObject* object) {
  return static_cast<Py_ssize_t>(as_columns(object)->columns->rows());
}

// A capsule owns its struct until a consumer has moved the content out, which leaves it released.
template <class Struct>
PyObject* capsule(std::unique_ptr<Struct> content, const char* name) {
  PyObject* made = PyCapsule_New(content.get(), name, [](PyObject* dying) {
    auto* held = static_cast<Struct*>(PyCapsule_GetPointer(dying, PyCapsule_GetName(dying)));
    if (held->release != nullptr) held->release(held);
    delete held;
  });
  if (made == nullptr)
    content->release(content.get());
  else
    static_cast<void>(content.release());  // the capsule's now
  return made;
}

PyObject* columns_stream(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"requested_schema", nullptr};
  PyObject* requested = nullptr;  // only a wish: consumers cast by themselves
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", const_cast<char**>(names), &requested)) return nullptr;
  auto stream = std::make_unique<arrow::ArrowArrayStream>();
  arrow::Stream<arrow::Columns>::give(as_columns(object)->columns, stream.get());
  return capsule(std::move(stream), "arrow_array_stream");
}

PyObject* columns_schema(PyObject* object, PyObject*) {
  auto schema = std::make_unique<arrow::ArrowSchema>();
  arrow::give_schema(as_columns(object)->columns->schema(), nullptr, schema.get());
  return capsule(std::move(schema), "arrow_schema");
}

PyMethodDef kMethods[] = {
    {"__arrow_c_stream__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<columns_stream>)),
     METH_VARARGS | METH_KEYWORDS,
     "__arrow_c_stream__(requested_schema=None)\n--\n\nA capsule with a stream of the record batches; any number of them."},
    {"__arrow_c_schema__", safe<columns_schema>, METH_NOARGS,
     "__arrow_c_schema__()\n--\n\nA capsule with the schema, that of whence.store.columns."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<columns_dealloc>)},
    {Py_tp_methods, kMethods},
    {Py_sq_length, reinterpret_cast<void*>(safe<columns_length>)},
    {Py_tp_doc, const_cast<char*>("Events as Arrow columns (Batch.arrow); its length is their number. Immutable.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.ArrowColumns", sizeof(ColumnsObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, kSlots};

// {session: wall minus monotonic nanoseconds}
bool read_offsets(PyObject* given, arrow::ClockOffsets& clocks) {
  if (!PyDict_Check(given)) {
    PyErr_SetString(PyExc_TypeError, "clocks is {session: wall minus monotonic nanoseconds}");
    return false;
  }
  PyObject *session, *offset;
  for (Py_ssize_t at = 0; PyDict_Next(given, &at, &session, &offset);) {
    std::string_view name;
    Ref owner;
    if (!PyUnicode_Check(session) || !PyLong_Check(offset)) {
      PyErr_SetString(PyExc_TypeError, "clocks is {session: wall minus monotonic nanoseconds}");
      return false;
    }
    if (!utf8_of(session, name, owner)) return false;
    const long long ns = PyLong_AsLongLong(offset);
    if (ns == -1 && PyErr_Occurred()) return false;
    clocks[std::string(name)] = ns;
  }
  return true;
}

}  // namespace

PyObject* arrow_columns(const whence::Batch& batch, PyObject* given) {
  arrow::ClockOffsets clocks;
  if (!read_offsets(given, clocks)) return nullptr;
  if (const std::string* session = arrow::session_without_clock(batch, clocks)) {
    const Ref name(to_str(*session));
    if (name) PyErr_SetObject(PyExc_KeyError, name.get());
    return nullptr;
  }
  std::shared_ptr<const arrow::Columns> columns;
  if (!without_gil([&] { columns = arrow::RowEncoder(batch).encode(clocks); })) return nullptr;
  return give_columns(std::move(columns));
}

PyObject* give_columns(std::shared_ptr<const arrow::Columns> columns) {
  PyObject* object = g_columns_type->tp_alloc(g_columns_type, 0);
  if (object != nullptr) new (&as_columns(object)->columns) std::shared_ptr(std::move(columns));
  return object;
}

bool add_arrow(PyObject* module) {
  g_columns_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  return g_columns_type != nullptr &&
         PyModule_AddObjectRef(module, "ArrowColumns", reinterpret_cast<PyObject*>(g_columns_type)) == 0;
}

}  // namespace whence::py
