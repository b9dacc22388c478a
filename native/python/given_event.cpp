// Encodes the events of record_now() and record().
#include "given_event.hpp"

#include <cstring>
#include <utility>

#include "context.hpp"
#include "convert.hpp"
#include "span_link.hpp"
#include "tail.hpp"
#include "unbox.hpp"
#include "whence/blank.hpp"

namespace whence::py {

namespace {

bool text_of(PyObject* value, const char* what, std::string_view& out, Ref& owner) {
  if (value == nullptr) return true;
  if (PyUnicode_Check(value)) return utf8_of(value, out, owner);
  PyErr_Format(PyExc_TypeError, "%s must be str, not %s", what, Py_TYPE(value)->tp_name);
  return false;
}

[[gnu::noinline]] bool unbox_built(const Given& given, Plain& plain) {
  if (!text_of(given.event_id, "event_id", plain.event_id, plain.owners[4]) ||
      !text_of(given.chain_id, "decision_chain_id", plain.chain_id, plain.owners[5]) ||
      !text_of(given.caused_by, "caused_by", plain.caused_by, plain.owners[6]) ||
      !text_of(given.status_message, "status_message", plain.status_message, plain.owners[7]))
    return false;
  if (given.timestamp_ns != nullptr) {
    if (unbox_i64(given.timestamp_ns, plain.timestamp_ns) != Unboxed::Ok) return false;
    if (plain.timestamp_ns < 0) {
      PyErr_SetString(PyExc_ValueError, "the timestamp lies before the zero of the monotonic clock");
      return false;
    }
  }
  for (const auto& [value, out] : {std::pair{given.lineage_id, &plain.lineage_id},
                                   {given.span_id, &plain.span_id},
                                   {given.parent_span_id, &plain.parent_span_id}})
    if (value != nullptr && unbox_u64(value, *out, ~0ull) != Unboxed::Ok) return false;
  if (given.status != nullptr && PyUnicode_GET_LENGTH(given.status) > 0)
    plain.status = PyUnicode_CompareWithASCIIString(given.status, "ok") == 0 ? SpanStatus::Ok : SpanStatus::Error;
  return true;
}

void put_event_id(TextBlock& block, std::string_view id) {
  std::uint8_t uuid[16];
  if (parse_uuid(id, uuid))
    block.whole(Entry::EventId, 0, uuid, sizeof uuid);
  else if (!id.empty())
    block.id(Entry::EventId, 1, id);
}

[[gnu::noinline]] void put_built(TextBlock& block, const Given& given, const Plain& plain) {
  if (plain.parent_span_id != 0 && !plain.kind->schema.span)
    block.whole(Entry::Parent, 0, &plain.parent_span_id, 8);
  if (plain.lineage_id != 0)  // after the ambient one, over which it prevails
    block.whole(Entry::Lineage, 0, &plain.lineage_id, 8);
  if (!plain.chain_id.empty() && plain.chain_id != plain.request_id)
    block.id(Entry::Chain, 0, plain.chain_id);
  if (!plain.caused_by.empty()) block.id(Entry::CausedBy, 0, plain.caused_by);
  for (const SpanLinkTo& link : given.links) put_link(block, link);
  const auto status = static_cast<std::uint8_t>(plain.status);
  if (plain.status_message.empty() && status != 0)
    block.whole(Entry::Status, status, "", 0);
  else if (!plain.status_message.empty())
    block.text_before(
        [&] {
          return plain.rationale.size() + options_bytes(given.options) + attributes_bytes(given.attributes);
        },
        Entry::Status, status, plain.status_message);
}

}  // namespace

bool unbox(const Given& given, Plain& plain) {
  if (plain.overflow && (!text_of(given.event_type, "event_type", plain.event_type, plain.owners[0]) ||
                         !text_of(given.component, "component", plain.component, plain.owners[1])))
    return false;
  if (!text_of(given.rationale, "rationale", plain.rationale, plain.owners[2]) ||
      !text_of(given.model_id, "model_id", plain.model_id, plain.owners[3]))
    return false;
  if (given.severity != nullptr &&
      unbox_u64(given.severity, plain.severity, 4) != Unboxed::Ok) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "severity must be a whence.Severity");
    return false;
  }
  if (given.duration_ns != nullptr && unbox_i64(given.duration_ns, plain.duration_ns) != Unboxed::Ok) {
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "duration must be a whence.Duration");
    return false;
  }
  if (given.built && !unbox_built(given, plain)) return false;
  if (plain.kind->schema.decision && is_blank(plain.rationale)) {
    PyErr_Format(PyExc_ValueError, "%U is a decision: it needs a rationale that is not empty",
                 given.event_type);
    return false;
  }
  return true;
}

// Everything that a built event is sampled by.
bool unbox_request(const Given& given, Plain& plain) {
  if (given.trace_id != nullptr) {
    std::string_view trace;
    if (!strict_utf8_of(given.trace_id, trace)) return false;
    parse_trace_id(trace, plain.trace);  // of a TraceEvent: empty, or looked at when it was built
  }
  if (given.request_id == nullptr) return true;
  if (!PyUnicode_Check(given.request_id)) {
    PyErr_Format(PyExc_TypeError, "request_id must be str, not %s", Py_TYPE(given.request_id)->tp_name);
    return false;
  }
  if (!strict_utf8_of(given.request_id, plain.request_id)) return false;
  plain.request = encode_request(plain.request_id, Recorder::get().request_seed());
  return true;
}

void write_event(WriterState& state, const Given& given, Plain& plain) {
  const Ref ambient = current_context();
  const auto* around = reinterpret_cast<ContextObject*>(ambient.get());
  const auto* context = around;  // whose request, chain and lineage are the event's
  const bool has_request = plain.request.form != RequestForm::None;
  if (context != nullptr && (has_request ? !is_request_of(*context, plain.request, plain.request_id)
                                         : static_cast<bool>(plain.trace)))
    context = nullptr;
  const bool is_span = plain.kind->schema.span;
  TraceId trace = plain.trace;
  std::uint64_t around_id = is_span ? 0 : plain.span_id;
  if (!is_span && around_id == 0 && !trace && around != nullptr && around->span_id != 0) {
    around_id = around->span_id;
    if (context == nullptr) trace = trace_of_context(*around);
  }
  SlotImage slot;
  std::uint64_t tag = plain.kind->id | (plain.severity + 1) << kTagSeverityShift |
                      threshold_with(plain.gate, given.weight) << kTagThresholdShift;
  if (context != nullptr) {
    put_request_words(slot, tag, *context);
  } else if (!has_request && trace) {
    tag |= kTagTrace;
    slot.words[kRequestWord] = trace.words[0];
    slot.words[kRequestWord + 1] = trace.words[1];
    trace = {};
  } else {
    tag |= static_cast<std::uint64_t>(plain.request.form) << kTagRequestShift;
    slot.words[kRequestWord] = plain.request.words[0];
    slot.words[kRequestWord + 1] = plain.request.words[1];
  }
  slot.words[kTimeWord] = plain.timestamp_ns >= 0 ? static_cast<std::uint64_t>(plain.timestamp_ns)
                                                  : event_time_ns(state);
  TextBlock block(state.scratch_bytes(), std::max<std::size_t>(state.writer.max_text_bytes(), 64));
  const std::uint64_t image[3] = {plain.span_id, plain.parent_span_id,
                                  static_cast<std::uint64_t>(plain.duration_ns)};
  if (is_span) {
    std::memcpy(&slot.words[kFieldWord], image, kFieldBytesWithText);
    block.image_rest(reinterpret_cast<const std::byte*>(image), sizeof image);
  }
  // Small and whole first, so that a long rationale cannot push them out.
  if (given.built) put_event_id(block, plain.event_id);
  if (plain.duration_ns != 0 && !is_span) block.whole(Entry::Duration, 0, &plain.duration_ns, 8);
  if (plain.overflow) {
    block.text(Entry::EventType, 0, plain.event_type);
    block.text(Entry::Component, 0, plain.component);
  }
  if (!plain.model_id.empty()) {
    const std::uint16_t model = state.session->names().intern(plain.model_id);
    if (model != kNameInText)
      block.whole(Entry::Model, 0, &model, 2);
    else
      block.text(Entry::Model, 1, plain.model_id);
  }
  if (context != nullptr) put_context(block, *context);
  if (trace) block.whole(Entry::Trace, 0, trace.words.data(), 16);  // prevails, too
  if (around_id != 0) {
    tag |= kTagSpan;
    block.whole(Entry::Span, 0, &around_id, 8);
  }
  if (context == nullptr && plain.request.form == RequestForm::Long) put_request(block, plain.request_id);
  if (given.built) put_built(block, given, plain);
  if (!plain.rationale.empty())
    block.text_before(
        [&] { return options_bytes(given.options) + attributes_bytes(given.attributes); },
        Entry::Rationale, 0, plain.rationale);
  if (given.options != nullptr) put_options(block, given.options);
  if (given.attributes != nullptr) put_attributes(block, given.attributes);
  const std::size_t bytes = block.finish();
  if (block.truncated()) {
    tag |= kTagTruncated;
    state.writer.count_truncated();
  }
  const bool has_text = bytes > kTextHeaderBytes;
  slot.words[kTagWord] = tag | (has_text ? kTagText : 0);
  state.writer.write(slot, has_text ? block.data() : nullptr, bytes);
}

bool convert_links(PyObject* links, std::vector<SpanLinkTo>& out) {
  if (!PyTuple_Check(links)) {
    PyErr_Format(PyExc_TypeError, "links must be a tuple, not %s", Py_TYPE(links)->tp_name);
    return false;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(links); ++i) {
    PyObject* link = PyTuple_GET_ITEM(links, i);
    if (!PyTuple_Check(link) || PyTuple_GET_SIZE(link) != 3) {
      PyErr_SetString(PyExc_TypeError, "links holds whence.SpanLink values");
      return false;
    }
    Ref to(PyTuple_GetSlice(link, 0, 2));
    SpanLinkTo made{};
    if (!to || !read_link(to.get(), made)) return false;
    if (PyObject* attributes = PyTuple_GET_ITEM(link, 2); PyObject_Length(attributes) > 0) {
      made.attributes = convert_attributes(attributes);
      if (made.attributes == nullptr) return false;
    } else if (PyErr_Occurred()) {
      return false;
    }
    out.push_back(made);
  }
  return true;
}

}  // namespace whence::py
