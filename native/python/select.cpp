// Batch.select and Batch.parts: new batches of some of the events.
#include <algorithm>
#include <exception>
#include <new>

#include "batch.hpp"
#include "whence/select.hpp"

namespace whence::py {

namespace {

bool is_given(PyObject* value) { return value != nullptr && value != Py_None; }

bool read_time(PyObject* value, std::optional<std::uint64_t>& out) {
  if (!is_given(value)) return true;
  const long long ns = PyLong_AsLongLong(value);
  if (PyErr_Occurred()) return false;
  out = static_cast<std::uint64_t>(ns < 0 ? 0 : ns);
  return true;
}

bool read_text(PyObject* value, std::string& out) {
  std::string_view text;
  Ref owner;
  if (!PyUnicode_Check(value)) {
    PyErr_Format(PyExc_TypeError, "a filter must be str, not %s", Py_TYPE(value)->tp_name);
    return false;
  }
  if (!utf8_of(value, text, owner)) return false;
  out = text;
  return true;
}

bool read_text(PyObject* value, std::optional<std::string>& out) {
  return !is_given(value) || read_text(value, out.emplace());
}

bool read_texts(PyObject* value, std::optional<std::vector<std::string>>& out) {
  if (!is_given(value)) return true;
  if (PyUnicode_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "event_types and components are sequences of str");
    return false;
  }
  Ref items(PySequence_Fast(value, "event_types and components are sequences of str"));
  if (!items) return false;
  out.emplace();
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i)
    if (!read_text(PySequence_Fast_GET_ITEM(items.get(), i), out->emplace_back())) return false;
  return true;
}

bool read_tickets(PyObject* value, Selection& wanted) {
  if (!is_given(value)) return true;
  if (!PyDict_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "from_tickets is {(session, ring): ticket}");
    return false;
  }
  PyObject *place, *ticket;
  for (Py_ssize_t at = 0; PyDict_Next(value, &at, &place, &ticket);) {
    PyObject* session = nullptr;
    unsigned ring = 0;
    std::string name;
    if (!PyTuple_Check(place) || !PyArg_ParseTuple(place, "UI", &session, &ring) || !read_text(session, name)) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "from_tickets is {(session, ring): ticket}");
      return false;
    }
    const unsigned long long first = PyLong_AsUnsignedLongLong(ticket);
    if (PyErr_Occurred()) return false;
    wanted.from_tickets[{std::move(name), ring}] = first;
  }
  return true;
}

}  // namespace

PyObject* batch_select(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"start_ns",   "end_ns",       "event_types",  "components", "model_id",
                                "request_id", "min_severity", "from_tickets", "first",      "last",
                                nullptr};
  PyObject *start = nullptr, *end = nullptr, *types = nullptr, *components = nullptr, *model = nullptr,
           *request = nullptr, *tickets = nullptr, *last = nullptr;
  Selection wanted;
  Py_ssize_t first = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOOOOIOnO", const_cast<char**>(names), &start, &end,
                                   &types, &components, &model, &request, &wanted.min_severity, &tickets,
                                   &first, &last))
    return nullptr;
  if (!read_time(start, wanted.start_ns) || !read_time(end, wanted.end_ns) ||
      !read_texts(types, wanted.event_types) || !read_texts(components, wanted.components) ||
      !read_text(model, wanted.model) || !read_text(request, wanted.request) || !read_tickets(tickets, wanted))
    return nullptr;
  wanted.first_in_time = static_cast<std::size_t>(std::max<Py_ssize_t>(first, 0));
  if (is_given(last)) wanted.after_in_time = PyLong_AsSize_t(last);
  if (PyErr_Occurred()) return nullptr;
  const Reading claim(object);
  Ref made(claim ? PyObject_CallNoArgs(reinterpret_cast<PyObject*>(g_batch_type)) : nullptr);
  if (!made) return nullptr;
  const whence::Batch& batch = as_batch(object)->batch;
  whence::Batch& selected = as_batch(made.get())->batch;
  bool enough_memory = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    selected.take_rows(batch, Selector(batch, wanted).rows());
  } catch (const std::exception&) {  // bad_alloc, length_error
    enough_memory = false;
  }
  Py_END_ALLOW_THREADS
  return enough_memory ? made.release() : PyErr_NoMemory();
}

PyObject* batch_parts(PyObject* object, PyObject* argument) {
  const std::size_t most = PyLong_AsSize_t(argument);
  if (PyErr_Occurred()) return nullptr;
  if (most == 0) {
    PyErr_SetString(PyExc_ValueError, "a part holds at least one event");
    return nullptr;
  }
  const Reading claim(object);
  if (!claim) return nullptr;
  const whence::Batch& batch = as_batch(object)->batch;
  const std::size_t count = (batch.size() + most - 1) / most;
  Ref parts(PyList_New(static_cast<Py_ssize_t>(count)));
  std::vector<whence::Batch*> into;
  for (std::size_t i = 0; parts && i < count; ++i) {
    PyObject* part = PyObject_CallNoArgs(reinterpret_cast<PyObject*>(g_batch_type));
    if (part == nullptr) return nullptr;
    PyList_SET_ITEM(parts.get(), static_cast<Py_ssize_t>(i), part);
    into.push_back(&as_batch(part)->batch);
  }
  if (!parts) return nullptr;
  bool enough_memory = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    const std::vector<std::uint32_t> order = batch.in_time_order();
    for (std::size_t i = 0; i < count; ++i) {
      const auto first = order.begin() + static_cast<std::ptrdiff_t>(i * most);
      std::vector<std::uint32_t> rows(first, first + static_cast<std::ptrdiff_t>(std::min(most, batch.size() - i * most)));
      std::sort(rows.begin(), rows.end());
      into[i]->take_rows(batch, rows);
    }
  } catch (const std::exception&) {
    enough_memory = false;
  }
  Py_END_ALLOW_THREADS
  return enough_memory ? parts.release() : PyErr_NoMemory();
}

}  // namespace whence::py
