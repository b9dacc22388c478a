// Kind and its `emit`: the way of a typed event from the call to the ring.
#include "kind.hpp"

#include <atomic>
#include <new>
#include <vector>

#include "context.hpp"
#include "convert.hpp"
#include "tail.hpp"
#include "unbox.hpp"
#include "whence/recorder.hpp"

namespace whence::py {

namespace {

std::atomic<bool> g_strict{true};

struct FieldPlan {
  PyObject* name = nullptr;      // interned
  PyObject* fallback = nullptr;  // default value, or null
  FieldType type = FieldType::I64;
  FieldRole role = FieldRole::Plain;
  bool optional = false;         // None means absent
  std::uint16_t offset = 0;
  // The last string seen and its name id: most fields repeat. Only where the GIL guards them.
  PyObject* last_text = nullptr;
  Session* last_session = nullptr;
  std::uint16_t last_id = 0;
};

struct KindObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  whence::Kind* kind;
  std::vector<FieldPlan> plans;
  PyObject* emit;
  PyObject* wrapped;  // the stub, or None
  PyMethodDef method;
  // Fields of which one must hold text, because the rationale consists of nothing else.
  std::uint64_t must_say;
};

PyTypeObject* g_kind_type = nullptr;

KindObject* as_kind(PyObject* object) { return reinterpret_cast<KindObject*>(object); }

// ---------------------------------------------------------------- binding arguments

// Fills `bound` from positional and keyword arguments and defaults, as a Python call would.
bool bind(const KindObject& self, PyObject* const* args, std::size_t given, PyObject* keywords,
          PyObject** bound) {
  const std::size_t fields = self.plans.size();
  const char* name = self.kind->schema.name.c_str();
  if (given > fields) {
    PyErr_Format(PyExc_TypeError, "%s() takes %zu arguments but %zu were given", name, fields, given);
    return false;
  }
  for (std::size_t i = 0; i < fields; ++i) bound[i] = i < given ? args[i] : nullptr;
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t k = 0; k < named; ++k) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, k);
    std::size_t at = 0;
    while (at < fields && self.plans[at].name != keyword) ++at;
    if (at == fields)
      for (at = 0; at < fields && PyUnicode_Compare(self.plans[at].name, keyword) != 0;) ++at;
    if (at == fields || bound[at] != nullptr) {
      PyErr_Format(PyExc_TypeError,
                   at == fields ? "%s() got an unexpected argument '%U'"
                                : "%s() got multiple values for argument '%U'",
                   name, keyword);
      return false;
    }
    bound[at] = args[given + static_cast<std::size_t>(k)];
  }
  for (std::size_t i = 0; i < fields; ++i) {
    if (bound[i] == nullptr) bound[i] = self.plans[i].fallback;
    if (bound[i] != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "%s() is missing the argument '%U'", name, self.plans[i].name);
    return false;
  }
  return true;
}

// ---------------------------------------------------------------- encoding

// An event between its arguments and its slot.
struct Draft {
  alignas(8) std::byte image[kMaxImageBytes];  // the first kInlineFieldBytes are zeroed by the caller
  std::uint64_t text_fields = 0;  // fields whose string goes to the text block
  std::uint64_t absent = 0;
  std::uint64_t blank = 0;  // fields whose string says nothing
  std::uint64_t tag = 0;
  PyObject* options = nullptr;
  std::string_view caused_by;
  std::string_view request_text;
  bool has_request = false;
  RequestId request;
  struct {
    const char* data;
    std::size_t bytes;
  } texts[kMaxFields];  // set where text_fields says so; never cleared, it would cost every event
  Ref owners[4];  // bytes of strings that UTF-8 cannot hold
  unsigned owner_count = 0;
};

Unboxed text_of(Draft& draft, PyObject* value, std::string_view& out) {
  if (!PyUnicode_Check(value)) return Unboxed::NeedsConversion;
  Ref owner;
  if (!utf8_of(value, out, owner)) return Unboxed::Error;
  if (owner) {
    if (draft.owner_count == 4) {
      PyErr_SetString(PyExc_ValueError, "more than four strings that UTF-8 cannot hold");
      return Unboxed::Error;
    }
    draft.owners[draft.owner_count++] = std::move(owner);
  }
  return Unboxed::Ok;
}

Unboxed encode_name(Draft& draft, FieldPlan& plan, std::size_t index, WriterState& state,
                    PyObject* value) {
  std::uint16_t id = kNameInText;
  if (kGil && value == plan.last_text && plan.last_session == state.session) {
    id = plan.last_id;
  } else {
    std::string_view text;
    const Unboxed done = text_of(draft, value, text);
    if (done != Unboxed::Ok) return done;
    const bool blank = text.find_first_not_of(" \t\r\n") == std::string_view::npos;
    if (blank) draft.blank |= 1ull << index;
    id = state.session->names().intern(text);
    if (id == kNameInText) {
      draft.text_fields |= 1ull << index;
      draft.texts[index] = {text.data(), text.size()};
    } else if (kGil && !blank) {
      Py_XSETREF(plan.last_text, Py_NewRef(value));
      plan.last_session = state.session;
      plan.last_id = id;
    }
  }
  store(draft.image + plan.offset, &id, 2);
  return Unboxed::Ok;
}

Unboxed encode_elsewhere(Draft& draft, const FieldPlan& plan, PyObject* value) {
  switch (plan.role) {
    case FieldRole::Severity: {
      std::uint64_t severity = 0;
      const Unboxed done = unbox_u64(value, severity, 6);
      draft.tag |= (severity + 1) << kTagSeverityShift;
      return done;
    }
    case FieldRole::Request:
      if (!PyUnicode_Check(value)) return Unboxed::NeedsConversion;
      if (!strict_utf8_of(value, draft.request_text)) return Unboxed::Error;
      draft.request = encode_request(draft.request_text);
      draft.has_request = !draft.request_text.empty();
      return Unboxed::Ok;
    case FieldRole::CausedBy: return text_of(draft, value, draft.caused_by);
    case FieldRole::Options:  // a tuple only convert_options() makes is safe to encode
      if (PyTuple_CheckExact(value) && PyTuple_GET_SIZE(value) == 0) return Unboxed::Ok;
      return Unboxed::NeedsConversion;
    default: return Unboxed::NeedsConversion;
  }
}

Unboxed encode_field(Draft& draft, FieldPlan& plan, std::size_t index, WriterState& state,
                     PyObject* value) {
  if (value == Py_None && plan.optional) {
    draft.absent |= 1ull << index;
    draft.blank |= 1ull << index;
    std::memset(draft.image + plan.offset, 0, field_bytes(plan.type));
    return Unboxed::Ok;
  }
  if (plan.type == FieldType::Name) return encode_name(draft, plan, index, state, value);
  if (plan.type == FieldType::None) return encode_elsewhere(draft, plan, value);
  return unbox_scalar(plan.type, value, draft.image + plan.offset);
}

// Writes the drafted event. From here on nothing can fail and no Python code runs.
void write_draft(const KindObject& self, WriterState& state, Draft& draft, const ContextObject* context) {
  const whence::Kind& kind = *self.kind;
  const std::size_t image_bytes = kind.schema.image_bytes;
  SlotImage slot;
  std::uint64_t tag = draft.tag | kind.id;
  const RequestId* request = draft.has_request ? &draft.request : context ? &context->request : nullptr;
  if (request != nullptr) {
    tag |= static_cast<std::uint64_t>(request->form) << kTagRequestShift;
    slot.words[kRequestWord] = request->words[0];
    slot.words[kRequestWord + 1] = request->words[1];
  }
  const bool long_request = draft.has_request && draft.request.form == RequestForm::Long;
  const ContextObject* inherited = draft.has_request ? nullptr : context;
  const bool needs_text = draft.text_fields != 0 || draft.absent != 0 || draft.options != nullptr ||
                          !draft.caused_by.empty() || long_request ||
                          image_bytes > kInlineFieldBytes || context_needs_text(inherited);
  std::byte* scratch = nullptr;
  if (needs_text) [[unlikely]] scratch = state.scratch_bytes();
  if (scratch == nullptr) {
    slot.set_fields(draft.image, std::min(image_bytes, kInlineFieldBytes));
    slot.words[kTagWord] = tag;
    slot.words[kTimeWord] = event_time_ns(state);
    state.writer.write(slot);
    return;
  }
  TextBlock block(scratch, std::max<std::size_t>(state.writer.max_text_bytes(), 64));
  block.image_rest(draft.image, image_bytes);
  if (draft.absent != 0) block.whole(Entry::Absent, 0, &draft.absent, 8);
  if (long_request) block.text(Entry::Request, 0, draft.request_text);
  if (inherited != nullptr) put_context(block, *inherited);
  for (std::uint64_t left = draft.text_fields; left != 0; left &= left - 1) {
    const auto index = static_cast<std::uint8_t>(std::countr_zero(left));
    block.text(Entry::FieldText, index, {draft.texts[index].data, draft.texts[index].bytes});
  }
  if (!draft.caused_by.empty()) block.text(Entry::CausedBy, 0, draft.caused_by);
  if (draft.options != nullptr) put_options(block, draft.options);
  const std::size_t bytes = block.finish();
  if (block.truncated()) {
    tag |= kTagTruncated;
    state.writer.count_truncated();
  }
  slot.set_fields(draft.image, std::min(image_bytes, kFieldBytesWithText));
  slot.words[kTagWord] = tag | kTagText;
  slot.words[kTimeWord] = event_time_ns(state);
  state.writer.write(slot, block.data(), bytes);
}

// ---------------------------------------------------------------- calling

PyObject* reject(const KindObject& self) {
  if (WriterState* state = thread_writer()) state->writer.count(self.kind->id, kRejected);
  return refuse();
}

PyObject* record_values(KindObject& self, PyObject* const* values, PyObject* options);

// Converts whatever is not exact, which may run Python code, then records.
PyObject* record_converted(KindObject& self, PyObject* const* values) {
  const std::size_t fields = self.plans.size();
  std::vector<Ref> kept(fields);
  std::vector<PyObject*> exact(fields);
  Ref options;
  for (std::size_t i = 0; i < fields; ++i) {
    const FieldPlan& plan = self.plans[i];
    if (plan.role == FieldRole::Options && !(values[i] == Py_None && plan.optional)) {
      options = Ref(convert_options(values[i]));
      if (!options) return reject(self);
      kept[i] = Ref(PyTuple_New(0));
    } else if ((values[i] == Py_None && plan.optional) || plan.type == FieldType::None) {
      kept[i] = Ref::to(values[i]);
    } else {
      std::byte ignored[8];
      const bool fits = plan.type == FieldType::Name
                            ? PyUnicode_Check(values[i])
                            : unbox_scalar(plan.type, values[i], ignored) != Unboxed::NeedsConversion;
      PyErr_Clear();  // a value out of range is found again below
      kept[i] = fits ? Ref::to(values[i]) : Ref(convert_scalar(plan.type, plan.role, values[i]));
    }
    if (!kept[i]) return reject(self);
    exact[i] = kept[i].get();
  }
  return record_values(self, exact.data(), options ? options.get() : Py_None);
}

// `options` is null at the first try; then what convert_options() made, or None.
PyObject* record_values(KindObject& self, PyObject* const* values, PyObject* options) {
  WriterState* state = thread_writer();
  if (state == nullptr) [[unlikely]] Py_RETURN_NONE;  // counted as unrecorded
  Draft draft;
  std::memset(draft.image, 0, kInlineFieldBytes);
  const std::size_t fields = self.plans.size();
  for (std::size_t i = 0; i < fields; ++i) {
    const Unboxed done = encode_field(draft, self.plans[i], i, *state, values[i]);
    if (done == Unboxed::Ok) [[likely]] continue;
    if (done == Unboxed::NeedsConversion) {
      if (options == nullptr) return record_converted(self, values);
      PyErr_Format(PyExc_TypeError, "argument '%U' cannot be a %s", self.plans[i].name,
                   Py_TYPE(values[i])->tp_name);
    }
    return reject(self);
  }
  if (self.must_say != 0 && (draft.blank & self.must_say) == self.must_say) {
    PyErr_Format(PyExc_ValueError, "%s is a decision: it needs a rationale that is not empty",
                 self.kind->schema.name.c_str());
    return reject(self);
  }
  if (options != nullptr && options != Py_None) draft.options = options;
  const Ref context = current_context();
  write_draft(self, *state, draft, reinterpret_cast<ContextObject*>(context.get()));
  Py_RETURN_NONE;
}

bool gate_is_on(const KindObject& self) {
  return self.kind->gate.load(std::memory_order_relaxed)->load(std::memory_order_relaxed) & kGateOn;
}

PyObject* call(KindObject& self, PyObject* const* args, std::size_t given, PyObject* keywords) {
  if (!gate_is_on(self)) Py_RETURN_NONE;
  if (keywords == nullptr && given == self.plans.size()) [[likely]]
    return record_values(self, args, nullptr);
  PyObject* bound[kMaxFields];
  if (!bind(self, args, given, keywords, bound)) return reject(self);
  return record_values(self, bound, nullptr);
}

PyObject* kind_vectorcall(PyObject* self, PyObject* const* args, std::size_t given, PyObject* keywords) {
  return call(*as_kind(self), args, static_cast<std::size_t>(PyVectorcall_NARGS(given)), keywords);
}

PyObject* kind_emit(PyObject* self, PyObject* const* args, Py_ssize_t given, PyObject* keywords) {
  return call(*as_kind(self), args, static_cast<std::size_t>(given), keywords);
}

// ---------------------------------------------------------------- the type

bool read_field(PyObject* spec, KindSchema& schema, FieldPlan& plan) {
  PyObject* name = nullptr;
  PyObject* fallback = nullptr;
  int type = 0;
  int role = 0;
  int optional = 0;
  if (!PyArg_ParseTuple(spec, "UiipO", &name, &type, &role, &optional, &fallback)) return false;
  std::string_view text;
  if (!strict_utf8_of(name, text)) return false;
  plan.name = Py_NewRef(name);
  PyUnicode_InternInPlace(&plan.name);
  plan.type = static_cast<FieldType>(type);
  plan.role = static_cast<FieldRole>(role);
  plan.optional = optional != 0;
  plan.fallback = fallback == Py_Ellipsis ? nullptr : Py_NewRef(fallback);
  schema.fields.push_back({std::string(text), plan.type, plan.role, 0});
  return true;
}

bool read_fields(PyObject* fields, KindSchema& schema, std::vector<FieldPlan>& plans) {
  const Py_ssize_t count = PyTuple_GET_SIZE(fields);
  if (count > static_cast<Py_ssize_t>(kMaxFields)) {
    PyErr_Format(PyExc_ValueError, "a kind has at most %zu fields", kMaxFields);
    return false;
  }
  plans.resize(static_cast<std::size_t>(count));
  for (Py_ssize_t i = 0; i < count; ++i)
    if (!read_field(PyTuple_GET_ITEM(fields, i), schema, plans[static_cast<std::size_t>(i)])) return false;
  schema.place_fields();
  for (std::size_t i = 0; i < plans.size(); ++i) plans[i].offset = schema.fields[i].offset;
  return true;
}

PyObject* kind_new(PyTypeObject* type, PyObject* args, PyObject*) {
  const char *name, *component, *rationale, *otel_name, *source;
  int severity = 0;
  int decision = 0;
  int on = 1;
  PyObject* fields = nullptr;
  PyObject* wrapped = nullptr;
  unsigned long long must_say = 0;
  if (!PyArg_ParseTuple(args, "sssssippO!KO:Kind", &name, &component, &rationale, &otel_name, &source,
                        &severity, &decision, &on, &PyTuple_Type, &fields, &must_say, &wrapped))
    return nullptr;
  auto* self = as_kind(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  Ref owned(reinterpret_cast<PyObject*>(self));
  new (&self->plans) std::vector<FieldPlan>;
  self->vectorcall = kind_vectorcall;
  self->wrapped = Py_NewRef(wrapped);
  self->must_say = must_say;
  KindSchema schema;
  schema.name = name;
  schema.component = component;
  schema.rationale = rationale;
  schema.otel_name = otel_name;
  schema.source = source;
  schema.severity = static_cast<std::uint8_t>(severity);
  schema.decision = decision != 0;
  schema.on = on != 0;
  if (!read_fields(fields, schema, self->plans)) return nullptr;
  self->kind = Recorder::get().declare(std::move(schema));
  if (self->kind == nullptr) {
    PyErr_Format(PyExc_RuntimeError, "more than %u kinds: declare kinds once, not per event", kMaxKinds - 1);
    return nullptr;
  }
  self->method = {self->kind->schema.name.c_str(), nullptr, METH_FASTCALL | METH_KEYWORDS,
                  "The kind's call as a builtin: the quickest way to record, for hot loops."};
  self->method.ml_meth = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(kind_emit));
  self->emit = PyCFunction_NewEx(&self->method, owned.get(), nullptr);
  return self->emit != nullptr ? owned.release() : nullptr;
}

int kind_traverse(PyObject* object, visitproc visit, void* arg) {
  KindObject* self = as_kind(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->emit);
  Py_VISIT(self->wrapped);
  for (FieldPlan& plan : self->plans) Py_VISIT(plan.fallback);
  return 0;
}

int kind_clear(PyObject* object) {
  KindObject* self = as_kind(object);
  Py_CLEAR(self->emit);
  Py_CLEAR(self->wrapped);
  return 0;
}

void kind_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  kind_clear(object);
  for (FieldPlan& plan : as_kind(object)->plans) {
    Py_XDECREF(plan.name);
    Py_XDECREF(plan.fallback);
    Py_XDECREF(plan.last_text);
  }
  as_kind(object)->plans.~vector();
  type->tp_free(object);
  Py_DECREF(type);
}

int kind_bool(PyObject* self) { return gate_is_on(*as_kind(self)); }

PyObject* kind_enable(PyObject* self, PyObject*) {
  Recorder::get().set_on(*as_kind(self)->kind, true);
  Py_RETURN_NONE;
}

PyObject* kind_disable(PyObject* self, PyObject*) {
  Recorder::get().set_on(*as_kind(self)->kind, false);
  Py_RETURN_NONE;
}

PyObject* kind_repr(PyObject* self) {
  const KindSchema& schema = as_kind(self)->kind->schema;
  return PyUnicode_FromFormat("<kind %s of %s, %s>", schema.name.c_str(), schema.component.c_str(),
                              gate_is_on(*as_kind(self)) ? "on" : "off");
}

PyObject* get_name(PyObject* self, void*) { return to_str(as_kind(self)->kind->schema.name); }
PyObject* get_component(PyObject* self, void*) { return to_str(as_kind(self)->kind->schema.component); }
PyObject* get_decision(PyObject* self, void*) { return PyBool_FromLong(as_kind(self)->kind->schema.decision); }
PyObject* get_on(PyObject* self, void*) { return PyBool_FromLong(gate_is_on(*as_kind(self))); }
PyObject* get_id(PyObject* self, void*) { return PyLong_FromLong(as_kind(self)->kind->id); }
PyObject* get_doc(PyObject* self, void*) {
  PyObject* wrapped = as_kind(self)->wrapped;
  if (wrapped == nullptr || wrapped == Py_None) Py_RETURN_NONE;
  return PyObject_GetAttrString(wrapped, "__doc__");
}

PyMethodDef kMethods[] = {
    {"enable", kind_enable, METH_NOARGS, "Switches the kind on; noted in the session's gates log."},
    {"disable", kind_disable, METH_NOARGS, "Switches the kind off; noted in the session's gates log."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "Kind[P], for annotations."},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef kMembers[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(KindObject, vectorcall), READONLY, nullptr},
    {"emit", T_OBJECT, offsetof(KindObject, emit), READONLY, "The same call as a builtin."},
    {"__wrapped__", T_OBJECT, offsetof(KindObject, wrapped), READONLY, "The declared stub, or None."},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef kGetters[] = {
    {"name", get_name, nullptr, "The event type (str).", nullptr},
    {"component", get_component, nullptr, "Who records it (str).", nullptr},
    {"decision", get_decision, nullptr, "Is it a decision (bool)?", nullptr},
    {"on", get_on, nullptr, "Is it recorded at present (bool)?", nullptr},
    {"id", get_id, nullptr, "The kind's number in this process (int).", nullptr},
    {"__doc__", get_doc, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(kind_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(kind_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(kind_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(kind_clear)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_repr, reinterpret_cast<void*>(kind_repr)},
    {Py_nb_bool, reinterpret_cast<void*>(kind_bool)},
    {Py_tp_methods, kMethods},
    {Py_tp_members, kMembers},
    {Py_tp_getset, kGetters},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.Kind", sizeof(KindObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC |
                         Py_TPFLAGS_IMMUTABLETYPE,
                     kSlots};

}  // namespace

void set_strict(bool strict) { g_strict.store(strict, std::memory_order_relaxed); }
bool is_strict() { return g_strict.load(std::memory_order_relaxed); }

bool add_kind(PyObject* module) {
  g_kind_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  return g_kind_type != nullptr &&
         PyModule_AddObjectRef(module, "Kind", reinterpret_cast<PyObject*>(g_kind_type)) == 0;
}

}  // namespace whence::py
