// What a Span object holds; how it begins is in span_begin.cpp, what it does in span.cpp.
#pragma once

#include <cstddef>

#include "open_span.hpp"
#include "py.hpp"

namespace whence::py {

struct ReadyContext;

struct SpanObject {
  PyObject_HEAD
  OpenSpan span;
  ContextObject* context;  // owned: what happens inside, or null until it is needed
  PyObject* name;
  PyObject* component;
  PyObject* attributes;  // of the declaration, for a decorator; or null
  bool entered;
  bool pending;  // made before there was a session: it begins when it is first used
  ReadyContext* ready;  // how it was entered, if not by `context`
};

inline PyTypeObject* g_span_type = nullptr;

inline SpanObject* as_span(PyObject* object) { return reinterpret_cast<SpanObject*>(object); }

// Begins a pending span, as of the moment it was made; or lets it go unbegun.
void begin_pending(SpanObject& self);
void drop_pending(SpanObject& self);

// The span of whoever uses it: begun by now.
inline SpanObject* used_span(PyObject* object) {
  SpanObject* self = as_span(object);
  if (self->pending) [[unlikely]] begin_pending(*self);
  return self;
}

// span("name", component=..., **attributes)
PyObject* span_vectorcall(PyObject* type, PyObject* const* args, std::size_t flags, PyObject* keywords);

// Gives the memory of a span back, which holds nothing any more.
void free_span(SpanObject* self);

// span() for those who know a parent, a start or an id: see kFunctions in span.cpp.
PyObject* begin_span(PyObject* module, PyObject* args);

bool make_span_words();  // False: an error is set

// Adds exact copies of the attributes, if the span is still open after the code that this may run.
// False: an error is set.
bool add_attributes(OpenSpan& span, PyObject* attributes);

// Keeps both names with a span whose kind is beyond the table. False: an error is set.
bool say_names(OpenSpan& span, PyObject* name, PyObject* component);

// Counts a refused call and, unless the user wants no errors, leaves the error set: then null.
PyObject* reject(const OpenSpan& span);

}  // namespace whence::py
