// record_now and record: events whose type, component and rationale come with every call.
#include "shared_ring.hpp"

#include <new>

#include "context.hpp"
#include "convert.hpp"
#include "dynamic_kinds.hpp"
#include "given_event.hpp"
#include "kind.hpp"
#include "safe.hpp"

namespace whence::py {

PyTypeObject* g_shared_ring_type = nullptr;

namespace {

struct SharedRingObject {
  PyObject_HEAD
  WriterState* state;
  std::uint64_t slots;
};

SharedRingObject* as_ring(PyObject* object) { return reinterpret_cast<SharedRingObject*>(object); }

WriterState* writer_of(SharedRingObject& self) {
  if (self.state == nullptr || !self.state->writer.attached()) [[unlikely]]
    return Recorder::get().attach_shared(self.state, self.slots);
  return self.state;
}

// write_event(), unless there is no memory for its text: then false, with MemoryError set.
bool try_to_write(WriterState& state, const Given& given, Plain& plain) {
  try {
    if (state.scratch_bytes() == nullptr) throw std::bad_alloc();
    write_event(state, given, plain);
    return true;
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return false;
  }
}

// Counts the event that its gate leaves out.
bool is_sampled_out(SharedRingObject& self, const Plain& plain) {
  bool out = false;
  WHENCE_LOCKED(reinterpret_cast<PyObject*>(&self))
  if (WriterState* state = writer_of(self)) {
    const std::uint64_t value = plain.request.form != RequestForm::None
                                    ? sample_value_of_key(plain.request.key)
                                : plain.trace ? sample_value_of_trace(plain.trace)
                                              : ambient_sample_value(*state);
    out = value < plain.gate.threshold();
    if (out) state->writer.count(plain.kind->id, kSampledOut);
  }
  WHENCE_UNLOCKED()
  return out;
}

Flavour flavour_of(const Given& given) {
  if (given.span) return given.decision ? Flavour::DecisionSpan : Flavour::Span;
  return given.decision ? Flavour::Decision : Flavour::Plain;
}

PyObject* record(SharedRingObject& self, const Given& given) {
  Plain plain;
  plain.kind = dynamic_kind(given.event_type, given.component, flavour_of(given), plain.overflow);
  bool accepted = plain.kind != nullptr && unbox_request(given, plain);
  if (accepted) {
    plain.gate = Gate{plain.kind->gate.load(std::memory_order_relaxed)->load(std::memory_order_relaxed)};
    if (!plain.gate.on()) [[unlikely]] Py_RETURN_NONE;
    if (plain.gate.exempt() || plain.kind->schema.exempt) plain.gate = Gate{};
    if (!plain.gate.plain() && is_sampled_out(self, plain)) Py_RETURN_NONE;
    accepted = unbox(given, plain);
  }
  WriterState* state = nullptr;
  WHENCE_LOCKED(reinterpret_cast<PyObject*>(&self))
  state = writer_of(self);
  if (state != nullptr) {
    if (accepted) accepted = try_to_write(*state, given, plain);
    if (!accepted) state->writer.count(plain.kind != nullptr ? plain.kind->id : 0, kRejected);
  }
  WHENCE_UNLOCKED()
  if (!accepted) return refuse();
  Py_RETURN_NONE;
}

// ---------------------------------------------------------------- record_now

enum Keyword { kRequestId, kModelId, kSeverity, kDuration, kAttributes, kKeywords };
PyObject* g_keywords[kKeywords];
PyObject* g_positional[3];

bool take_argument(PyObject* name, PyObject* value, Given& given, PyObject** keywords) {
  PyObject** places[] = {&given.event_type, &given.component, &given.rationale};
  for (int by_value = 0; by_value < 2; ++by_value) {
    const auto same = [&](PyObject* known) {
      return by_value ? PyUnicode_Compare(known, name) == 0 : known == name;
    };
    for (int i = 0; i < kKeywords; ++i)
      if (same(g_keywords[i])) {
        keywords[i] = value;
        return true;
      }
    for (int i = 0; i < 3; ++i)
      if (same(g_positional[i]) && *places[i] == nullptr) {
        *places[i] = value;
        return true;
      }
  }
  PyErr_Format(PyExc_TypeError, "record_now() got an unexpected argument '%U'", name);
  return false;
}

bool is_empty_text(PyObject* value) { return PyUnicode_Check(value) && PyUnicode_GET_LENGTH(value) == 0; }

// Converts the keywords whose values may not be exact; `kept` owns what that makes.
bool convert_keywords(PyObject** keywords, Given& given, Ref* kept) {
  if (keywords[kRequestId] != nullptr && !is_empty_text(keywords[kRequestId]))
    given.request_id = keywords[kRequestId];
  if (PyObject* model = keywords[kModelId]) {
    kept[0] = Ref(convert_scalar(FieldType::Name, FieldRole::Model, model));
    if (!kept[0]) return false;
    given.model_id = kept[0].get();
  }
  given.severity = keywords[kSeverity];
  if (PyObject* duration = keywords[kDuration]) {
    kept[1] = Ref(convert_scalar(FieldType::I64, FieldRole::Duration, duration));
    if (!kept[1]) return false;
    given.duration_ns = kept[1].get();
  }
  PyObject* attributes = keywords[kAttributes];
  if (attributes != nullptr && attributes != Py_None) {
    kept[2] = Ref(convert_attributes(attributes));
    if (!kept[2]) return false;
    given.attributes = kept[2].get();
  }
  return true;
}

PyObject* reject_call(SharedRingObject& self) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  WHENCE_LOCKED(reinterpret_cast<PyObject*>(&self))
  if (WriterState* state = writer_of(self)) state->writer.count(0, kRejected);
  WHENCE_UNLOCKED()
  PyErr_Restore(type, value, trace);
  return refuse();
}

PyObject* record_now(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  SharedRingObject& self = *as_ring(object);
  Given given;
  PyObject* keywords[kKeywords] = {};
  Ref kept[3];
  bool good = count <= 3;
  if (!good) PyErr_Format(PyExc_TypeError, "record_now() takes at most 3 positional arguments, not %zd", count);
  if (good && count > 0) given.event_type = args[0];
  if (good && count > 1) given.component = args[1];
  if (good && count > 2) given.rationale = args[2];
  for (Py_ssize_t i = 0; good && names != nullptr && i < PyTuple_GET_SIZE(names); ++i)
    good = take_argument(PyTuple_GET_ITEM(names, i), args[count + i], given, keywords);
  if (good && (given.event_type == nullptr || given.component == nullptr)) {
    PyErr_SetString(PyExc_TypeError, "record_now() needs an event_type and a component");
    good = false;
  }
  if (good && names != nullptr) good = convert_keywords(keywords, given, kept);
  return good ? record(self, given) : reject_call(self);
}

// ---------------------------------------------------------------- record(event)

// Fields of a TraceEvent, in the order the collector's Python half passes them.
PyObject* record_built(PyObject* object, PyObject* args) {
  Given given;
  PyObject* attributes = nullptr;
  PyObject* options = nullptr;
  int decision = 0;
  PyObject* links = nullptr;
  int span = 0;
  if (!PyArg_ParseTuple(args, "OOOOOOOOOOOOOOp|dUOOpUOO", &given.event_type, &given.component, &given.rationale,
                        &given.request_id, &given.model_id, &given.severity, &given.duration_ns,
                        &attributes, &given.event_id, &given.chain_id, &options, &given.caused_by,
                        &given.lineage_id, &given.timestamp_ns, &decision, &given.weight,
                        &given.trace_id, &given.span_id, &given.parent_span_id, &span, &given.status,
                        &given.status_message, &links))
    return nullptr;
  given.built = true;
  given.decision = decision != 0;
  given.span = span != 0;
  Ref kept[2];
  if (PyObject_Length(attributes) > 0) {
    kept[0] = Ref(convert_attributes(attributes));
    given.attributes = kept[0].get();
    if (!kept[0]) return reject_call(*as_ring(object));
  }
  if (PyObject_Length(options) > 0) {
    kept[1] = Ref(convert_options(options));
    given.options = kept[1].get();
    if (!kept[1]) return reject_call(*as_ring(object));
  }
  if (links != nullptr && !convert_links(links, given.links)) return reject_call(*as_ring(object));
  return record(*as_ring(object), given);
}

// ---------------------------------------------------------------- the type

PyObject* ring_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object != nullptr) as_ring(object)->slots = 10'000;
  return object;
}

int ring_init(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"buffer_size", nullptr};
  PyObject* size = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O", const_cast<char**>(names), &size)) return -1;
  if (size == nullptr) return 0;
  if (!PyLong_Check(size) || PyBool_Check(size)) {
    PyErr_Format(PyExc_TypeError, "buffer_size must be int, not %s", Py_TYPE(size)->tp_name);
    return -1;
  }
  const long long slots = PyLong_AsLongLong(size);
  if (PyErr_Occurred()) PyErr_Clear();
  if (slots <= 0 || slots > (1ll << 30)) {
    PyErr_SetString(PyExc_ValueError, "buffer_size must be from 1 to 1,073,741,824 events");
    return -1;
  }
  as_ring(object)->slots = static_cast<std::uint64_t>(slots);
  return 0;
}

void ring_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  // A program that ends leaves its collectors' rings as they are: nobody needs the room any more.
  if (WriterState* state = as_ring(object)->state; state != nullptr && !is_ending())
    Recorder::get().retire_shared(state);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* ring_size(PyObject* object, PyObject*) {
  std::uint64_t held = 0;
  WHENCE_LOCKED(object)
  const WriterState* state = as_ring(object)->state;
  if (state != nullptr && state->writer.attached())
    held = std::min(state->writer.next_ticket() - state->writer.watermark(), state->writer.capacity());
  WHENCE_UNLOCKED()
  return PyLong_FromUnsignedLongLong(held);
}

PyObject* ring_clear(PyObject* object, PyObject*) {
  WHENCE_LOCKED(object)
  const SharedRingObject* self = as_ring(object);
  if (self->state != nullptr && self->state->writer.attached()) self->state->writer.set_watermark();
  WHENCE_UNLOCKED()
  Py_RETURN_NONE;
}

PyObject* get_buffer_size(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(as_ring(object)->slots);
}

PyMethodDef kMethods[] = {
    {"record_now", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<record_now>)),
     METH_FASTCALL | METH_KEYWORDS,
     "record_now($self, event_type, component, rationale='', *, request_id='', model_id='', severity=1,\n"
     "           duration=0, attributes=None)\n--\n\n"
     "Records an event stamped now.\n\n"
     "    event_type   str, what happened; not empty\n"
     "    component    str, who did it; not empty\n"
     "    rationale    str, why; decisions need one\n"
     "    request_id   str; left out, the ambient request's is taken\n"
     "    model_id     str or ModelID\n"
     "    severity     Severity; Severity.Info (1) if left out\n"
     "    duration     Duration, or int nanoseconds\n"
     "    attributes   mapping of str to int, float, bool or str. An int beyond 64 bits is kept as\n"
     "                 its digits (beyond 2,048 bits those of hex()), any other value as its str()\n\n"
     "Raises TypeError for a wrong type, ValueError for an empty event_type or component, a decision\n"
     "without a rationale or a request_id that UTF-8 cannot hold, OverflowError for a severity or\n"
     "duration out of range. Such calls are counted as rejected and record nothing. Never blocks; any thread. A\n"
     "full ring drops its oldest event."},
    {"_record_built", safe<record_built>, METH_VARARGS, "Records the fields of a TraceEvent."},
    {"size", safe<ring_size>, METH_NOARGS,
     "size($self)\n--\n\nHow many events are held now: exact, at most buffer_size. Any thread."},
    {"clear", safe<ring_clear>, METH_NOARGS,
     "clear($self)\n--\n\nForgets the events held now; tickets and counts go on. Any thread."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kGetters[] = {
    {"buffer_size", safe<get_buffer_size>, nullptr, "How many of the newest events are kept (int).", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<ring_new>)},
    {Py_tp_init, reinterpret_cast<void*>(safe<ring_init>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<ring_dealloc>)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kGetters},
    {Py_tp_doc, const_cast<char*>("One ring of a fixed number of events, written by many threads in turn.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.SharedRing", sizeof(SharedRingObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, kSlots};

}  // namespace

WriterState* shared_writer(PyObject* shared_ring) {
  WriterState* state = as_ring(shared_ring)->state;
  return state != nullptr && state->writer.attached() ? state : nullptr;
}

bool add_shared_ring(PyObject* module) {
  static const char* keywords[kKeywords] = {"request_id", "model_id", "severity", "duration", "attributes"};
  static const char* positional[3] = {"event_type", "component", "rationale"};
  for (int i = 0; i < kKeywords; ++i) g_keywords[i] = PyUnicode_InternFromString(keywords[i]);
  for (int i = 0; i < 3; ++i) g_positional[i] = PyUnicode_InternFromString(positional[i]);
  g_shared_ring_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  return g_shared_ring_type != nullptr &&
         PyModule_AddObjectRef(module, "SharedRing", reinterpret_cast<PyObject*>(g_shared_ring_type)) == 0;
}

}  // namespace whence::py
