// Batch.drain without the GIL; its rows as tuples.
#include "batch.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <vector>

#include "arrow.hpp"
#include "catalogue.hpp"
#include "errors.hpp"
#include "otlp.hpp"
#include "reader.hpp"
#include "safe.hpp"
#include "whence/batch.hpp"
#include "whence/fault_guard.hpp"
#include "whence/json.hpp"

namespace whence::py {

PyTypeObject* g_batch_type = nullptr;

namespace {

// Holds a reader for one drain, which releases the GIL.
class Claim {
 public:
  explicit Claim(bool& busy) : busy_(busy), good_(!busy) {
    if (good_)
      busy_ = true;
    else
      PyErr_SetString(PyExc_RuntimeError, "another thread is using this reader");
  }
  ~Claim() {
    if (good_) busy_ = false;
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  explicit operator bool() const { return good_; }

 private:
  bool& busy_;
  bool good_;
};

PyObject* batch_new(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* earlier = Py_None;
  if (!PyArg_ParseTuple(args, "|O:Batch", &earlier)) return nullptr;
  if (earlier != Py_None && !Py_IS_TYPE(earlier, type))
    return PyErr_Format(PyExc_TypeError, "Batch() takes another Batch, or nothing");
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  new (&as_batch(object)->batch) whence::Batch;
  new (&as_batch(object)->users) std::atomic<int>(0);
  if (earlier != Py_None) as_batch(object)->batch.share_long_requests(as_batch(earlier)->batch);
  return object;
}

void batch_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  as_batch(object)->batch.~Batch();
  type->tp_free(object);
  Py_DECREF(type);
}

Py_ssize_t batch_length(PyObject* object) { return static_cast<Py_ssize_t>(as_batch(object)->batch.size()); }

// Does our own ring have no more than is copied in some microseconds? Who gives up the GIL for that
// waits for it for milliseconds where another thread is busy.
bool is_brief(const RingReaderObject& reader) {
  constexpr std::uint64_t kMost = 1000;
  bool brief = false;
  const auto look = [&] { brief = reader.cursor.waiting() <= kMost; };
  return !reader.mapped && guarded(look) && brief;
}

PyObject* batch_drain(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"reader", "catalogue", "session", "session_key", "most", nullptr};
  PyObject* reader_object = nullptr;
  PyObject* catalogue_object = nullptr;
  const char* session = "";
  unsigned long long key = 0;
  Py_ssize_t most = PY_SSIZE_T_MAX;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!sK|n", const_cast<char**>(names), g_ring_reader_type,
                                   &reader_object, g_catalogue_type, &catalogue_object, &session, &key, &most))
    return nullptr;
  auto* reader = reinterpret_cast<RingReaderObject*>(reader_object);
  auto source = std::make_shared<RowSource>();
  source->catalogue = reinterpret_cast<CatalogueObject*>(catalogue_object)->catalogue;
  source->session = session;
  source->session_key = key;
  source->ring = reader->header.ring;
  const Filling batch_claim(object);
  const Claim reader_claim(reader->busy);
  if (!batch_claim || !reader_claim) return nullptr;
  whence::Batch& batch = as_batch(object)->batch;
  const std::size_t before = batch.size();
  bool survived = true;
  bool enough_memory = true;
  const auto drain = [&] {
    try {
      batch.drain(reader->cursor, std::move(source), static_cast<std::size_t>(most));
    } catch (const std::exception&) {  // bad_alloc, length_error
      enough_memory = false;
    }
  };
  const auto take = [&] { survived = reader->guarded ? guarded(drain) : (drain(), true); };
  if (is_brief(*reader)) {
    take();
  } else {
    Py_BEGIN_ALLOW_THREADS
    take();
    Py_END_ALLOW_THREADS
  }
  if (!enough_memory) return PyErr_NoMemory();
  if (!survived && reader->mapped) {  // of our own ring: nothing is in it any more
    raise_error("CorruptFile", "ring file: truncated while it was read");
    return nullptr;
  }
  return PyLong_FromSize_t(batch.size() - before);
}

PyObject* batch_clear(PyObject* object, PyObject*) {
  const Filling claim(object);
  if (!claim) return nullptr;
  as_batch(object)->batch.clear();
  Py_RETURN_NONE;
}

// ---------------------------------------------------------------- rows as Python values

PyObject* value_object(const Value& value) {
  switch (value.type) {
    case ValueType::Int: return PyLong_FromLongLong(value.integer);
    case ValueType::UInt: return PyLong_FromUnsignedLongLong(value.natural);
    case ValueType::Float: return PyFloat_FromDouble(value.real);
    case ValueType::Bool: return PyBool_FromLong(value.truth);
    default: return to_str(value.text);
  }
}

PyObject* attributes_object(const std::vector<std::pair<std::string_view, Value>>& attributes) {
  Ref out(PyDict_New());
  for (const auto& [key, value] : attributes) {
    if (!out) return nullptr;
    Ref name(to_str(key));
    Ref item(value_object(value));
    if (!name || !item || PyDict_SetItem(out.get(), name.get(), item.get()) < 0) return nullptr;
  }
  return out.release();
}

PyObject* options_object(const DecodedEvent& event) {
  Ref out(PyTuple_New(static_cast<Py_ssize_t>(event.options.size())));
  for (std::size_t i = 0; out && i < event.options.size(); ++i) {
    const DecodedOption& option = event.options[i];
    Ref scores(PyDict_New());
    for (const auto& [key, score] : option.scores) {
      Ref name(to_str(key));
      Ref number(PyFloat_FromDouble(score));
      if (!scores || !name || !number || PyDict_SetItem(scores.get(), name.get(), number.get()) < 0)
        return nullptr;
    }
    PyObject* row = Py_BuildValue("(NOON)", to_str(option.name), scores.get(),
                                  option.chosen ? Py_True : Py_False, to_str(option.reason));
    if (row == nullptr) return nullptr;
    PyTuple_SET_ITEM(out.get(), static_cast<Py_ssize_t>(i), row);
  }
  return out.release();
}

PyObject* trace_object(const TraceId& trace) {
  char text[32];
  write_trace_id(text, trace);
  return trace ? to_str({text, sizeof text}) : to_str("");
}

PyObject* links_object(const DecodedEvent& event) {
  Ref out(PyTuple_New(static_cast<Py_ssize_t>(event.links.size())));
  for (std::size_t i = 0; out && i < event.links.size(); ++i) {
    const DecodedLink& link = event.links[i];
    PyObject* row = Py_BuildValue("(NKN)", trace_object(link.trace), static_cast<unsigned long long>(link.span_id),
                                  attributes_object(link.attributes));
    if (row == nullptr) return nullptr;
    PyTuple_SET_ITEM(out.get(), static_cast<Py_ssize_t>(i), row);
  }
  return out.release();
}

PyObject* row_object(const whence::Batch& batch, std::size_t row, EventDecoder& decoder) {
  const DecodedEvent& event = batch.decode(row, decoder);
  const RowSource& source = batch.source(row);
  const std::uint64_t ticket = batch.ticket(row);
  const std::string request =
      event.request_lost ? batch.lost_request(event.request_words) : event.request_id;
  const std::string id =
      event.event_id.empty() ? event_id(source.session_key, source.ring, ticket) : event.event_id;
  const bool known = !event.request_lost || request.compare(0, 5, "lost:") != 0;
  const TraceId trace = trace_of(event, known ? request : std::string(), source.catalogue->run);
  return Py_BuildValue(
      "(NNNKLNNNiNNNNKOOONIKdNKKOsNN)", to_str(id), to_str(event.event_type), to_str(event.component),
      static_cast<unsigned long long>(event.time_ns), static_cast<long long>(event.duration_ns),
      to_str(event.model), to_str(request), to_str(event.rationale), static_cast<int>(event.severity),
      attributes_object(event.attributes), to_str(event.chain_id.empty() ? request : event.chain_id),
      options_object(event), to_str(event.caused_by), static_cast<unsigned long long>(event.lineage_id),
      event.decision ? Py_True : Py_False, event.text_lost ? Py_True : Py_False,
      event.truncated ? Py_True : Py_False, to_str(source.session), static_cast<unsigned>(source.ring),
      static_cast<unsigned long long>(ticket), weight_of(event.threshold), trace_object(trace),
      static_cast<unsigned long long>(event.span_id), static_cast<unsigned long long>(event.parent_span_id),
      event.span ? Py_True : Py_False, kStatusNames[static_cast<std::size_t>(event.status)],
      to_str(event.status_message), links_object(event));
}

PyObject* batch_rows(PyObject* object, PyObject*) {
  const Reading claim(object);
  if (!claim) return nullptr;
  const whence::Batch& batch = as_batch(object)->batch;
  Ref rows(PyList_New(static_cast<Py_ssize_t>(batch.size())));
  EventDecoder decoder;
  Py_ssize_t at = 0;
  for (const std::uint32_t row : batch.in_time_order()) {
    PyObject* item = rows ? row_object(batch, row, decoder) : nullptr;
    if (item == nullptr) return nullptr;
    PyList_SET_ITEM(rows.get(), at++, item);
  }
  return rows.release();
}

PyObject* get_bytes(PyObject* object, void*) {
  const Reading claim(object);
  return claim ? PyLong_FromSize_t(as_batch(object)->batch.bytes()) : nullptr;
}

PyObject* batch_otlp(PyObject* object, PyObject* args, PyObject* kwargs) {
  const Reading claim(object);
  return claim ? otlp_requests(as_batch(object)->batch, args, kwargs) : nullptr;
}

PyObject* batch_arrow(PyObject* object, PyObject* clocks) {
  const Reading claim(object);
  return claim ? arrow_columns(as_batch(object)->batch, clocks) : nullptr;
}

// By kind: are its events spans? Empty if there are none such.
std::vector<bool> span_kinds(const Catalogue& catalogue) {
  std::vector<bool> found;
  for (std::size_t id = 0; id < catalogue.kind_limit(); ++id) {
    const KnownKind* kind = catalogue.kind(static_cast<std::uint16_t>(id));
    if (kind == nullptr || !kind->schema.span) continue;
    if (found.empty()) found.resize(catalogue.kind_limit());
    found[id] = true;
  }
  return found;
}

// The same as the range of times, but spans, whose time is their start, count at their end.
void written_range(const whence::Batch& batch, std::size_t first, const std::vector<bool>& spans,
                   std::uint64_t& least_ns, std::uint64_t& most_ns) {
  least_ns = ~0ull;
  most_ns = 0;
  EventDecoder decoder;
  for (std::size_t row = first; row < batch.size(); ++row) {
    std::uint64_t time = batch.time_ns(row);
    const std::uint64_t kind = batch.column(kTagWord)[row] & kTagKindMask;
    if (kind < spans.size() && spans[kind]) {
      const std::int64_t duration = batch.decode(row, decoder).duration_ns;
      if (duration > 0) time += static_cast<std::uint64_t>(duration);
    }
    least_ns = std::min(least_ns, time);
    most_ns = std::max(most_ns, time);
  }
}

PyObject* batch_time_range(PyObject* object, PyObject* argument) {
  const whence::Batch& batch = as_batch(object)->batch;
  const std::size_t first = PyLong_AsSize_t(argument);
  if (PyErr_Occurred()) return nullptr;
  if (first >= batch.size()) Py_RETURN_NONE;
  const std::uint64_t* times = batch.column(kTimeWord);
  const auto [least, most] = std::minmax_element(times + first, times + batch.size());
  std::uint64_t least_ns = *least;
  std::uint64_t most_ns = *most;
  const std::vector<bool> spans = span_kinds(*batch.source(first).catalogue);
  if (!spans.empty()) written_range(batch, first, spans, least_ns, most_ns);
  constexpr std::uint64_t kMost = ~0ull >> 1;  // no clock of ours says more: a damaged file
  return Py_BuildValue("(KK)", static_cast<unsigned long long>(std::min(least_ns, kMost)),
                       static_cast<unsigned long long>(std::min(most_ns, kMost)));
}

PyMethodDef kMethods[] = {
    {"drain", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<batch_drain>)),
     METH_VARARGS | METH_KEYWORDS,
     "drain(reader, catalogue, session, session_key, most=all)\n--\n\n"
     "Takes the new events of a ring; returns how many. Without the GIL, unless they are few.\n\n"
     "Raises CorruptFile when the file is truncated meanwhile. About 5 ns an event without text."},
    {"clear", safe<batch_clear>, METH_NOARGS, "Forgets the events but keeps their memory for the next drain."},
    {"rows", safe<batch_rows>, METH_NOARGS, "All events as tuples, in order of time (collect/events.py)."},
    {"select", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<batch_select>)),
     METH_VARARGS | METH_KEYWORDS,
     "select(*, start_ns=None, end_ns=None, event_types=None, components=None, model_id=None,\n"
     "       request_id=None, min_severity=0, from_tickets=None, first=0, last=None)\n--\n\n"
     "A new batch of the events that pass every filter given; TraceQuery.matches() is what they mean.\n\n"
     "    event_types, components   sequences of str: any of them\n"
     "    from_tickets              {(session, ring): first ticket wanted}\n"
     "    first, last               of the events in order of time, those from `first` to before `last`\n\n"
     "Runs without the GIL: 10-20 ns an event without text."},
    {"parts", safe<batch_parts>, METH_O,
     "parts(most_events)\n--\n\nThe events in order of time, cut into batches of at most so many each."},
    {"json", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<batch_json>)),
     METH_VARARGS | METH_KEYWORDS,
     "json(lines=False, clocks={})\n--\n\n"
     "All events as JSON objects in order of time, a list of bytes: joined by commas, or one a line.\n\n"
     "`clocks` is {session: [(monotonic ns, wall ns), ...]}: events of these sessions get a \"wall_ns\"."},
    {"write_json", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<batch_write_json>)),
     METH_VARARGS | METH_KEYWORDS,
     "write_json(file, *, to=-1, most_bytes=0, lines=False, clocks={})\n--\n\n"
     "The same written to a descriptor, at the place `to`, or where it is: 64 KiB of it are held at a time.\n\n"
     "Returns how many bytes that were, or None once they are more than `most_bytes`, if that is positive;\n"
     "the caller takes back what was written until then, or until an OSError. Runs without the GIL."},
    {"otlp", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<batch_otlp>)), METH_VARARGS | METH_KEYWORDS,
     "otlp(table, sessions, *, as_json=False, signals='both', most_bytes=..., most_events=..., most_attributes=128)\n--\n\n"
     "All events as OTLP requests: a list of (signal, body, events). Runs without the GIL (export/otlp.py)."},
    {"arrow", safe<batch_arrow>, METH_O,
     "arrow(clocks)\n--\n\n"
     "All events as Arrow columns (whence.store.columns), in order of wall time, which do not need the batch any more.\n\n"
     "`clocks` is {session: wall minus monotonic ns}; KeyError for a session that is not in it.\n"
     "Runs without the GIL."},
    {"time_range", safe<batch_time_range>, METH_O,
     "time_range(first)\n--\n\n(least, greatest) monotonic time at which rows from `first` on were written, or None."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kGetters[] = {
    {"nbytes", safe<get_bytes>, nullptr, "What the events take in memory.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<batch_new>)},
    {Py_tp_getset, kGetters},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<batch_dealloc>)},
    {Py_tp_methods, kMethods},
    {Py_sq_length, reinterpret_cast<void*>(safe<batch_length>)},
    {Py_tp_doc, const_cast<char*>(
                     "Batch(earlier=None, /)\n--\n\n"
                     "Events of one or more rings. One thread fills it; then any number may read it.\n\n"
                     "What long request ids `earlier` has read, and will read, this one knows, and the\n"
                     "other way round: up to a mebibyte of them.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.Batch", sizeof(BatchObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, kSlots};

}  // namespace

bool add_batch(PyObject* module) {
  g_batch_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  return g_batch_type != nullptr &&
         PyModule_AddObjectRef(module, "Batch", reinterpret_cast<PyObject*>(g_batch_type)) == 0;
}

}  // namespace whence::py
