// The ambient context: the request, trace and span that events belong to.
#pragma once

#include <atomic>
#include <string>

#include "py.hpp"
#include "whence/recorder.hpp"
#include "whence/request.hpp"

namespace whence::py {

// What only few events need of a context.
struct ContextTexts {
  std::string request_id;  // UTF-8
  std::string chain_id;    // empty: the request is the chain
  std::string tracestate;  // of others, without our own entry
  std::string baggage;     // passed on as it came
};

// A value: whatever is entered is a copy of its own, and `previous` is where that copy leads back.
struct ContextObject {
  PyObject_HEAD
  RequestId request;
  TraceId trace;             // zero: that of the request, if there is one
  std::uint64_t span_id;     // 0 = none
  std::uint64_t lineage_id;
  ContextTexts* own_texts;   // or null
  ContextObject* source;     // owned: the context whose texts count here, or null
  ContextObject* previous;   // owned: what was ambient before this was entered, or null
  bool trace_given;          // the trace came from elsewhere; a request inside stays in it
  bool needs_text;           // every event inside needs a text block
  bool left;                 // by another task: where it is still set, what was before counts
  std::uint8_t trace_flags;  // of W3C

  const ContextTexts& texts() const {
    static const ContextTexts kNone;
    const ContextObject* from = source != nullptr ? source : this;
    return from->own_texts != nullptr ? *from->own_texts : kNone;
  }
  bool has_request() const { return request.form != RequestForm::None; }
};

extern PyTypeObject* g_context_type;
extern PyObject* g_context_var;
extern PyObject* g_process_context;  // where nothing else was entered, or Py_None
// Was a context ever entered? While not, emitters need not look for one.
extern std::atomic<bool> g_any_context;

inline ContextObject* as_context(PyObject* object) { return reinterpret_cast<ContextObject*>(object); }

// The ambient context, or null where there is none (no error is set).
inline Ref current_context() {
  if (!g_any_context.load(std::memory_order_relaxed)) [[likely]] return Ref();
  PyObject* value = nullptr;
  if (PyContextVar_Get(g_context_var, Py_None, &value) < 0) {
    PyErr_Clear();
    return Ref();
  }
  Ref found(value);
  if (value == Py_None) found = Ref::to(g_process_context);
  if (Py_TYPE(found.get()) != g_context_type) return Ref();
  while (found && as_context(found.get())->left) [[unlikely]]
    found = Ref::to(reinterpret_cast<PyObject*>(as_context(found.get())->previous));
  if (!found && g_process_context != Py_None) found = Ref::to(g_process_context);
  return found;
}

inline std::uint64_t sample_value_of_trace(const TraceId& trace) {  // its bytes are big-endian
  return whence::sample_value_of_trace(__builtin_bswap64(trace.words[1]));
}

// What events of a context are sampled by: the request, else the trace.
inline std::uint64_t sample_value_of(const ContextObject& context, WriterState& state) {
  if (context.has_request()) return sample_value_of_key(context.request.key);
  if (context.trace) return sample_value_of_trace(context.trace);
  return state.sample_value();
}

// What events are sampled by that name no request of their own.
inline std::uint64_t ambient_sample_value(WriterState& state) {
  if (g_any_context.load(std::memory_order_relaxed)) [[unlikely]] {
    const Ref context = current_context();
    if (context) return sample_value_of(*as_context(context.get()), state);
  }
  return state.sample_value();
}

// Does an event that names its request belong to the ambient one all the same?
inline bool is_request_of(const ContextObject& context, const RequestId& request, std::string_view text) {
  return request.form == context.request.form && request.words == context.request.words &&
         (request.form != RequestForm::Long || context.texts().request_id == text);
}

// The context inside a span that begins within `parent` (or null): a new reference.
ContextObject* context_of_span(ContextObject* parent, const TraceId& trace, std::uint64_t span_id);

// The same into a context that exists and that nobody else has.
void fill_context(ContextObject& self, const ContextObject* parent, const TraceId& trace, std::uint64_t span_id);

// The trace of a context, derived from its request if need be.
TraceId trace_of_context(const ContextObject& context);

// Makes a context that nobody else entered the ambient one. False with an error set: no memory.
bool enter_context(ContextObject* context);

// Puts back what was ambient before: by value, so that it may happen in any order and in any task.
// False: the context is not ambient here, directly or further out. Keeps the error indicator.
bool leave_context(ContextObject* context);

bool parse_trace_id(std::string_view text, TraceId& out);
PyObject* trace_text(const TraceId& trace);

bool add_context(PyObject* module);

}  // namespace whence::py
