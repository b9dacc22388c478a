// Span, the type: what can be done with a span that has begun: with, async with, plain calls.
#include "span.hpp"

#include <cstddef>
#include <cstdio>

#include "context_swap.hpp"
#include "convert.hpp"
#include "dynamic_kinds.hpp"
#include "ready.hpp"
#include "safe.hpp"
#include "span_function.hpp"
#include "span_link.hpp"
#include "span_object.hpp"

namespace whence::py {

namespace {

void span_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  SpanObject* self = as_span(object);
  if (self->pending) drop_pending(*self);
  if (self->ready != nullptr) leave_ready(*self->ready);
  if (self->span.kind != nullptr) {  // nobody ended it, and nobody can any more
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    SpanExtras* extras = extras_of(self->span);
    if (extras != nullptr && extras->attributes == nullptr) extras->attributes = PyDict_New();
    if (extras == nullptr || extras->attributes == nullptr ||
        PyDict_SetItemString(extras->attributes, "abandoned", Py_True) < 0)
      PyErr_Clear();
    if (self->span.severity == 0) self->span.severity = 2 + 1;  // Warning
    finish(self->span);
    PyErr_Restore(kind, value, trace);
  }
  ContextObject* parent = self->span.parent;
  ContextObject* context = self->context;
  PyObject* kept[3] = {self->name, self->component, self->attributes};
  free_span(self);
  Py_DECREF(type);
  Py_XDECREF(parent);
  Py_XDECREF(context);
  for (PyObject* each : kept) Py_XDECREF(each);
}

// ---------------------------------------------------------------- entering and leaving

// The context inside, made when it is first needed; null with an error set: no memory.
ContextObject* context_of(SpanObject& self) {
  if (self.context == nullptr) self.context = context_inside(self.span);
  return self.context;
}

bool enter_span(SpanObject& self) {
  if (self.span.kind == nullptr) return true;
  if (self.entered) {
    PyErr_SetString(PyExc_RuntimeError, "this span was entered already; make a new one");
    return false;
  }
  self.ready = self.context == nullptr ? find_ready() : nullptr;
  if (self.ready != nullptr) {
    g_any_context.store(true, std::memory_order_relaxed);
    enter_ready(*self.ready, self.span.parent, self.span.trace, self.span.span_id);
    return self.entered = true;
  }
  const bool fresh = self.context == nullptr;
  ContextObject* context = context_of(self);
  if (context == nullptr) return false;
  if (fresh) {
    if (!enter_and_keep(context, self.ready)) return false;
    if (self.ready != nullptr) Py_CLEAR(self.context);  // the kept one is to be nobody else's
    return self.entered = true;
  }
  // One of its own if others have it: it must lead back from here alone.
  if (Py_REFCNT(context) > 1) {
    context = context_inside(self.span);
    if (context == nullptr) return false;
    Py_SETREF(self.context, context);
  }
  if (!enter_context(context)) return false;
  self.entered = true;
  return true;
}

void exit_span(SpanObject& self, PyObject* error_type, PyObject* error) {
  if (self.entered) {
    self.entered = false;
    if (ReadyContext* ready = std::exchange(self.ready, nullptr))
      leave_ready(*ready);
    else
      leave_context(self.context);
  }
  if (self.span.kind == nullptr) return;
  if (error_type != nullptr && error_type != Py_None) note_error(self.span, error_type, error);
  finish(self.span);
}

PyObject* span_enter(PyObject* object, PyObject*) {
  return enter_span(*used_span(object)) ? Py_NewRef(object) : nullptr;
}

PyObject* span_exit(PyObject* object, PyObject* const* args, Py_ssize_t given) {
  exit_span(*used_span(object), given > 0 ? args[0] : nullptr, given > 1 ? args[1] : nullptr);
  Py_RETURN_NONE;
}

PyObject* span_aenter(PyObject* object, PyObject*) {
  return enter_span(*used_span(object)) ? ready(object) : nullptr;
}

PyObject* span_aexit(PyObject* object, PyObject* const* args, Py_ssize_t given) {
  exit_span(*used_span(object), given > 0 ? args[0] : nullptr, given > 1 ? args[1] : nullptr);
  return ready(Py_None);
}

// ---------------------------------------------------------------- plain calls

PyObject* span_end(PyObject* object, PyObject* const* args, Py_ssize_t given, PyObject* keywords) {
  SpanObject& self = *used_span(object);
  if (self.span.kind == nullptr) Py_RETURN_NONE;
  PyObject* error = given > 0 ? args[0] : Py_None;
  std::uint64_t end_ns = 0;
  bool known = given <= 1;
  for (Py_ssize_t i = 0; keywords != nullptr && i < PyTuple_GET_SIZE(keywords); ++i) {
    PyObject* name = PyTuple_GET_ITEM(keywords, i);
    if (PyUnicode_CompareWithASCIIString(name, "end_ns") == 0)
      end_ns = PyLong_AsUnsignedLongLong(args[given + i]);
    else if (PyUnicode_CompareWithASCIIString(name, "error") == 0 && given == 0)
      error = args[given + i];
    else
      known = false;
    if (PyErr_Occurred()) return nullptr;
  }
  if (!known) {
    PyErr_SetString(PyExc_TypeError, "end() takes an error, or None, and end_ns");
    return nullptr;
  }
  if (PyExceptionInstance_Check(error)) {
    note_error(self.span, reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
  } else if (error != Py_None) {
    Ref text(PyObject_Str(error));
    if (text && self.span.kind == nullptr) Py_RETURN_NONE;
    SpanExtras* extras = text ? extras_of(self.span) : nullptr;
    std::string_view said;
    Ref owner;
    if (extras == nullptr || !utf8_of(text.get(), said, owner)) return nullptr;
    extras->status = SpanStatus::Error;
    extras->message = said;
    self.span.severity = 3 + 1;
  }
  finish(self.span, end_ns);
  Py_RETURN_NONE;
}

PyObject* span_set(PyObject* object, PyObject* args, PyObject* kwargs) {
  if (PyTuple_GET_SIZE(args) != 0) {
    PyErr_SetString(PyExc_TypeError, "set() takes keywords: span.set(tool='search')");
    return nullptr;
  }
  SpanObject& self = *used_span(object);
  if (self.span.kind == nullptr || kwargs == nullptr) Py_RETURN_NONE;
  Ref pairs(PyDict_Copy(kwargs));
  if (!pairs || !add_attributes(self.span, pairs.get())) return reject(self.span);
  Py_RETURN_NONE;
}

bool read_target(PyObject* to, SpanLinkTo& link) {
  if (Py_TYPE(to) != g_span_type) return read_link(to, link);
  ContextObject* context = context_of(*used_span(to));
  if (context == nullptr) return false;
  link.trace = trace_of_context(*context);
  link.span_id = context->span_id;
  return true;
}

PyObject* span_link(PyObject* object, PyObject* args, PyObject* kwargs) try {
  PyObject* to = nullptr;
  if (!PyArg_ParseTuple(args, "O:link", &to)) return nullptr;
  SpanObject& self = *used_span(object);
  if (self.span.kind == nullptr) Py_RETURN_NONE;
  SpanLinkTo link{};
  if (!read_target(to, link)) return reject(self.span);
  Ref attributes;
  if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0) {
    Ref copy(PyDict_Copy(kwargs));
    attributes = Ref(copy ? convert_attributes(copy.get()) : nullptr);
    if (!attributes) return reject(self.span);
  }
  SpanExtras* extras = self.span.kind != nullptr ? extras_of(self.span) : nullptr;
  if (extras == nullptr) return PyErr_Occurred() ? nullptr : Py_NewRef(Py_None);
  extras->links.push_back(link);
  extras->links.back().attributes = attributes.release();
  Py_RETURN_NONE;
} catch (const std::bad_alloc&) {
  return PyErr_NoMemory();
}

// Who brings spans of another API says so: 0 nothing, 1 ok, 2 error.
PyObject* span_status(PyObject* object, PyObject* args) {
  int status = 0;
  const char* message = "";
  if (!PyArg_ParseTuple(args, "i|s", &status, &message)) return nullptr;
  SpanObject& self = *used_span(object);
  if (self.span.kind == nullptr || status < 0 || status > 2) Py_RETURN_NONE;
  SpanExtras* extras = extras_of(self.span);
  if (extras == nullptr) return nullptr;
  extras->status = static_cast<SpanStatus>(status);
  extras->message = message;
  self.span.severity = status == 2 ? 3 + 1 : 0;
  Py_RETURN_NONE;
}

// Other APIs name a span when more is known of it; it ends as an event of that name.
PyObject* span_rename(PyObject* object, PyObject* name) {
  SpanObject& self = *used_span(object);
  if (self.span.kind == nullptr) Py_RETURN_NONE;
  bool overflow = false;
  const whence::Kind* kind = dynamic_kind(name, self.component, Flavour::Span, overflow);
  if (kind == nullptr || self.span.kind == nullptr) return nullptr;
  if (SpanExtras* extras = self.span.extras) extras->event_type = extras->component = std::string();
  if (overflow && !say_names(self.span, name, self.component)) return nullptr;
  self.span.kind = kind;
  Py_SETREF(self.name, Py_NewRef(name));
  Py_RETURN_NONE;
}

// As a decorator: what was begun for a `with` was not meant.
PyObject* span_call(PyObject* object, PyObject* args, PyObject* kwargs) {
  PyObject* function = nullptr;
  if (!PyArg_ParseTuple(args, "O:span", &function)) return nullptr;
  if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0) {
    PyErr_SetString(PyExc_TypeError, "span objects take one function and no keywords");
    return nullptr;
  }
  SpanObject& self = *as_span(object);
  if (self.pending) drop_pending(self);
  cancel(self.span);
  Ref module(PyImport_ImportModule("whence.emit.spans"));
  if (!module) return nullptr;
  return PyObject_CallMethod(module.get(), "decorate", "OOOO", function, self.name, self.component,
                             self.attributes != nullptr ? self.attributes : Py_None);
}

// ---------------------------------------------------------------- the type

int span_bool(PyObject* object) { return used_span(object)->span.kind != nullptr; }

PyObject* get_open(PyObject* object, void*) { return PyBool_FromLong(span_bool(object)); }
PyObject* get_span_id(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(used_span(object)->span.span_id);
}
PyObject* get_start_ns(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(used_span(object)->span.start_ns);
}
PyObject* get_parent_id(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(used_span(object)->span.parent_id());
}
PyObject* get_context(PyObject* object, void*) {
  if (used_span(object)->span.span_id == 0) Py_RETURN_NONE;
  ContextObject* context = context_of(*used_span(object));
  return Py_XNewRef(reinterpret_cast<PyObject*>(context));
}
PyObject* get_trace_id(PyObject* object, void*) {
  if (used_span(object)->span.span_id == 0) return to_str("");
  ContextObject* context = context_of(*used_span(object));
  return context != nullptr ? trace_text(trace_of_context(*context)) : nullptr;
}

PyObject* span_repr(PyObject* object) {
  const SpanObject& self = *used_span(object);
  char id[17];
  std::snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(self.span.span_id));
  const char* state = self.span.kind != nullptr ? "open" : self.span.span_id != 0 ? "ended" : "off";
  return PyUnicode_FromFormat("<span %U %s, %s>", self.name, id, state);
}

template <class Function>
PyCFunction method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef kMethods[] = {
    {"__enter__", safe<span_enter>, METH_NOARGS, "Makes it the span that things happen in."},
    {"__exit__", method(safe<span_exit>), METH_FASTCALL, "Puts back what was before and ends it; errors go on."},
    {"__aenter__", safe<span_aenter>, METH_NOARGS, "As __enter__."},
    {"__aexit__", method(safe<span_aexit>), METH_FASTCALL, "As __exit__."},
    {"set", method(safe<span_set>), METH_VARARGS | METH_KEYWORDS,
     "set(**attributes)\n\nAdds attributes: int, float, bool, str; others by their str()."},
    {"link", method(safe<span_link>), METH_VARARGS | METH_KEYWORDS,
     "link(to, /, **attributes)\n\nTies it to another span: a Context, a span, a traceparent or (trace id, span id)."},
    {"end", method(safe<span_end>), METH_FASTCALL | METH_KEYWORDS,
     "end(error=None)\n\nEnds and records it, once. `error` is an exception or a text. Any thread."},
    {"_rename", safe<span_rename>, METH_O, "_rename(name)"},
    {"_status", safe<span_status>, METH_VARARGS, "_status(0 nothing | 1 ok | 2 error, message)"},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef kMembers[] = {
    {"name", T_OBJECT, offsetof(SpanObject, name), READONLY, "The event type (str)."},
    {"component", T_OBJECT, offsetof(SpanObject, component), READONLY, "Who records it (str)."},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef kGetters[] = {
    {"open", safe<get_open>, nullptr, "Has it begun and not ended (bool)?", nullptr},
    {"span_id", safe<get_span_id>, nullptr, "Its id (int); 0 when spans of this name are off.", nullptr},
    {"start_ns", safe<get_start_ns>, nullptr, "When it began (int), monotonic; 0 when off.", nullptr},
    {"parent_span_id", safe<get_parent_id>, nullptr, "The span around it (int), 0 = none.", nullptr},
    {"trace_id", safe<get_trace_id>, nullptr, "32 hexadecimal digits, or \"\" when off.", nullptr},
    {"context", safe<get_context>, nullptr, "The Context of what happens inside, or None when off.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<span_dealloc>)},
    {Py_tp_call, reinterpret_cast<void*>(safe<span_call>)},
    {Py_tp_repr, reinterpret_cast<void*>(safe<span_repr>)},
    {Py_nb_bool, reinterpret_cast<void*>(span_bool)},
    {Py_tp_methods, kMethods},
    {Py_tp_members, kMembers},
    {Py_tp_getset, kGetters},
    {Py_tp_doc, const_cast<char*>(
                    "span(name, /, *, component='', **attributes)\n\n"
                    "A piece of work that lasts; it begins here and is recorded once, when it ends. Use it in\n"
                    "`with` or `async with`, as a decorator of functions, coroutine functions and generators,\n"
                    "or call end(). What is recorded inside a `with` belongs to it. An exception is noted and\n"
                    "goes on. `component` is by default the calling module's name. A span that nobody ends is\n"
                    "recorded, with abandoned=True, when it is collected. Any thread may end it; only one at a\n"
                    "time may use it. About 0.1 us, 0.2 us in a `with`.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.Span", sizeof(SpanObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     kSlots};

PyMethodDef kFunctions[] = {
    {"begin_span", safe<begin_span>, METH_VARARGS,
     "begin_span(name, component, attributes=None, parent=ambient, start_ns=now, span_id=new, /) -> Span"},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_span(PyObject* module) {
  g_span_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  if (g_span_type == nullptr || !make_span_words() || !make_ready_type()) return false;
  g_span_type->tp_vectorcall = span_vectorcall;
  return PyModule_AddObjectRef(module, "Span", reinterpret_cast<PyObject*>(g_span_type)) == 0 &&
         PyModule_AddFunctions(module, kFunctions) == 0 && add_span_function(module);
}

}  // namespace whence::py
