// Enters a span's context without building a new set of context variables, where it can be reused.
//
// Setting a context variable makes CPython build a new immutable map (HAMT), and leaving another: more
// work than all the rest of a span. But a span that begins where an earlier one began, with the same
// variables, needs the very map that the earlier one had, with a new value. So that map is kept, and
// exchanged for the present one and back, as long as nobody else has seen it: a task started inside,
// a copied context, whence.current(). Their reference counts tell.
//
// This looks into CPython's objects, so it is checked when the module is loaded, and not done where
// anything is not as expected: other versions, free threading.
#pragma once

#include "context.hpp"
#include "py.hpp"

namespace whence::py {

struct ReadyContext {
  PyObject* base;          // owned: the variables around the span
  PyObject* inner;         // owned: the same with our variable set to `context`
  ContextObject* context;  // owned; the other reference is the map's
  ContextObject* outer;    // what `base` has, or null; borrowed from it
  bool busy;               // a span is in it
};

// A kept map for the variables as they are now; null: none is there, or somebody has seen it.
ReadyContext* find_ready();

// The context around: find_ready()'s, without asking CPython.
inline ContextObject* context_around(const ReadyContext& ready) {
  if (ready.outer != nullptr) return ready.outer;
  return g_process_context != Py_None ? as_context(g_process_context) : nullptr;
}

// Makes the kept context, filled for a span, the ambient one.
void enter_ready(ReadyContext& ready, const ContextObject* parent, const TraceId& trace, std::uint64_t span_id);

// enter_context(), after which its map is kept for others, if possible: then `ready` is not null.
bool enter_and_keep(ContextObject* context, ReadyContext*& ready);

// Leaves what either of them entered. Keeps the error indicator as leave_context() does.
void leave_ready(ReadyContext& ready);

// Forgets what was kept inside a context that is left.
void forget_ready(const ContextObject* outer);

// Looks whether CPython's objects are as we know them. Never fails.
void check_swapping();

}  // namespace whence::py
