// Context: an immutable value in a contextvar, so it follows asyncio tasks and copied contexts.
#include "context.hpp"
#include "safe.hpp"

#include <new>

#include "context_swap.hpp"
#include "whence/recorder.hpp"

namespace whence::py {

PyTypeObject* g_context_type = nullptr;
PyObject* g_context_var = nullptr;
PyObject* g_process_context = nullptr;
std::atomic<bool> g_any_context{false};

namespace {

ContextObject* allocate_context() {
  auto* self = PyObject_New(ContextObject, g_context_type);
  if (self == nullptr) return nullptr;
  std::memset(reinterpret_cast<char*>(self) + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
  return self;
}

// Is the trace another one than the request's own would be?
void settle(ContextObject& self) {
  const ContextTexts& texts = self.texts();
  if (self.has_request() && self.trace) {
    const TraceId own = trace_of_request(self.request.form, self.request.words.data(), texts.request_id,
                                         Recorder::get().run());
    if (own == self.trace) {
      self.trace = {};
      self.trace_given = false;
    }
  }
  self.needs_text = self.request.form == RequestForm::Long || !texts.chain_id.empty() ||
                    self.lineage_id != 0 || (self.has_request() && self.trace);
}

PyObject* context_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"request_id", "chain_id", "lineage_id", "trace_id", "span_id",
                                "trace_flags", "tracestate", "baggage", nullptr};
  PyObject* texts[5] = {};  // request, chain, trace, tracestate, baggage
  PyObject* lineage = nullptr;
  PyObject* span = nullptr;
  unsigned char flags = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|UO!UO!bUU:Context", const_cast<char**>(names), &texts[0],
                                   &texts[1], &PyLong_Type, &lineage, &texts[2], &PyLong_Type, &span,
                                   &flags, &texts[3], &texts[4]))
    return nullptr;
  std::string_view said[5];
  for (int i = 0; i < 5; ++i)
    if (texts[i] != nullptr && !strict_utf8_of(texts[i], said[i])) return nullptr;
  std::uint64_t numbers[2] = {};
  PyObject* given[2] = {lineage, span};
  for (int i = 0; i < 2; ++i) {
    if (given[i] == nullptr) continue;
    numbers[i] = PyLong_AsUnsignedLongLong(given[i]);
    if (PyErr_Occurred()) return nullptr;
  }
  TraceId trace;
  if (!said[2].empty() && !parse_trace_id(said[2], trace)) {
    PyErr_Format(PyExc_ValueError, "a trace id is 32 hexadecimal digits, not all 0, not %R", texts[2]);
    return nullptr;
  }
  ContextObject* self = allocate_context();
  if (self == nullptr) return nullptr;
  self->own_texts = new (std::nothrow) ContextTexts;
  if (self->own_texts == nullptr) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  self->request = encode_request(said[0], Recorder::get().request_seed());
  self->own_texts->request_id = said[0];
  if (said[1] != said[0]) self->own_texts->chain_id = said[1];
  self->own_texts->tracestate = said[3];
  self->own_texts->baggage = said[4];
  self->lineage_id = numbers[0];
  self->span_id = numbers[1];
  self->trace = trace;
  self->trace_given = static_cast<bool>(trace);
  self->trace_flags = flags;
  settle(*self);
  return reinterpret_cast<PyObject*>(self);
}

void context_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  ContextObject* self = as_context(object);
  delete self->own_texts;
  ContextObject* previous = std::exchange(self->previous, nullptr);
  ContextObject* source = std::exchange(self->source, nullptr);
  PyObject_Free(object);
  Py_DECREF(type);
  Py_XDECREF(source);
  Py_XDECREF(previous);
}

// A value of its own, to be entered once.
ContextObject* copy_of(ContextObject* from) {
  ContextObject* copy = context_of_span(from, from->trace, from->span_id);
  return copy;
}

// A request begins: within the ambient trace, if that came from elsewhere or a span is open.
bool stay_in_trace(ContextObject& self) {
  const Ref around(current_context());
  if (!around || self.trace) return true;
  const ContextObject& outer = *as_context(around.get());
  if (!outer.trace_given && outer.span_id == 0) return true;
  self.trace = trace_of_context(outer);
  self.trace_given = outer.trace_given;
  self.span_id = outer.span_id;
  self.trace_flags = outer.trace_flags;
  const ContextTexts& texts = outer.texts();
  if (!texts.tracestate.empty() || !texts.baggage.empty()) {
    self.own_texts = new (std::nothrow) ContextTexts(self.texts());
    if (self.own_texts == nullptr) return false;
    Py_CLEAR(self.source);
    self.own_texts->tracestate = texts.tracestate;
    self.own_texts->baggage = texts.baggage;
  }
  settle(self);
  return true;
}

template <bool Request>
PyObject* enter(PyObject*, PyObject* argument) {
  if (Py_TYPE(argument) != g_context_type) {
    PyErr_SetString(PyExc_TypeError, "a Context is wanted");
    return nullptr;
  }
  ContextObject* copy = copy_of(as_context(argument));
  Ref owned(reinterpret_cast<PyObject*>(copy));
  if (copy == nullptr) return nullptr;
  if (Request && !stay_in_trace(*copy)) return PyErr_NoMemory();
  return enter_context(copy) ? owned.release() : nullptr;
}

PyObject* leave(PyObject*, PyObject* argument) {
  if (Py_TYPE(argument) != g_context_type) {
    PyErr_SetString(PyExc_TypeError, "a Context is wanted");
    return nullptr;
  }
  return PyBool_FromLong(leave_context(as_context(argument)));
}

PyObject* current(PyObject*, PyObject*) {
  Ref found(current_context());
  if (found) return found.release();
  Py_RETURN_NONE;
}

PyObject* set_process_context(PyObject*, PyObject* argument) {
  if (argument != Py_None && Py_TYPE(argument) != g_context_type) {
    PyErr_SetString(PyExc_TypeError, "a Context or None is wanted");
    return nullptr;
  }
  if (argument != Py_None) g_any_context.store(true, std::memory_order_relaxed);
  Py_SETREF(g_process_context, Py_NewRef(argument));
  Py_RETURN_NONE;
}

PyObject* get_request_id(PyObject* self, void*) { return to_str(as_context(self)->texts().request_id); }
PyObject* get_chain_id(PyObject* self, void*) {
  const ContextTexts& texts = as_context(self)->texts();
  return to_str(texts.chain_id.empty() ? texts.request_id : texts.chain_id);
}
PyObject* get_lineage_id(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(as_context(self)->lineage_id);
}
PyObject* get_trace_id(PyObject* self, void*) { return trace_text(trace_of_context(*as_context(self))); }
PyObject* get_span_id(PyObject* self, void*) { return PyLong_FromUnsignedLongLong(as_context(self)->span_id); }
PyObject* get_trace_flags(PyObject* self, void*) { return PyLong_FromLong(as_context(self)->trace_flags); }
PyObject* get_remote(PyObject* self, void*) { return PyBool_FromLong(as_context(self)->trace_given); }
PyObject* get_tracestate(PyObject* self, void*) { return to_str(as_context(self)->texts().tracestate); }
PyObject* get_baggage(PyObject* self, void*) { return to_str(as_context(self)->texts().baggage); }

// The trace is spelt out: another process may derive another one from the request.
PyObject* context_reduce(PyObject* self, PyObject*) {
  return Py_BuildValue("O(NNNNNNNN)", g_context_type, get_request_id(self, nullptr), get_chain_id(self, nullptr),
                       get_lineage_id(self, nullptr), get_trace_id(self, nullptr), get_span_id(self, nullptr),
                       get_trace_flags(self, nullptr), get_tracestate(self, nullptr),
                       get_baggage(self, nullptr));
}

bool same(const ContextObject& a, const ContextObject& b) {
  const ContextTexts& x = a.texts();
  const ContextTexts& y = b.texts();
  return a.span_id == b.span_id && a.lineage_id == b.lineage_id && a.trace_flags == b.trace_flags &&
         x.request_id == y.request_id && x.chain_id == y.chain_id && x.tracestate == y.tracestate &&
         x.baggage == y.baggage && trace_of_context(a) == trace_of_context(b);
}

PyObject* context_compare(PyObject* self, PyObject* other, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(other) != g_context_type) Py_RETURN_NOTIMPLEMENTED;
  return PyBool_FromLong(same(*as_context(self), *as_context(other)) == (operation == Py_EQ));
}

Py_hash_t context_hash(PyObject* self) {
  const ContextObject& context = *as_context(self);
  const std::uint64_t mixed = context.request.key * 31 + context.span_id * 17 + context.lineage_id;
  return static_cast<Py_hash_t>(mixed >> 1);
}

PyObject* context_repr(PyObject* self) {
  const ContextObject& context = *as_context(self);
  Ref id(get_request_id(self, nullptr));
  Ref trace(get_trace_id(self, nullptr));
  if (!id || !trace) return nullptr;
  if (context.span_id == 0 && !context.trace_given) return PyUnicode_FromFormat("Context(%R)", id.get());
  char span[17];
  std::snprintf(span, sizeof span, "%016llx", static_cast<unsigned long long>(context.span_id));
  return PyUnicode_FromFormat("Context(%R, trace %U, span %s)", id.get(), trace.get(), span);
}

PyMethodDef kMethods[] = {
    {"__reduce__", safe<context_reduce>, METH_NOARGS, "Pickles as a value."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kGetters[] = {
    {"request_id", safe<get_request_id>, nullptr, "The request's id (str), \"\" outside of any.", nullptr},
    {"chain_id", safe<get_chain_id>, nullptr, "The decision chain's id; the request's by default.", nullptr},
    {"lineage_id", safe<get_lineage_id>, nullptr, "The lineage id events inherit, 0 = none.", nullptr},
    {"trace_id", safe<get_trace_id>, nullptr, "The trace's id: 32 hexadecimal digits, or \"\".", nullptr},
    {"span_id", safe<get_span_id>, nullptr, "The innermost open span (int), 0 = none.", nullptr},
    {"trace_flags", safe<get_trace_flags>, nullptr, "W3C's flags as they came with the trace (int).", nullptr},
    {"remote", safe<get_remote>, nullptr, "Did the trace come from elsewhere (bool)?", nullptr},
    {"tracestate", safe<get_tracestate>, nullptr, "W3C's tracestate as it came (str).", nullptr},
    {"baggage", safe<get_baggage>, nullptr, "W3C's baggage as it came (str).", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<context_new>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<context_dealloc>)},
    {Py_tp_repr, reinterpret_cast<void*>(safe<context_repr>)},
    {Py_tp_richcompare, reinterpret_cast<void*>(safe<context_compare>)},
    {Py_tp_hash, reinterpret_cast<void*>(safe<context_hash>)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kGetters},
    {Py_tp_doc, const_cast<char*>("The ambient request, trace and span. Immutable; safe to share between threads.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.Context", sizeof(ContextObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, kSlots};

PyMethodDef kFunctions[] = {
    {"enter", safe<enter<false>>, METH_O, "enter(context) -> the copy of it that is now ambient; to be left by leave()."},
    {"enter_request", safe<enter<true>>, METH_O, "The same for a request: it stays in the span around it and in its trace."},
    {"leave", safe<leave>, METH_O, "leave(entered) -> bool\n\nFalse: it is not ambient here, directly or further out."},
    {"current", safe<current>, METH_NOARGS, "The ambient Context, or None."},
    {"set_process_context", safe<set_process_context>, METH_O, "What is ambient where nothing was entered: a Context or None."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool parse_trace_id(std::string_view text, TraceId& out) {
  if (text.size() != 32) return false;
  std::uint8_t bytes[16];
  for (std::size_t i = 0; i < 16; ++i) {
    const int high = whence::detail::hex_digit(text[2 * i]);
    const int low = whence::detail::hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  std::memcpy(out.words.data(), bytes, 16);
  return static_cast<bool>(out);
}

PyObject* trace_text(const TraceId& trace) {
  char text[32];
  write_trace_id(text, trace);
  return to_str(trace ? std::string_view(text, sizeof text) : std::string_view());
}

TraceId trace_of_context(const ContextObject& context) {
  if (context.trace || !context.has_request()) return context.trace;
  return trace_of_request(context.request.form, context.request.words.data(), context.texts().request_id,
                          Recorder::get().run());
}

void fill_context(ContextObject& self, const ContextObject* parent, const TraceId& trace, std::uint64_t span_id) {
  ContextObject* source = nullptr;
  if (parent != nullptr) {
    self.request = parent->request;
    self.lineage_id = parent->lineage_id;
    self.trace_given = parent->trace_given;
    self.needs_text = parent->needs_text;
    self.trace_flags = parent->trace_flags;
    source = parent->source != nullptr ? parent->source : const_cast<ContextObject*>(parent);
    if (source->own_texts == nullptr) source = nullptr;
  } else {
    self.request = RequestId{};
    self.lineage_id = 0;
    self.trace_given = self.needs_text = false;
    self.trace_flags = 0;
  }
  self.trace = trace;
  self.span_id = span_id;
  if (source != self.source) {
    Py_XINCREF(source);
    ContextObject* old = std::exchange(self.source, source);
    Py_XDECREF(old);
  }
}

ContextObject* context_of_span(ContextObject* parent, const TraceId& trace, std::uint64_t span_id) {
  ContextObject* self = allocate_context();
  if (self != nullptr) fill_context(*self, parent, trace, span_id);
  return self;
}

bool enter_context(ContextObject* context) {
  g_any_context.store(true, std::memory_order_relaxed);
  PyObject* before = nullptr;
  if (PyContextVar_Get(g_context_var, Py_None, &before) < 0) return false;
  if (before == Py_None || Py_TYPE(before) != g_context_type) {
    Py_DECREF(before);
    before = nullptr;
  }
  Py_XSETREF(context->previous, as_context(before));
  Ref token(PyContextVar_Set(g_context_var, reinterpret_cast<PyObject*>(context)));
  return static_cast<bool>(token);
}

bool leave_context(ContextObject* context) {
  PyObject* present = nullptr;
  if (PyContextVar_Get(g_context_var, Py_None, &present) < 0) {
    PyErr_Clear();
    return false;
  }
  const Ref owned(present);
  forget_ready(context);
  if (present == reinterpret_cast<PyObject*>(context)) {
    const Ref before(reinterpret_cast<PyObject*>(std::exchange(context->previous, nullptr)));
    const Ref token(PyContextVar_Set(g_context_var, before ? before.get() : Py_None));
    if (!token) PyErr_Clear();
    return true;
  }
  // It may still be set in another task, from where a generator was made: what was before counts there.
  context->left = true;
  // Something inside is still open here: it will lead back past this one.
  ContextObject* at = Py_TYPE(present) == g_context_type ? as_context(present) : nullptr;
  for (; at != nullptr && at->previous != nullptr; at = at->previous) {
    if (at->previous != context) continue;
    Py_XINCREF(context->previous);
    at->previous = context->previous;
    Py_DECREF(context);  // the reference `at` had; the caller holds another
    return true;
  }
  return false;
}

bool add_context(PyObject* module) {
  g_context_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  if (g_context_type == nullptr) return false;
  g_context_var = PyContextVar_New("whence.context", nullptr);
  if (g_context_var == nullptr) return false;
  g_process_context = Py_NewRef(Py_None);
  check_swapping();
  return PyModule_AddObjectRef(module, "Context", reinterpret_cast<PyObject*>(g_context_type)) == 0 &&
         PyModule_AddObjectRef(module, "context_var", g_context_var) == 0 &&
         PyModule_AddFunctions(module, kFunctions) == 0;
}

}  // namespace whence::py
