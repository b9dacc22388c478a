// A span between its start and its end, whoever holds it: a Span object or a decorated call.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "context.hpp"
#include "py.hpp"
#include "whence/decode.hpp"
#include "whence/recorder.hpp"
#include "whence/text_block.hpp"

namespace whence::py {

struct SpanLinkTo {
  TraceId trace;
  std::uint64_t span_id;
  PyObject* attributes;  // owned: what convert_attributes() made, or null
};

void put_link(TextBlock& block, const SpanLinkTo& link);

// What only few spans have.
struct SpanExtras {
  PyObject* attributes = nullptr;  // owned: a dict of exact values, or null
  std::vector<SpanLinkTo> links;
  SpanStatus status = SpanStatus::None;
  std::string message;
  std::string event_type;  // of a kind beyond the table
  std::string component;

  SpanExtras() = default;
  SpanExtras(const SpanExtras&) = delete;
  SpanExtras& operator=(const SpanExtras&) = delete;
  ~SpanExtras() {
    Py_XDECREF(attributes);
    for (SpanLinkTo& link : links) Py_XDECREF(link.attributes);
  }
};

struct OpenSpan {
  const whence::Kind* kind;  // null: nothing is recorded
  ContextObject* parent;     // the holder's: what was ambient at the start, or null
  TraceId trace;             // where no request gives it
  std::uint64_t span_id;
  std::uint64_t start_ns;
  WriterState* state;        // the starter's; its ring has the entry
  std::uint32_t entry;
  std::uint32_t threshold;   // of sampling, 0 = kept surely
  std::uint8_t severity;     // 0 = the kind's own, else severity + 1
  SpanExtras* extras;        // owned, or null

  std::uint64_t parent_id() const { return parent != nullptr ? parent->span_id : 0; }
};

// Begins a span of a kind that is on, within `parent` (or null), which stays the caller's to release.
// False: there is no memory to record to, or sampling leaves it out. `span_id` 0: a new one.
bool begin(OpenSpan& span, const whence::Kind& kind, Gate gate, ContextObject* parent,
           std::uint64_t start_ns, std::uint64_t span_id = 0);

inline Gate gate_of(const whence::Kind& kind) {
  return Gate{kind.gate.load(std::memory_order_relaxed)->load(std::memory_order_relaxed)};
}

// The context of what happens inside: a new reference.
inline ContextObject* context_inside(const OpenSpan& span) {
  return context_of_span(span.parent, span.trace, span.span_id);
}

// Writes the span into the calling thread's ring; once. Runs no Python code.
void finish(OpenSpan& span, std::uint64_t end_ns = 0);

// Forgets a span that is not to be recorded after all.
void cancel(OpenSpan& span);

SpanExtras* extras_of(OpenSpan& span);  // null: no memory, error set

// Notes how a span failed. May run Python code (str() of the exception); sets no error.
void note_error(OpenSpan& span, PyObject* error_type, PyObject* error);

}  // namespace whence::py
