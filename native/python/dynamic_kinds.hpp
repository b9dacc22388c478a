// Kinds that are never declared: one per (event type, component) that TraceCollector meets.
#pragma once

#include "py.hpp"
#include "whence/kind.hpp"

namespace whence::py {

enum class Flavour : std::uint8_t { Plain = 0, Decision = 1, Span = 2, DecisionSpan = 3 };

// The kind of a pair, made at its first sight; a decision when the caller says that it is one,
// though its name alone would not. `overflow`: the table is full and the caller must
// store both names with the event. Null with an exception set: the pair is no good.
whence::Kind* dynamic_kind(PyObject* event_type, PyObject* component, Flavour flavour, bool& overflow);

// Names of events that are decisions wherever they come from (frozenset, set once at import).
void set_decision_types(PyObject* names);

// A decision was declared: events of its name that are recorded by record_now() are decisions, too.
void note_declared_decision();

}  // namespace whence::py
