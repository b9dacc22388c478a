// One event as an OTLP log record or span, in either notation.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "batch.hpp"
#include "decode.hpp"
#include "event_id.hpp"
#include "json.hpp"
#include "otlp_attributes.hpp"
#include "otlp_ids.hpp"
#include "otlp_lineage.hpp"
#include "otlp_notation.hpp"
#include "otlp_table.hpp"

namespace whence::otlp {

namespace log_record {
inline constexpr Tag kTime{1, "timeUnixNano"}, kSeverityNumber{2, "severityNumber"}, kSeverityText{3, "severityText"},
    kBody{5, "body"}, kAttributes{6, "attributes"}, kDropped{7, "droppedAttributesCount"}, kFlags{8, "flags"},
    kTraceId{9, "traceId"}, kSpanId{10, "spanId"}, kObserved{11, "observedTimeUnixNano"}, kEventName{12, "eventName"};
}
namespace span {
inline constexpr Tag kTraceId{1, "traceId"}, kSpanId{2, "spanId"}, kParent{4, "parentSpanId"}, kName{5, "name"},
    kKind{6, "kind"}, kStart{7, "startTimeUnixNano"}, kEnd{8, "endTimeUnixNano"}, kAttributes{9, "attributes"},
    kDropped{10, "droppedAttributesCount"}, kDroppedEvents{12, "droppedEventsCount"}, kLinks{13, "links"},
    kDroppedLinks{14, "droppedLinksCount"}, kStatus{15, "status"}, kFlags{16, "flags"};
inline constexpr Tag kLinkTraceId{1, "traceId"}, kLinkSpanId{2, "spanId"}, kLinkAttributes{4, "attributes"};
inline constexpr Tag kStatusMessage{2, "message"}, kStatusCode{3, "code"};
}  // namespace span
constexpr std::uint32_t kSampled = 1;  // W3C flag: recorded, so it was sampled
constexpr std::uint32_t kSeverityNumbers[] = {5, 9, 13, 17, 21, 21, 21};
constexpr double kMostWeight = 1 << 30;

// The traces of requests. Neighbours are often of the same one: its hash is kept.
class RequestTraces {
 public:
  const TraceId& find(const DecodedEvent& event, std::string_view request, std::uint64_t run) {
    if (request != request_ || run != run_ || event.request_form != form_) {
      trace_ = trace_of_request(event.request_form, event.request_words.data(), request, run);
      request_ = request;
      run_ = run;
      form_ = event.request_form;
    }
    return trace_;
  }

 private:
  std::string request_;
  std::uint64_t run_ = 0;
  RequestForm form_ = RequestForm::None;
  TraceId trace_;  // of no request
};

// An event with what its neighbourhood tells of it.
struct Event {
  const DecodedEvent* decoded = nullptr;
  std::string id;
  std::string request;
  TraceId trace;
  IdBytes id_bytes{};
  std::uint64_t span_id = 0;  // of the span that it is
  bool is_span = false;
  RequestTraces traces;

  std::string_view trace_bytes() const {
    return trace ? std::string_view(reinterpret_cast<const char*>(trace.words.data()), 16)
                 : std::string_view(id_bytes.data(), id_bytes.size());
  }
};

inline void read_event(const Batch& batch, std::size_t row, EventDecoder& decoder, Event& out) {
  const RowSource& source = batch.source(row);
  const DecodedEvent& decoded = batch.decode(row, source, decoder);
  out.decoded = &decoded;
  out.request.assign(decoded.request_id);
  if (decoded.request_lost) out.request = batch.lost_request(decoded.request_words);
  out.id.assign(decoded.event_id);
  if (out.id.empty()) {
    out.id.resize(kEventIdBytes);
    write_event_id(out.id.data(), source.session_key, source.ring, batch.ticket(row));
  }
  const bool known = !decoded.request_lost || out.request.compare(0, 5, "lost:") != 0;
  out.trace = decoded.trace ? decoded.trace : out.traces.find(decoded, known ? std::string_view(out.request) : "",
                                                              source.catalogue->run);
  out.is_span = decoded.span || decoded.duration_ns > 0;
  if (!out.is_span) return;
  out.id_bytes = event_id_bytes(out.id);
  out.span_id = decoded.span && decoded.span_id != 0 ? decoded.span_id : derived_span_id(out.id_bytes);
}

// A lineage id as a W3C trace id: padded with zeros on the left.
struct LineageTrace {
  char bytes[16] = {};
  explicit LineageTrace(std::uint64_t lineage_id) { put_big_endian(bytes + 8, lineage_id); }
};

template <class Message>
class Records {
 public:
  Records(const Batch& batch, const Table& table, const Limits& limits)
      : batch_(batch), table_(table), own_(table, limits) {}

  void put_log(Message& record, const Event& event, std::uint64_t wall_ns) {
    namespace tags = log_record;
    const DecodedEvent& decoded = *event.decoded;
    if (wall_ns != 0) record.fixed64(tags::kTime, wall_ns);
    const std::size_t severity = decoded.severity % std::size(kSeverityNumbers);
    record.small(tags::kSeverityNumber, kSeverityNumbers[severity]);
    record.text(tags::kSeverityText, kSeverityNames[severity]);
    if (!decoded.rationale.empty()) record.message(tags::kBody).text(kString, decoded.rationale);
    put_attributes(record, tags::kAttributes, tags::kDropped, event, false);
    if (event.trace) {
      record.fixed32(tags::kFlags, kSampled);
      record.id(tags::kTraceId, event.trace_bytes());
      if (decoded.span_id != 0) record.id(tags::kSpanId, SpanIdBytes(decoded.span_id).view());
    }
    if (wall_ns != 0) record.fixed64(tags::kObserved, wall_ns);  // by the one who records it
    record.text(tags::kEventName, parts_of(decoded).name);
  }

  // A span's time is its start; any other event is recorded when what it tells of has ended.
  void put_span(Message& record, const Event& event, std::uint64_t wall_ns) {
    namespace tags = span;
    const DecodedEvent& decoded = *event.decoded;
    const auto lasted = static_cast<std::uint64_t>(std::max<std::int64_t>(decoded.duration_ns, 0));
    const std::uint64_t start = decoded.span ? wall_ns : wall_ns - std::min(wall_ns, lasted);
    record.id(tags::kTraceId, event.trace_bytes());
    record.id(tags::kSpanId, SpanIdBytes(event.span_id).view());
    const std::uint64_t parent = decoded.span ? decoded.parent_span_id : decoded.span_id;
    if (parent != 0) record.id(tags::kParent, SpanIdBytes(parent).view());
    record.text(tags::kName, parts_of(decoded).name);
    if (start != 0) record.fixed64(tags::kStart, start);
    if (wall_ns != 0) record.fixed64(tags::kEnd, decoded.span ? wall_ns + std::min(lasted, ~wall_ns) : wall_ns);
    put_attributes(record, tags::kAttributes, tags::kDropped, event, true);
    record.small(tags::kKind, own_.span_fields().kind);
    if (own_.span_fields().dropped_events > 0) record.small(tags::kDroppedEvents, own_.span_fields().dropped_events);
    parents_.read(decoded);
    const std::uint32_t dropped_links = own_.span_fields().dropped_links + parents_.dropped();
    if (dropped_links > 0) record.small(tags::kDroppedLinks, dropped_links);
    put_links(record, event);
    put_status(record, decoded);
    record.fixed32(tags::kFlags, kSampled);
  }

 private:
  using List = typename Message::List;

  // What is the same for all events of a kind, as it was written for the first of them.
  struct KindParts {
    std::string name;
    TextOut log_items;
    TextOut span_items;
    KindNames fields;
  };

  KindParts& parts_of(const DecodedEvent& event) {
    const bool declared = event.kind != nullptr && event.event_type.data() == event.kind->schema.name.data() &&
                          event.component.data() == event.kind->schema.component.data();
    if (declared && event.kind == last_kind_) return *last_parts_;
    last_kind_ = declared ? event.kind : nullptr;
    last_parts_ = declared ? &kinds_[event.kind] : &undeclared_;
    if (!declared || last_parts_->name.empty()) fill_parts(*last_parts_, event);
    return *last_parts_;
  }

  void fill_parts(KindParts& parts, const DecodedEvent& event) {
    parts.name = event.kind != nullptr ? event.kind->schema.otel_name : std::string();
    if (parts.name.empty() && event.span) parts.name = event.event_type;
    if (parts.name.empty()) {
      parts.name = event.event_type;
      std::replace(parts.name.begin(), parts.name.end(), '_', '.');
      parts.name.insert(0, table_.event_prefix);
    }
    parts.fields = own_.names_of(event);
    put_constant(parts.log_items, log_record::kAttributes, event);
    put_constant(parts.span_items, span::kAttributes, event);
  }

  void put_constant(TextOut& out, Tag tag, const DecodedEvent& event) {
    out.clear();
    TextOut whole;
    {
      Message message(whole);
      List list = message.list(tag);
      put_text(list, kEventType, event.event_type);
      put_text(list, kComponent, event.component);
      if (event.decision) put_true(list, kDecision);
    }
    out.put(Message::items_of(whole.view(), tag));
  }

  void put_attributes(Message& record, Tag tag, Tag dropped_tag, const Event& event, bool as_span) {
    const DecodedEvent& decoded = *event.decoded;
    const KindParts& parts = parts_of(decoded);
    std::size_t dropped = own_.collect(parts.fields, decoded, as_span);
    {
      List list = record.list(tag);
      list.items(as_span ? parts.span_items.view() : parts.log_items.view());
      put_text(list, kEventId, event.id);
      if (!event.request.empty()) put_text(list, kRequestId, event.request);
      if (!decoded.chain_id.empty() && decoded.chain_id != event.request) put_text(list, kChainId, decoded.chain_id);
      if (!decoded.model.empty()) put_text(list, own_.model_column(parts.fields), decoded.model);
      if (as_span)
        put_for_span(list, decoded);
      else
        put_for_log(list, event);
      if (!decoded.caused_by.empty()) put_text(list, kCausedBy, decoded.caused_by);
      if (decoded.lineage_id != 0) put_text(list, kLineageId, std::to_string(decoded.lineage_id));
      if (!decoded.options.empty()) put_options(list, decoded);
      if (decoded.threshold != 0) put_scalar(list, kWeight, kMostWeight / (kMostWeight - static_cast<double>(decoded.threshold)));
      if (decoded.text_lost) put_true(list, kTextLost);
      if (decoded.truncated) put_true(list, kTruncated);
      for (const OwnAttribute& own : own_.attributes()) put_own(list, own.name, *own.value, own.is_text);
    }
    for (const Value& field : decoded.fields) dropped += field.type == ValueType::Lost;
    if (dropped > 0) record.small(dropped_tag, static_cast<std::uint32_t>(dropped));
  }

  void put_for_span(List& list, const DecodedEvent& decoded) {
    if (!decoded.rationale.empty()) put_text(list, kRationale, decoded.rationale);
    if (decoded.severity != 1) put_text(list, kSeverity, kSeverityNames[decoded.severity % kSeverityNames.size()]);
  }

  // What a span has places for and a log record has not.
  void put_for_log(List& list, const Event& event) {
    const DecodedEvent& decoded = *event.decoded;
    if (decoded.duration_ns != 0) put_integer(list, kDuration, decoded.duration_ns);
    parents_.read(decoded);
    if (decoded.links.empty() && parents_.ids().empty()) return;
    put_array(list, kLinks, [&](auto& values) {
      for (const DecodedLink& link : decoded.links) {
        auto value = values.item();
        auto keys = value.message(kKeyValues);
        auto items = keys.list(kValues);
        put_text(items, kLinkTraceId, hex(reinterpret_cast<const char*>(link.trace.words.data()), 16));
        put_text(items, kLinkSpanId, hex(SpanIdBytes(link.span_id).bytes, 8));
        for (const auto& [key, content] : link.attributes) put_own(items, valid_utf8(key, key_scratch_), content);
      }
      for (const std::uint64_t parent : parents_.ids()) {
        auto value = values.item();
        auto keys = value.message(kKeyValues);
        auto items = keys.list(kValues);
        const LineageTrace trace(parent);
        put_text(items, kLinkTraceId, hex(trace.bytes, sizeof trace.bytes));
        put_text(items, kLinkSpanId, hex(trace.bytes + 8, 8));
        put_text(items, kLinkType, "lineage_parent");
      }
    });
  }

  // Decisions: the options' names that were chosen, for searches, and each option whole.
  void put_options(List& list, const DecodedEvent& decoded) {
    if (std::any_of(decoded.options.begin(), decoded.options.end(), [](const auto& o) { return o.chosen; }))
      put_array(list, kChosen, [&](auto& values) {
        for (const DecodedOption& option : decoded.options)
          if (option.chosen) values.item().text(kString, option.name);
      });
    put_array(list, kOptions, [&](auto& values) {
      for (const DecodedOption& option : decoded.options) {
        auto value = values.item();
        auto keys = value.message(kKeyValues);
        auto items = keys.list(kValues);
        put_text(items, kOptionName, option.name);
        put_bool(items, kOptionChosen, option.chosen);
        if (!option.reason.empty()) put_text(items, kOptionReason, option.reason);
        if (!option.scores.empty()) put_scores(items, option);
      }
    });
  }

  // An attribute that is a list; `fill` writes its items.
  template <class Fill>
  void put_array(List& list, Column column, Fill fill) {
    auto pair = list.item();
    pair.text(kKey, table_[column]);
    auto any = pair.message(kValue);
    auto array = any.message(kArray);
    auto values = array.list(kValues);
    fill(values);
  }

  void put_scores(List& list, const DecodedOption& option) {
    auto pair = list.item();
    pair.text(kKey, table_[kOptionScores]);
    auto any = pair.message(kValue);
    auto keys = any.message(kKeyValues);
    auto items = keys.list(kValues);
    for (const auto& [key, score] : option.scores) {
      Value value;
      value.type = ValueType::Float;
      value.real = score;
      items.attribute(valid_utf8(key, key_scratch_), value);
    }
  }

  // Its own links, then the event that caused it, if that is here and in a span, then its lineage,
  // and what that was made from.
  void put_links(Message& record, const Event& event) {
    const DecodedEvent& decoded = *event.decoded;
    Event cause;
    const bool caused = !decoded.caused_by.empty() && find_cause(decoded.caused_by, cause);
    if (decoded.links.empty() && !caused && decoded.lineage_id == 0 && parents_.ids().empty()) return;
    List list = record.list(span::kLinks);
    for (const DecodedLink& link : decoded.links) {
      auto item = list.item();
      item.id(span::kLinkTraceId, {reinterpret_cast<const char*>(link.trace.words.data()), 16});
      item.id(span::kLinkSpanId, SpanIdBytes(link.span_id).view());
      if (link.attributes.empty()) continue;
      List items = item.list(span::kLinkAttributes);
      for (const auto& [key, value] : link.attributes) put_own(items, valid_utf8(key, key_scratch_), value);
    }
    if (caused) {
      const std::uint64_t span_id = cause.is_span ? cause.span_id : cause.decoded->span_id;
      put_link(list, cause.trace_bytes(), span_id, "caused_by");
    }
    if (decoded.lineage_id != 0) put_lineage(list, decoded.lineage_id, "lineage");
    for (const std::uint64_t parent : parents_.ids()) put_lineage(list, parent, "lineage_parent");
  }

  void put_lineage(List& list, std::uint64_t lineage_id, std::string_view type) {
    const LineageTrace trace(lineage_id);
    put_link(list, {trace.bytes, sizeof trace.bytes}, lineage_id, type);
  }

  void put_link(List& list, std::string_view trace, std::uint64_t span_id, std::string_view type) {
    auto item = list.item();
    item.id(span::kLinkTraceId, trace);
    item.id(span::kLinkSpanId, SpanIdBytes(span_id).view());
    List items = item.list(span::kLinkAttributes);
    put_text(items, kLinkType, type);
  }

  bool find_cause(std::string_view caused_by, Event& cause) {
    Place place;
    if (!parse_place(caused_by, place)) return false;
    const std::size_t row = batch_.find(place.session_key, place.ring, place.ticket);
    if (row >= batch_.size()) return false;
    read_event(batch_, row, cause_decoder_, cause);
    return cause.is_span || (cause.trace && cause.decoded->span_id != 0);
  }

  static void put_status(Message& record, const DecodedEvent& decoded) {
    if (decoded.status == SpanStatus::None) return;
    Message status = record.message(span::kStatus);
    if (!decoded.status_message.empty()) status.text(span::kStatusMessage, decoded.status_message);
    status.small(span::kStatusCode, static_cast<std::uint32_t>(decoded.status));
  }

  // A number beyond OTLP's 64 signed bits is sent as text; an id always.
  template <class Items>
  void put_own(Items& list, std::string_view name, const Value& value, bool is_text = false) {
    const bool is_number = value.type == ValueType::UInt || value.type == ValueType::Int;
    const bool fits = value.type != ValueType::UInt || value.natural <= INT64_MAX;
    if (!is_number || (fits && !is_text && value.type == ValueType::Int)) {
      list.attribute(name, value);
      return;
    }
    Value plain;
    plain.type = ValueType::Int;
    plain.integer = static_cast<std::int64_t>(value.natural);
    char digits[24];
    if (!fits || is_text) {
      const auto end = value.type == ValueType::UInt ? std::to_chars(digits, digits + 24, value.natural)
                                                     : std::to_chars(digits, digits + 24, value.integer);
      plain.type = ValueType::Text;
      plain.text = {digits, static_cast<std::size_t>(end.ptr - digits)};
    }
    list.attribute(name, plain);
  }

  template <class Items>
  void put_text(Items& list, Column column, std::string_view text) {
    Value value;
    value.type = ValueType::Text;
    value.text = text;
    list.attribute(table_[column], value);
  }
  template <class Items>
  void put_bool(Items& list, Column column, bool truth) {
    Value value;
    value.type = ValueType::Bool;
    value.truth = truth;
    list.attribute(table_[column], value);
  }
  void put_true(List& list, Column column) { put_bool(list, column, true); }
  void put_integer(List& list, Column column, std::int64_t integer) {
    Value value;
    value.type = ValueType::Int;
    value.integer = integer;
    list.attribute(table_[column], value);
  }
  void put_scalar(List& list, Column column, double real) {
    Value value;
    value.type = ValueType::Float;
    value.real = real;
    list.attribute(table_[column], value);
  }

  static std::string hex(const char* bytes, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) {
      out += "0123456789abcdef"[static_cast<unsigned char>(bytes[i]) >> 4];
      out += "0123456789abcdef"[bytes[i] & 15];
    }
    return out;
  }

  const Batch& batch_;
  const Table& table_;
  std::unordered_map<const KnownKind*, KindParts> kinds_;
  KindParts undeclared_;
  const KnownKind* last_kind_ = nullptr;
  KindParts* last_parts_ = nullptr;
  OwnAttributes own_;
  LineageParents parents_;  // of the event that is written
  TextOut key_scratch_;
  EventDecoder cause_decoder_;
};

}  // namespace whence::otlp
