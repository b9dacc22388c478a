// The beginning of a span: its name, its component, its attributes and the gate.
#include <cstddef>
#include <cstring>
#include <mutex>
#include <vector>

#include "context.hpp"
#include "convert.hpp"
#include "dynamic_kinds.hpp"
#include "kind.hpp"
#include "span.hpp"
#include "span_object.hpp"

namespace whence::py {

namespace {

// Spans made before there was a session. Few: mostly none.
std::mutex g_pending_mutex;
std::vector<SpanObject*> g_pending;

PyObject* g_component = nullptr;    // "component", interned
PyObject* g_module_name = nullptr;  // "__name__", interned

// Memory of spans that are gone, for those to come: asking the allocator is a tenth of a short span.
// The GIL guards it, so where there is none it stays empty.
#if defined(Py_GIL_DISABLED)
constexpr std::size_t kMostFree = 0;
#else
constexpr std::size_t kMostFree = 16;
#endif
SpanObject* g_free[kMostFree + 1];
std::size_t g_free_count = 0;

SpanObject* new_object() {
  if (g_free_count == 0) return PyObject_New(SpanObject, g_span_type);
  PyObject* object = reinterpret_cast<PyObject*>(g_free[--g_free_count]);
  return as_span(PyObject_Init(object, g_span_type));
}

SpanObject* allocate_span(PyObject* name, PyObject* component) {
  SpanObject* self = new_object();
  if (self == nullptr) return nullptr;
  std::memset(reinterpret_cast<char*>(self) + sizeof(PyObject), 0, sizeof *self - sizeof(PyObject));
  self->name = Py_NewRef(name);
  self->component = Py_NewRef(component);
  return self;
}

// Begins it unless its kind is off or sampling leaves it out. False: an error is set.
bool begin_now(SpanObject& self, const whence::Kind& kind, bool overflow, std::uint64_t start_ns,
               std::uint64_t span_id) {
  const Gate gate = gate_of(kind);
  if (!gate.on() || !begin(self.span, kind, gate, self.span.parent, start_ns, span_id)) return true;
  if (overflow && !say_names(self.span, self.name, self.component)) return false;
  if (self.attributes == nullptr || add_attributes(self.span, self.attributes)) [[likely]] return true;
  if (Ref(reject(self.span))) return true;
  cancel(self.span);
  return false;
}

// Decorating a function makes a span that never begins: that alone shall start no session.
bool waits_for_session() { return t_writer == nullptr && Recorder::get().session() == nullptr; }

// A new span that has begun, unless its kind is off. `attributes` is a mapping or null.
PyObject* new_span(PyObject* name, PyObject* component, PyObject* attributes, ContextObject* parent,
                   std::uint64_t start_ns, std::uint64_t span_id) {
  bool overflow = false;
  const whence::Kind* kind = dynamic_kind(name, component, Flavour::Span, overflow);
  if (kind == nullptr) return nullptr;
  SpanObject* self = allocate_span(name, component);
  if (self == nullptr) return nullptr;
  Ref owned(reinterpret_cast<PyObject*>(self));
  if (attributes != nullptr) self->attributes = Py_NewRef(attributes);
  if (!gate_of(*kind).on()) return owned.release();
  Py_XINCREF(parent);
  self->span.parent = parent != nullptr ? parent : as_context(current_context().release());
  if (start_ns == 0 && span_id == 0 && waits_for_session()) [[unlikely]] {
    self->pending = true;
    self->span.start_ns = t_clock.now_ns();
    const std::lock_guard guard(g_pending_mutex);
    g_pending.push_back(self);
    return owned.release();
  }
  return begin_now(*self, *kind, overflow, start_ns, span_id) ? owned.release() : nullptr;
}

// The module that calls.
PyObject* calling_module() {
  PyObject* globals = PyEval_GetGlobals();
  PyObject* name = globals != nullptr ? PyDict_GetItemWithError(globals, g_module_name) : nullptr;
  static PyObject* const unnamed = PyUnicode_InternFromString("python");
  return name != nullptr && PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 0 ? name : unnamed;
}

}  // namespace

void free_span(SpanObject* self) {
  if (g_free_count < kMostFree)
    g_free[g_free_count++] = self;
  else
    PyObject_Free(self);
}

PyObject* span_vectorcall(PyObject*, PyObject* const* args, std::size_t flags, PyObject* keywords) {
  const Py_ssize_t given = PyVectorcall_NARGS(flags);
  if (given != 1 || !PyUnicode_Check(args[0])) {
    PyErr_SetString(PyExc_TypeError, "span() takes the span's name, a str; all else are keywords");
    return nullptr;
  }
  PyObject* component = nullptr;
  Ref attributes;
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    PyObject* value = args[given + i];
    if (keyword == g_component || PyUnicode_Compare(keyword, g_component) == 0) {
      if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "component must be str, not %s", Py_TYPE(value)->tp_name);
        return nullptr;
      }
      if (PyUnicode_GET_LENGTH(value) > 0) component = value;
      continue;
    }
    if (!attributes) attributes = Ref(PyDict_New());
    if (!attributes || PyDict_SetItem(attributes.get(), keyword, value) < 0) return nullptr;
  }
  if (component == nullptr) component = calling_module();
  return new_span(args[0], component, attributes.get(), nullptr, 0, 0);
}

// What is refused here is counted: the call that made the span is over.
void begin_pending(SpanObject& self) {
  drop_pending(self);
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  bool overflow = false;
  const whence::Kind* kind = dynamic_kind(self.name, self.component, Flavour::Span, overflow);
  if (kind == nullptr || !begin_now(self, *kind, overflow, self.span.start_ns, 0)) PyErr_Clear();
  PyErr_Restore(type, value, trace);
}

void drop_pending(SpanObject& self) {
  const std::lock_guard guard(g_pending_mutex);
  std::erase(g_pending, &self);
  self.pending = false;
}

void begin_pending_spans() {
  for (;;) {
    Ref next;
    {
      const std::lock_guard guard(g_pending_mutex);
      if (g_pending.empty()) return;
      next = Ref::to(reinterpret_cast<PyObject*>(g_pending.back()));
    }
    begin_pending(*as_span(next.get()));
  }
}

PyObject* begin_span(PyObject*, PyObject* args) {
  PyObject *name, *component;
  PyObject* attributes = Py_None;
  PyObject* parent = Py_None;
  unsigned long long start_ns = 0;
  unsigned long long span_id = 0;
  if (!PyArg_ParseTuple(args, "UU|OOKK", &name, &component, &attributes, &parent, &start_ns, &span_id))
    return nullptr;
  if (parent != Py_None && Py_TYPE(parent) != g_context_type) {
    PyErr_SetString(PyExc_TypeError, "the parent must be a Context or None");
    return nullptr;
  }
  return new_span(name, component, attributes != Py_None ? attributes : nullptr,
                  parent != Py_None ? as_context(parent) : nullptr, start_ns, span_id);
}

bool add_attributes(OpenSpan& span, PyObject* attributes) {
  Ref pairs(convert_attributes(attributes));
  if (!pairs) return false;
  if (span.kind == nullptr) return true;
  if (extras_of(span) == nullptr) return false;
  SpanExtras& extras = *span.extras;
  if (extras.attributes == nullptr) extras.attributes = PyDict_New();
  if (extras.attributes == nullptr) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(pairs.get()); ++i) {
    PyObject* pair = PyTuple_GET_ITEM(pairs.get(), i);
    if (PyDict_SetItem(extras.attributes, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) < 0)
      return false;
  }
  return true;
}

PyObject* reject(const OpenSpan& span) {
  if (WriterState* state = span.kind != nullptr ? thread_writer() : nullptr)
    state->writer.count(span.kind->id, kRejected);
  return refuse();
}

bool say_names(OpenSpan& span, PyObject* name, PyObject* component) {
  SpanExtras* extras = extras_of(span);
  std::string_view text;
  Ref owner;
  if (extras == nullptr || !utf8_of(name, text, owner)) return false;
  extras->event_type = text;
  if (!utf8_of(component, text, owner)) return false;
  extras->component = text;
  return true;
}

bool make_span_words() {
  g_component = PyUnicode_InternFromString("component");
  g_module_name = PyUnicode_InternFromString("__name__");
  return g_component != nullptr && g_module_name != nullptr;
}

}  // namespace whence::py
