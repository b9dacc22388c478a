// Kind, the type: declared once, called for every event.
#include "kind.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <new>
#include <vector>

#include "gates.hpp"
#include "dynamic_kinds.hpp"
#include "kind_object.hpp"
#include "safe.hpp"

namespace whence::py {

namespace {

std::atomic<bool> g_strict{true};

PyTypeObject* g_kind_type = nullptr;

// ---------------------------------------------------------------- the call

[[gnu::always_inline]] inline PyObject* call(PyObject* self, PyObject* const* args, std::size_t given,
                                             PyObject* keywords) {
  const Gate gate = gate_of(*as_kind(self));
  if (!gate.on()) Py_RETURN_NONE;
  if (!gate.plain()) [[unlikely]] return record_gated(*as_kind(self), gate, args, given, keywords);
  return record_call(*as_kind(self), args, given, keywords);
}

PyObject* kind_vectorcall(PyObject* self, PyObject* const* args, std::size_t given, PyObject* keywords) {
  return call(self, args, static_cast<std::size_t>(PyVectorcall_NARGS(given)), keywords);
}

PyObject* kind_emit(PyObject* self, PyObject* const* args, Py_ssize_t given, PyObject* keywords) {
  return call(self, args, static_cast<std::size_t>(given), keywords);
}

// ---------------------------------------------------------------- the type

bool read_field(PyObject* spec, KindSchema& schema, FieldPlan& plan) {
  PyObject* name = nullptr;
  PyObject* fallback = nullptr;
  int type = 0;
  int role = 0;
  int optional = 0;
  plan.least = -HUGE_VAL;
  plan.most = HUGE_VAL;
  if (!PyArg_ParseTuple(spec, "UiipO|dd", &name, &type, &role, &optional, &fallback, &plan.least, &plan.most))
    return false;
  plan.limited = plan.least != -HUGE_VAL || plan.most != HUGE_VAL;
  std::string_view text;
  if (!strict_utf8_of(name, text)) return false;
  plan.name = Py_NewRef(name);
  PyUnicode_InternInPlace(&plan.name);
  plan.type = static_cast<FieldType>(type);
  plan.role = static_cast<FieldRole>(role);
  plan.optional = optional != 0;
  plan.fallback = fallback == Py_Ellipsis ? nullptr : Py_NewRef(fallback);
  if (text.size() > kMaxFieldNameBytes) {
    PyErr_Format(PyExc_ValueError, "a field's name has at most %zu bytes", kMaxFieldNameBytes);
    return false;
  }
  schema.fields.push_back({std::string(text), plan.type, plan.role, 0, plan.optional});
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

std::size_t find_role(const std::vector<FieldPlan>& plans, FieldRole role) {
  for (std::size_t i = 0; i < plans.size(); ++i)
    if (plans[i].role == role) return i;
  return kNoField;
}

// A source that is too long is cut when it is declared; what people wrote is refused instead.
bool short_enough(const KindSchema& schema) {
  for (const std::string* name : {&schema.name, &schema.component})
    if (name->size() > kMaxKindNameBytes) {
      PyErr_Format(PyExc_ValueError, "the name of a kind or component has at most %zu bytes", kMaxKindNameBytes);
      return false;
    }
  for (const std::string* text : {&schema.rationale, &schema.otel_name})
    if (text->size() > kMaxKindTextBytes) {
      PyErr_Format(PyExc_ValueError, "a rationale's template has at most %zu bytes", kMaxKindTextBytes);
      return false;
    }
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
  Py_ssize_t positional = PY_SSIZE_T_MAX;
  if (!PyArg_ParseTuple(args, "sssssippO!KO|n:Kind", &name, &component, &rationale, &otel_name, &source,
                        &severity, &decision, &on, &PyTuple_Type, &fields, &must_say, &wrapped, &positional))
    return nullptr;
  auto* self = as_kind(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  Ref owned(reinterpret_cast<PyObject*>(self));
  new (&self->plans) std::vector<FieldPlan>;
  self->vectorcall = safe<kind_vectorcall>;
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
  if (!short_enough(schema) || !read_fields(fields, schema, self->plans)) return nullptr;
  self->positional = std::min(static_cast<std::size_t>(positional), self->plans.size());
  self->all_fields = self->positional == self->plans.size() ? self->positional : kNoField;
  self->record = record_of(self->plans);
  for (const FieldPlan& plan : self->plans) self->limited |= plan.limited;
  self->request_at = find_role(self->plans, FieldRole::Request);
  self->strength_at = find_role(self->plans, FieldRole::Strength);
  self->kind = Recorder::get().declare(std::move(schema), &self->gate);
  if (self->kind != nullptr && self->kind->schema.decision) note_declared_decision();
  if (self->kind == nullptr) {
    PyErr_Format(PyExc_RuntimeError, "more than %u kinds: declare kinds once, not per event", kMaxKinds - 1);
    return nullptr;
  }
  self->kind_id = self->kind->id;
  self->method = {self->kind->schema.name.c_str(), nullptr, METH_FASTCALL | METH_KEYWORDS,
                  "The kind's call as a builtin: the quickest way to record, for hot loops."};
  self->method.ml_meth = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<kind_emit>));
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
  if (as_kind(object)->kind != nullptr) as_kind(object)->kind->follower = nullptr;  // the kind lives on
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

PyObject* kind_enable(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"sample_rate", "min_strength", nullptr};
  PyObject* rate = nullptr;
  PyObject* minimum = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$O:enable", const_cast<char**>(names), &rate, &minimum))
    return nullptr;
  const KindObject& self = *as_kind(object);
  Gate gate;
  if (!gate_from(rate, minimum, gate)) return nullptr;
  const char* name = self.kind->schema.name.c_str();
  if (self.kind->schema.exempt && !gate.plain()) {
    const bool decision = self.kind->schema.decision;
    PyErr_Format(PyExc_ValueError, "%s is %s are recorded all, or off", name,
                 decision ? "a decision: decisions" : "told of decisions: outcomes");
    return nullptr;
  }
  if (gate.has_minimum() && self.strength_at == kNoField) {
    PyErr_Format(PyExc_ValueError, "%s has no parameter 'strength', nor one of type whence.Strength", name);
    return nullptr;
  }
  Recorder::get().set_gate(*self.kind, gate);
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
PyObject* get_sample_rate(PyObject* self, void*) { return PyFloat_FromDouble(gate_of(*as_kind(self)).rate()); }
PyObject* get_min_strength(PyObject* self, void*) {
  const Gate gate = gate_of(*as_kind(self));
  if (!gate.has_minimum()) Py_RETURN_NONE;
  return PyFloat_FromDouble(static_cast<double>(gate.minimum()) + 0.0);  // -0.0 was given as 0.0
}
PyMethodDef kMethods[] = {
    {"enable", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<kind_enable>)),
     METH_VARARGS | METH_KEYWORDS,
     "enable($self, sample_rate=1.0, *, min_strength=None)\n--\n\n"
     "Switches the kind on; noted in the session's gates log, and effective at once in every thread.\n\n"
     "    sample_rate   float above 0 and up to 1, kept to 30 bits: the share of requests whose events\n"
     "                  are kept, all of a request or none; outside of requests, of events\n"
     "    min_strength  float, kept as 32 bits: events whose strength is less are left out\n\n"
     "Raises ValueError for a rate out of range (0 is what disable() is for), for a NaN, for anything but\n"
     "on for a decision, and for a minimum where no parameter is a strength; TypeError for no number."},
    {"disable", safe<kind_disable>, METH_NOARGS, "Switches the kind off; noted in the session's gates log."},
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
    {"name", safe<get_name>, nullptr, "The event type (str).", nullptr},
    {"component", safe<get_component>, nullptr, "Who records it (str).", nullptr},
    {"decision", safe<get_decision>, nullptr, "Is it a decision (bool)?", nullptr},
    {"on", safe<get_on>, nullptr, "Is it recorded at present (bool)?", nullptr},
    {"sample_rate", safe<get_sample_rate>, nullptr, "The share that is kept when the kind is on (float).", nullptr},
    {"min_strength", safe<get_min_strength>, nullptr, "The least strength that is kept (float), or None.", nullptr},
    {"id", safe<get_id>, nullptr, "The kind's number in this process (int).", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<kind_new>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<kind_dealloc>)},
    {Py_tp_traverse, reinterpret_cast<void*>(kind_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(kind_clear)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_repr, reinterpret_cast<void*>(safe<kind_repr>)},
    {Py_nb_bool, reinterpret_cast<void*>(kind_bool)},
    {Py_tp_methods, kMethods},
    {Py_tp_members, kMembers},
    {Py_tp_getset, kGetters},
    {Py_tp_doc, const_cast<char*>("A declared type of event: calling it records one. Made by whence.kind.")},
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
