// OtlpReader: keeps the table of names and the limits; reads requests without the GIL.
#include "otlp_in.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow.hpp"
#include "otlp.hpp"
#include "safe.hpp"
#include "whence/otlp_in.hpp"

namespace whence::py {

namespace {

struct Settings {
  otlp::Table table;
  std::vector<std::string> models;
  otlp::InLimits limits;
  std::unique_ptr<const otlp::InNames> names;
};

struct ReaderObject {
  PyObject_HEAD
  Settings* settings;
};

Settings& settings_of(PyObject* object) { return *reinterpret_cast<ReaderObject*>(object)->settings; }

void reader_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  delete reinterpret_cast<ReaderObject*>(object)->settings;
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* reader_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"table", "models", "rows", "attributes", "key_bytes", "value_bytes", "depth", "parts", nullptr};
  PyObject* table = nullptr;
  PyObject* models = nullptr;
  auto made = std::make_unique<Settings>();
  otlp::InLimits& limits = made->limits;
  Py_ssize_t given[] = {static_cast<Py_ssize_t>(limits.rows),        static_cast<Py_ssize_t>(limits.attributes),
                        static_cast<Py_ssize_t>(limits.key_bytes),   static_cast<Py_ssize_t>(limits.value_bytes),
                        static_cast<Py_ssize_t>(limits.depth),       static_cast<Py_ssize_t>(limits.parts)};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|$nnnnnn", const_cast<char**>(names), &PyDict_Type, &table,
                                   &PyTuple_Type, &models, &given[0], &given[1], &given[2], &given[3], &given[4],
                                   &given[5]))
    return nullptr;
  constexpr Py_ssize_t kMost[] = {1 << 24, 1 << 16, 1 << 20, 1 << 30, 64, 1 << 20};
  for (int i = 0; i < 6; ++i)
    if (given[i] < 1 || given[i] > kMost[i]) {
      PyErr_Format(PyExc_ValueError, "%s must be from 1 to %zd", names[i + 2], kMost[i]);
      return nullptr;
    }
  limits = {static_cast<std::size_t>(given[0]), static_cast<std::size_t>(given[1]), static_cast<std::size_t>(given[2]),
            static_cast<std::size_t>(given[3]), static_cast<std::size_t>(given[4]), static_cast<std::size_t>(given[5])};
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(models); ++i) {
    std::string_view name;
    Ref owner;
    if (!PyUnicode_Check(PyTuple_GET_ITEM(models, i))) {
      PyErr_SetString(PyExc_TypeError, "models are texts");
      return nullptr;
    }
    if (!utf8_of(PyTuple_GET_ITEM(models, i), name, owner)) return nullptr;
    made->models.emplace_back(name);
  }
  if (!read_table(table, made->table)) return nullptr;
  made->names = std::make_unique<const otlp::InNames>(made->table, made->models);
  PyObject* object = type->tp_alloc(type, 0);
  if (object != nullptr) reinterpret_cast<ReaderObject*>(object)->settings = made.release();
  return object;
}

bool read_signal(std::string_view name, otlp::InSignal& out) {
  if (name == "traces") return out = otlp::InSignal::Traces, true;
  if (name == "logs") return out = otlp::InSignal::Logs, true;
  if (name == "metrics") return out = otlp::InSignal::Metrics, true;
  PyErr_SetString(PyExc_ValueError, "signal must be 'traces', 'logs' or 'metrics'");
  return false;
}

PyObject* resources_of(const otlp::ReceivedRows& rows) {
  Ref list(PyList_New(0));
  if (!list) return nullptr;
  for (const otlp::ResourceIn& each : rows.resources) {
    const Ref attributes(PyDict_New());
    if (!attributes) return nullptr;
    for (const auto& [key, text] : each.attributes) {
      const Ref name(PyUnicode_FromStringAndSize(key.data(), static_cast<Py_ssize_t>(key.size())));
      const Ref value(PyUnicode_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
      if (!name || !value || PyDict_SetItem(attributes.get(), name.get(), value.get()) < 0) return nullptr;
    }
    const Ref pair(Py_BuildValue("(On)", attributes.get(), static_cast<Py_ssize_t>(each.rows)));
    if (!pair || PyList_Append(list.get(), pair.get()) < 0) return nullptr;
  }
  return list.release();
}

PyObject* reader_read(PyObject* object, PyObject* args) {
  const char* name = nullptr;
  Py_buffer body;
  long long received_ns = 0;
  if (!PyArg_ParseTuple(args, "sy*L", &name, &body, &received_ns)) return nullptr;
  otlp::InSignal signal{};
  otlp::ReceivedRows rows;
  std::string bad;
  const Settings& settings = settings_of(object);
  bool done = read_signal(name, signal);
  done = done && without_gil([&] {
    try {
      otlp::RequestIn reader(*settings.names, settings.limits, received_ns);
      rows = reader.read(signal, {static_cast<const char*>(body.buf), static_cast<std::size_t>(body.len)});
    } catch (const BadMessage& error) {
      bad = error.what();
    }
  });
  PyBuffer_Release(&body);
  if (!done) return nullptr;
  if (!bad.empty()) {
    PyErr_SetString(PyExc_ValueError, bad.c_str());
    return nullptr;
  }
  const Ref resources(resources_of(rows));
  const Ref columns(resources ? give_columns(rows.columns) : nullptr);
  if (!columns) return nullptr;
  return Py_BuildValue("(OOnnnsO)", columns.get(), resources.get(), static_cast<Py_ssize_t>(rows.counts.records),
                       static_cast<Py_ssize_t>(rows.counts.rejected), static_cast<Py_ssize_t>(rows.counts.cut),
                       rows.counts.reason == nullptr ? "" : rows.counts.reason, rows.timeless ? Py_True : Py_False);
}

PyMethodDef kMethods[] = {
    {"read", safe<reader_read>, METH_VARARGS,
     "read(signal, body, received_ns, /)\n--\n\n(columns, [(resource, rows), ...], records, rejected, cut, reason, timeless) "
     "of an export request in protobuf. ValueError for bytes that are none."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<reader_new>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<reader_dealloc>)},
    {Py_tp_methods, kMethods},
    {Py_tp_doc, const_cast<char*>("Reads OTLP requests into Arrow columns, by a table of names and within limits. Immutable.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.OtlpReader", sizeof(ReaderObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                     kSlots};

}  // namespace

bool add_otlp_in(PyObject* module) {
  const Ref type(PyType_FromSpec(&kSpec));
  return type && PyModule_AddObjectRef(module, "OtlpReader", type.get()) == 0;
}

}  // namespace whence::py
