// A decorated function: its call begins a span, calls, and ends it, without another Python frame.
#include "span_function.hpp"

#include <cstddef>

#include "context_swap.hpp"
#include "dynamic_kinds.hpp"
#include "safe.hpp"
#include "span_object.hpp"

namespace whence::py {

namespace {

PyTypeObject* g_function_type = nullptr;

struct FunctionObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* function;
  PyObject* name;
  PyObject* component;
  PyObject* attributes;  // a dict, or null
  PyObject* dict;
  PyObject* weak_references;
  const whence::Kind* kind;
  bool overflow;  // the kind is that of all spans beyond the table
};

FunctionObject* as_function(PyObject* object) { return reinterpret_cast<FunctionObject*>(object); }

// False: an error is set.
[[gnu::noinline]] bool add_declared(const FunctionObject& self, OpenSpan& span) {
  if (self.overflow && !say_names(span, self.name, self.component)) return false;
  if (self.attributes == nullptr) return true;
  SpanExtras* extras = extras_of(span);
  if (extras == nullptr) return false;
  extras->attributes = PyDict_Copy(self.attributes);
  return extras->attributes != nullptr;
}

[[gnu::noinline]] void note_raised(OpenSpan& span) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  note_error(span, type, value);
  PyErr_Restore(type, value, trace);
}

// Makes the span's context ambient: the one kept ready, else a new one. False: an error is set.
bool enter(const OpenSpan& span, ReadyContext*& ready, Ref& inside) {
  ready = find_ready();  // again: since the last look, finalisers may have run
  g_any_context.store(true, std::memory_order_relaxed);
  if (ready != nullptr) [[likely]] {
    enter_ready(*ready, span.parent, span.trace, span.span_id);
    return true;
  }
  ContextObject* context = context_inside(span);
  inside = Ref(reinterpret_cast<PyObject*>(context));
  if (context == nullptr || !enter_and_keep(context, ready)) return false;
  if (ready != nullptr) inside = Ref();  // it has its own reference
  return true;
}

void leave(ReadyContext* ready, const Ref& inside) {
  if (ready != nullptr)
    leave_ready(*ready);
  else
    leave_context(as_context(inside.get()));
}

PyObject* function_call(PyObject* object, PyObject* const* args, std::size_t flags, PyObject* keywords) {
  const FunctionObject& self = *as_function(object);
  const Gate gate = gate_of(*self.kind);
  if (!gate.on()) return PyObject_Vectorcall(self.function, args, flags, keywords);
  OpenSpan span;
  ReadyContext* ready = find_ready();
  Ref parent;
  if (ready == nullptr)
    parent = current_context();
  else
    parent = Ref::to(reinterpret_cast<PyObject*>(context_around(*ready)));
  if (!begin(span, *self.kind, gate, as_context(parent.get()), 0)) [[unlikely]]
    return PyObject_Vectorcall(self.function, args, flags, keywords);
  Ref inside;
  const bool more = self.overflow || self.attributes != nullptr;
  if ((more && !add_declared(self, span)) || !enter(span, ready, inside)) [[unlikely]] {
    cancel(span);
    return nullptr;
  }
  PyObject* result = PyObject_Vectorcall(self.function, args, flags, keywords);
  if (result == nullptr) [[unlikely]] {
    note_raised(span);
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    leave(ready, inside);
    PyErr_Restore(type, value, trace);
  } else {
    leave(ready, inside);
  }
  finish(span);
  return result;
}

// Function, name, component, attributes (a dict or None). functools.update_wrapper() does the rest.
PyObject* function_new(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject *function, *name, *component, *attributes;
  if (!PyArg_ParseTuple(args, "OUUO:SpanFunction", &function, &name, &component, &attributes)) return nullptr;
  if (attributes != Py_None && !PyDict_Check(attributes)) {
    PyErr_SetString(PyExc_TypeError, "attributes must be a dict or None");
    return nullptr;
  }
  bool overflow = false;
  const whence::Kind* kind = dynamic_kind(name, component, Flavour::Span, overflow);
  if (kind == nullptr) return nullptr;
  auto* self = as_function(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  self->vectorcall = function_call;
  self->function = Py_NewRef(function);
  self->name = Py_NewRef(name);
  self->component = Py_NewRef(component);
  if (attributes != Py_None) self->attributes = Py_NewRef(attributes);
  self->kind = kind;
  self->overflow = overflow;
  return reinterpret_cast<PyObject*>(self);
}

int function_traverse(PyObject* object, visitproc visit, void* arg) {
  FunctionObject* self = as_function(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->function);
  Py_VISIT(self->attributes);
  Py_VISIT(self->dict);
  return 0;
}

int function_clear(PyObject* object) {
  FunctionObject* self = as_function(object);
  Py_CLEAR(self->function);
  Py_CLEAR(self->attributes);
  Py_CLEAR(self->dict);
  return 0;
}

void function_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (as_function(object)->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  function_clear(object);
  Py_CLEAR(as_function(object)->name);
  Py_CLEAR(as_function(object)->component);
  type->tp_free(object);
  Py_DECREF(type);
}

// Methods: `self` is passed on as the first argument.
PyObject* function_get(PyObject* object, PyObject* instance, PyObject*) {
  if (instance == nullptr || instance == Py_None) return Py_NewRef(object);
  return PyMethod_New(object, instance);
}

PyObject* function_repr(PyObject* object) {
  return PyUnicode_FromFormat("<span function %R>", as_function(object)->function);
}

// As functions do: by the name under which the module has it.
PyObject* function_reduce(PyObject* object, PyObject*) {
  return PyObject_GetAttrString(as_function(object)->function, "__qualname__");
}

PyMethodDef kMethods[] = {
    {"__reduce__", safe<function_reduce>, METH_NOARGS, "Pickles by name, as functions do."},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef kMembers[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(FunctionObject, vectorcall), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(FunctionObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FunctionObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef kGetters[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<function_new>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<function_dealloc>)},
    {Py_tp_traverse, reinterpret_cast<void*>(function_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(function_clear)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_descr_get, reinterpret_cast<void*>(function_get)},
    {Py_tp_repr, reinterpret_cast<void*>(safe<function_repr>)},
    {Py_tp_methods, kMethods},
    {Py_tp_members, kMembers},
    {Py_tp_getset, kGetters},
    {Py_tp_doc, const_cast<char*>("A function whose calls are spans. Made by whence.span.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.SpanFunction", sizeof(FunctionObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_HAVE_GC |
                         Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE,
                     kSlots};

}  // namespace

bool add_span_function(PyObject* module) {
  g_function_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  return g_function_type != nullptr &&
         PyModule_AddObjectRef(module, "SpanFunction", reinterpret_cast<PyObject*>(g_function_type)) == 0;
}

}  // namespace whence::py
