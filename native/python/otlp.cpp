// Batch.otlp: reads the table of names and the sessions, encodes without the GIL.
#include "otlp.hpp"

#include <exception>
#include <string>
#include <vector>

#include "whence/otlp.hpp"

namespace whence::py {

namespace {

bool text_of(PyObject* object, std::string& out) {
  std::string_view text;
  Ref owner;
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "expected str, not %s", Py_TYPE(object)->tp_name);
    return false;
  }
  if (!utf8_of(object, text, owner)) return false;
  out = text;
  return true;
}

bool text_item(PyObject* mapping, const char* key, std::string& out) {
  const Ref value(PyMapping_GetItemString(mapping, key));
  return value && text_of(value.get(), out);
}

bool read_names(PyObject* object, std::unordered_map<std::string, std::string>& out) {
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Check(object) && PyDict_Next(object, &at, &key, &value);) {
    std::string declared;
    if (!text_of(key, declared) || !text_of(value, out[declared])) return false;
  }
  return true;
}

}  // namespace

bool read_table(PyObject* object, otlp::Table& table) {
  const Ref columns(PyMapping_GetItemString(object, "columns"));
  const Ref attributes(columns ? PyMapping_GetItemString(object, "attributes") : nullptr);
  const Ref kinds(attributes ? PyMapping_GetItemString(object, "kinds") : nullptr);
  if (!kinds || !read_names(attributes.get(), table.attributes)) return false;
  for (std::size_t i = 0; i < otlp::kColumns; ++i)
    if (!text_item(columns.get(), otlp::kColumnKeys[i], table.columns[i])) return false;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Check(kinds.get()) && PyDict_Next(kinds.get(), &at, &key, &value);) {
    std::string kind;
    if (!text_of(key, kind) || !read_names(value, table.kinds[kind])) return false;
  }
  const Ref texts(PyMapping_GetItemString(object, "texts"));
  if (!texts || !PyList_Check(texts.get())) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(texts.get()); ++i) {
    std::string name;
    if (!text_of(PyList_GET_ITEM(texts.get(), i), name)) return false;
    table.texts.insert(name);
  }
  return text_item(object, "event_prefix", table.event_prefix) && text_item(object, "scope_name", table.scope_name) &&
         text_item(object, "scope_version", table.scope_version) && text_item(object, "schema_url", table.schema_url);
}

namespace {

bool read_scalar(PyObject* object, otlp::ResourceAttribute& out) {
  if (PyBool_Check(object)) {
    out.value.type = ValueType::Bool;
    out.value.truth = object == Py_True;
    return true;
  }
  if (PyLong_Check(object)) {
    out.value.type = ValueType::Int;
    out.value.integer = PyLong_AsLongLong(object);
    return !(out.value.integer == -1 && PyErr_Occurred());
  }
  if (PyFloat_Check(object)) {
    out.value.type = ValueType::Float;
    out.value.real = PyFloat_AS_DOUBLE(object);
    return true;
  }
  out.value.type = ValueType::Text;
  return text_of(object, out.text);
}

// A session: (resource attributes in a dict, [(monotonic_ns, wall_ns), ...] in order)
bool read_session(PyObject* object, otlp::SessionFacts& out) {
  PyObject* resource = nullptr;
  PyObject* anchors = nullptr;
  if (!PyArg_ParseTuple(object, "O!O!", &PyDict_Type, &resource, &PyList_Type, &anchors)) return false;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(resource, &at, &key, &value);) {
    otlp::ResourceAttribute& attribute = out.resource.emplace_back();
    if (!text_of(key, attribute.key) || !read_scalar(value, attribute)) return false;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(anchors); ++i) {
    unsigned long long monotonic_ns = 0;
    unsigned long long wall_ns = 0;
    if (!PyArg_ParseTuple(PyList_GET_ITEM(anchors, i), "KK", &monotonic_ns, &wall_ns)) return false;
    out.anchors.emplace_back(monotonic_ns, wall_ns);
  }
  return true;
}

bool read_sessions(PyObject* object, otlp::Sessions& out) {
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(object, &at, &key, &value);) {
    std::string name;
    if (!text_of(key, name) || !read_session(value, out[name])) return false;
  }
  return true;
}

bool read_signals(std::string_view name, otlp::Signals& out) {
  if (name != "both" && name != "logs" && name != "traces") {
    PyErr_SetString(PyExc_ValueError, "signals must be 'both', 'logs' or 'traces'");
    return false;
  }
  out = name == "both"   ? otlp::Signals::Both
        : name == "logs" ? otlp::Signals::Logs
                         : otlp::Signals::Spans;
  return true;
}

bool append_request(PyObject* list, const otlp::Request& request) {
  Ref body(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(request.bytes())));
  if (!body) return false;
  char* at = PyBytes_AS_STRING(body.get());
  for (const std::string_view part : request.body) at = TextOut::copy(at, part);
  const Ref row(Py_BuildValue("(sOn)", request.is_spans ? "traces" : "logs", body.get(),
                              static_cast<Py_ssize_t>(request.events)));
  return row && PyList_Append(list, row.get()) == 0;
}

}  // namespace

PyObject* otlp_requests(const whence::Batch& batch, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"table",      "sessions",    "as_json",         "signals",
                                "most_bytes", "most_events", "most_attributes", nullptr};
  PyObject* table_object = nullptr;
  PyObject* sessions_object = nullptr;
  int as_json = 0;
  const char* signals = "both";
  otlp::Limits limits;
  Py_ssize_t most_bytes = PY_SSIZE_T_MAX;
  Py_ssize_t most_events = PY_SSIZE_T_MAX;
  Py_ssize_t most_attributes = static_cast<Py_ssize_t>(limits.most_attributes);
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|$psnnn", const_cast<char**>(names), &PyDict_Type, &table_object,
                                   &PyDict_Type, &sessions_object, &as_json, &signals, &most_bytes, &most_events,
                                   &most_attributes))
    return nullptr;
  if (most_bytes < 0 || most_events < 1 || most_attributes < 0) {
    PyErr_SetString(PyExc_ValueError, "limits are positive");
    return nullptr;
  }
  limits.most_bytes = static_cast<std::size_t>(most_bytes);
  limits.most_events = static_cast<std::size_t>(most_events);
  limits.most_attributes = static_cast<std::size_t>(most_attributes);
  otlp::Table table;
  otlp::Sessions sessions;
  if (!read_signals(signals, limits.signals) || !read_table(table_object, table) ||
      !read_sessions(sessions_object, sessions))
    return nullptr;
  const Ref logs(PyList_New(0));
  const Ref spans(PyList_New(0));
  if (!logs || !spans) return nullptr;
  bool good = true;
  bool enough_memory = true;
  PyThreadState* state = PyEval_SaveThread();
  const auto emit = [&](const otlp::Request& request) {
    PyEval_RestoreThread(state);
    good = append_request(request.is_spans ? spans.get() : logs.get(), request);
    state = PyEval_SaveThread();
    return good;
  };
  try {
    if (as_json)
      otlp::encode<otlp::JsonMessage>(batch, sessions, table, limits, emit);
    else
      otlp::encode<otlp::ProtoMessage>(batch, sessions, table, limits, emit);
  } catch (const std::exception&) {  // bad_alloc, length_error
    enough_memory = false;
  }
  PyEval_RestoreThread(state);
  if (!enough_memory) return PyErr_NoMemory();
  // logs before spans, whatever filled up first
  return good ? PySequence_InPlaceConcat(logs.get(), spans.get()) : nullptr;
}

}  // namespace whence::py
