// An event whose type, component and all else come with the call: what was given, and its encoding.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "open_span.hpp"
#include "py.hpp"
#include "whence/recorder.hpp"
#include "whence/request.hpp"

namespace whence::py {

// What a call gives, with null or empty for what it leaves out. All values are exact.
struct Given {
  PyObject* event_type = nullptr;
  PyObject* component = nullptr;
  PyObject* rationale = nullptr;
  PyObject* request_id = nullptr;
  PyObject* model_id = nullptr;
  PyObject* severity = nullptr;
  PyObject* duration_ns = nullptr;
  PyObject* attributes = nullptr;  // tuple of pairs
  bool built = false;  // the rest is looked at for built events alone: most calls have none of it
  PyObject* event_id = nullptr;
  PyObject* chain_id = nullptr;
  PyObject* options = nullptr;  // tuple of options
  PyObject* caused_by = nullptr;
  PyObject* lineage_id = nullptr;
  PyObject* timestamp_ns = nullptr;
  bool decision = false;
  double weight = 1;
  PyObject* trace_id = nullptr;
  PyObject* span_id = nullptr;
  PyObject* parent_span_id = nullptr;
  bool span = false;
  PyObject* status = nullptr;
  PyObject* status_message = nullptr;
  std::vector<SpanLinkTo> links;  // owned

  Given() = default;
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;
  ~Given() {
    for (SpanLinkTo& link : links) Py_XDECREF(link.attributes);
  }
};

// The same as native values.
struct Plain {
  const whence::Kind* kind = nullptr;
  Gate gate;
  bool overflow = false;
  std::string_view rationale, request_id, model_id, event_id, chain_id, caused_by, event_type, component;
  std::string_view status_message;
  Ref owners[8];
  RequestId request;
  std::uint64_t severity = 1;
  std::int64_t duration_ns = 0;
  std::int64_t timestamp_ns = -1;
  std::uint64_t lineage_id = 0;
  TraceId trace;
  std::uint64_t span_id = 0;
  std::uint64_t parent_span_id = 0;
  SpanStatus status = SpanStatus::None;
};

// Both set an error and are false where a value is no good. What sampling needs comes first.
bool unbox_request(const Given& given, Plain& plain);
bool unbox(const Given& given, Plain& plain);

// Reads a tuple of (trace id, span id, attributes). False: an error is set.
bool convert_links(PyObject* links, std::vector<SpanLinkTo>& out);

// Encodes and writes; but for bad_alloc nothing can fail from here on, and no Python code runs.
void write_event(WriterState& state, const Given& given, Plain& plain);

}  // namespace whence::py
