// Begins and ends spans: an entry in the table of open ones, then one event.
#include "open_span.hpp"

#include <cstring>
#include <new>

#include "convert.hpp"
#include "tail.hpp"
#include "whence/span_table.hpp"

namespace whence::py {

namespace {

// The trace id of work outside of any request.
TraceId new_trace(std::uint64_t& seed) { return {{next_span_id(seed), next_span_id(seed)}}; }

// The tag's part that says what the request words hold; and the words.
std::uint64_t request_of(const OpenSpan& span, std::uint64_t words[2]) {
  if (span.parent != nullptr && span.parent->has_request()) {
    words[0] = span.parent->request.words[0];
    words[1] = span.parent->request.words[1];
    return static_cast<std::uint64_t>(span.parent->request.form) << kTagRequestShift;
  }
  words[0] = span.trace.words[0];
  words[1] = span.trace.words[1];
  return kTagTrace;
}

// Where the GIL is, nothing else runs between the two passes over the dict.
Ref pairs_of(PyObject* attributes) {
  Ref pairs(PyTuple_New(PyDict_GET_SIZE(attributes)));
  PyObject *key, *value;
  Py_ssize_t at = 0;
  for (Py_ssize_t i = 0; pairs && PyDict_Next(attributes, &at, &key, &value); ++i) {
    PyObject* pair = PyTuple_Pack(2, key, value);
    if (pair == nullptr) return Ref();
    PyTuple_SET_ITEM(pairs.get(), i, pair);
  }
  return pairs;
}

void put_extras(TextBlock& block, const SpanExtras& extras) {
  const auto status = static_cast<std::uint8_t>(extras.status);
  if (extras.status != SpanStatus::None && extras.message.empty())
    block.whole(Entry::Status, status, "", 0);
  else if (extras.status != SpanStatus::None)
    block.text_before([&] { return extras.attributes != nullptr ? std::size_t{64} : std::size_t{0}; },
                      Entry::Status, status, extras.message);
  if (!extras.event_type.empty()) block.text(Entry::EventType, 0, extras.event_type);
  if (!extras.component.empty()) block.text(Entry::Component, 0, extras.component);
  for (const SpanLinkTo& link : extras.links) put_link(block, link);
  if (extras.attributes == nullptr || PyDict_GET_SIZE(extras.attributes) == 0) return;
  const Ref pairs = pairs_of(extras.attributes);
  if (pairs)
    put_attributes(block, pairs.get());
  else
    PyErr_Clear();
}

[[gnu::noinline]] void write_with_text(const OpenSpan& span, WriterState& state, SlotImage& slot,
                                       const std::uint64_t (&image)[3]) {
  std::byte* scratch = state.scratch_bytes();
  if (scratch == nullptr) {
    slot.words[kTagWord] |= kTagTruncated;
    state.writer.write(slot);
    return;
  }
  TextBlock block(scratch, std::max<std::size_t>(state.writer.max_text_bytes(), 64));
  block.image_rest(reinterpret_cast<const std::byte*>(image), sizeof image);
  if (span.parent != nullptr) put_context(block, *span.parent);
  try {
    if (span.extras != nullptr) put_extras(block, *span.extras);
  } catch (const std::bad_alloc&) {
    slot.words[kTagWord] |= kTagTruncated;
  }
  const std::size_t bytes = block.finish();
  if (block.truncated()) {
    slot.words[kTagWord] |= kTagTruncated;
    state.writer.count_truncated();
  }
  slot.words[kTagWord] |= kTagText;
  state.writer.write(slot, block.data(), bytes);
}

void release(OpenSpan& span) {
  span.kind = nullptr;
  delete std::exchange(span.extras, nullptr);
}

void close_entry(const OpenSpan& span) {
  // In a forked child the starter's state is empty, or has a ring where the id is another.
  if (span.state->writer.attached()) SpanTable(span.state->writer.base()).close(span.entry, span.span_id);
}

}  // namespace

void put_link(TextBlock& block, const SpanLinkTo& link) {
  std::string payload(reinterpret_cast<const char*>(link.trace.words.data()), 16);
  payload.append(reinterpret_cast<const char*>(&link.span_id), 8);
  if (link.attributes != nullptr) append_attributes(payload, link.attributes);
  block.whole(Entry::Link, 0, payload.data(), payload.size());
}

bool begin(OpenSpan& span, const whence::Kind& kind, Gate gate, ContextObject* parent,
           std::uint64_t start_ns, std::uint64_t span_id) {
  WriterState* state = thread_writer();
  span.parent = parent;
  span.kind = nullptr;
  span.extras = nullptr;
  span.span_id = 0;
  if (state == nullptr) [[unlikely]] return false;
  if (state->span_seed == 0) [[unlikely]] state->span_seed = random_u64() | 1;
  const bool within = parent != nullptr && (parent->trace || parent->has_request());
  span.trace = within ? parent->trace : new_trace(state->span_seed);
  span.threshold = static_cast<std::uint32_t>(gate.threshold());
  if (span.threshold != 0 && !gate.exempt()) [[unlikely]] {
    const std::uint64_t value = within ? sample_value_of(*parent, *state) : sample_value_of_trace(span.trace);
    if (value < span.threshold) {
      state->writer.count(kind.id, kSampledOut);
      return false;
    }
  }
  span.kind = &kind;
  span.state = state;
  span.severity = 0;
  span.span_id = span_id != 0 ? span_id : next_span_id(state->span_seed);
  span.start_ns = start_ns != 0 ? start_ns : event_time_ns(*state);
  SpanEntry entry;
  entry[kSpanId] = span.span_id;
  entry[kSpanParent] = span.parent_id();
  entry[kSpanStart] = span.start_ns;
  entry[kSpanTag] = kind.id | request_of(span, &entry[kSpanRequest]);
  span.entry = SpanTable(state->writer.base()).open(entry, state->span_hint);
  return true;
}

void finish(OpenSpan& span, std::uint64_t end_ns) {
  if (span.kind == nullptr) return;
  WriterState* state = thread_writer();
  close_entry(span);
  if (state == nullptr) [[unlikely]] {
    release(span);
    return;
  }
  SlotImage slot;
  if (end_ns == 0) end_ns = event_time_ns(*state);
  slot.words[kTimeWord] = span.start_ns;
  slot.words[kTagWord] = span.kind->id | request_of(span, &slot.words[kRequestWord]) |
                         static_cast<std::uint64_t>(span.severity) << kTagSeverityShift |
                         static_cast<std::uint64_t>(span.threshold) << kTagThresholdShift;
  const std::uint64_t image[3] = {span.span_id, span.parent_id(),
                                  end_ns > span.start_ns ? end_ns - span.start_ns : 0};
  if (span.extras == nullptr && !context_needs_text(span.parent)) [[likely]] {
    std::memcpy(&slot.words[kFieldWord], image, sizeof image);
    state->writer.write(slot);
  } else {
    std::memcpy(&slot.words[kFieldWord], image, kFieldBytesWithText);
    write_with_text(span, *state, slot, image);
  }
  release(span);
}

void cancel(OpenSpan& span) {
  if (span.kind == nullptr) return;
  close_entry(span);
  release(span);
}

SpanExtras* extras_of(OpenSpan& span) {
  if (span.extras == nullptr) span.extras = new (std::nothrow) SpanExtras;
  if (span.extras == nullptr) PyErr_NoMemory();
  return span.extras;
}

void note_error(OpenSpan& span, PyObject* error_type, PyObject* error) try {
  // A generator that is closed, or a task whose result nobody wants, ends early but not in error.
  if (PyErr_GivenExceptionMatches(error_type, PyExc_GeneratorExit)) return;
  Ref kept_type = Ref::to(error_type);  // the calls below may let go of them
  Ref kept = Ref::to(error);
  Ref name(PyObject_GetAttrString(error_type, "__name__"));
  Ref text(error != nullptr && error != Py_None ? PyObject_Str(error) : nullptr);
  if (PyErr_Occurred()) PyErr_Clear();
  if (span.kind == nullptr) return;  // that code ended it
  SpanExtras* extras = extras_of(span);
  std::string message;
  for (PyObject* part : {name.get(), text.get()}) {
    std::string_view said;
    Ref owner;
    if (part == nullptr || !PyUnicode_Check(part) || !utf8_of(part, said, owner) || said.empty()) continue;
    if (!message.empty()) message += ": ";
    message += said;
  }
  if (PyErr_Occurred()) PyErr_Clear();
  if (extras == nullptr) return;
  extras->status = SpanStatus::Error;
  extras->message = std::move(message);
  const bool failure = PyErr_GivenExceptionMatches(error_type, PyExc_Exception);
  span.severity = failure ? 3 + 1 : 2 + 1;  // Error; Warning where it was told to stop
} catch (const std::bad_alloc&) {
  PyErr_Clear();
}

}  // namespace whence::py
