// Spans, the events inside them, and log records become rows of a store.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "arrow_columns.hpp"
#include "event_id.hpp"
#include "json.hpp"
#include "otlp_attributes.hpp"
#include "otlp_ids.hpp"
#include "otlp_in_attributes.hpp"
#include "otlp_record.hpp"

namespace whence::otlp {

struct InCounts {
  std::size_t records = 0;  // spans or log records that were sent
  std::size_t rows = 0;     // with the events inside of spans
  std::size_t rejected = 0;
  std::size_t cut = 0;  // values that were cut or left out, links and events of spans among them
  const char* reason = nullptr;  // of the first one that was rejected
};

struct ScopeIn {
  std::string_view name;
  std::string_view version;
  std::vector<std::string_view> attributes;
  bool own = false;  // sent by our own encoder
};

struct MetricIn {
  std::string_view name, unit, kind;
  std::uint64_t temporality = 0;
};

class RowsIn {
 public:
  RowsIn(const InNames& names, const InLimits& limits, std::int64_t received_ns, arrow::Chunk& to, arrow::Names& texts)
      : names_(names), limits_(limits), received_ns_(received_ns), to_(to), texts_(texts), attributes_(names, limits) {}

  InCounts& counts() { return counts_; }

  void begin_scope(const ScopeIn& scope, std::uint64_t resource_hash) {
    scope_ = &scope;
    seed_ = XXH3_64bits_withSeed(scope.name.data(), scope.name.size(), resource_hash);
    component_ = texts_.components.number(scope.name.empty() ? std::string_view("opentelemetry") : scope.name);
  }

  void add_span(std::string_view message) {
    ++counts_.records;
    SpanIn& span = span_;
    read_span(message, span);
    if (span.trace.size() != 16 || is_zero(span.trace)) return reject("a trace id is 16 bytes, not all of them 0");
    if (span.id.size() != 8 || is_zero(span.id)) return reject("a span id is 8 bytes, not all of them 0");
    if (!span.parent.empty() && span.parent.size() != 8) return reject("a parent span id is 8 bytes");
    if (is_full()) return;
    Row row;
    row.trace_hi = number(span.trace.data());
    row.trace_lo = number(span.trace.data() + 8);
    row.span_id = number(span.id.data());
    row.parent_span_id = span.parent.empty() ? 0 : number(span.parent.data());
    row.span = true;
    row.ts_ns = time_of(span.start != 0 ? span.start : span.end);
    row.duration_ns = std::max<std::int64_t>(time_of(span.end != 0 ? span.end : span.start) - row.ts_ns, 0);
    row.status = span.status == 1 || span.status == 2 ? static_cast<std::int32_t>(span.status) : 0;
    row.status_message = span.status_message;
    row.event_type = span.name.empty() ? std::string_view("span") : span.name;
    begin_row(row, span.attributes);
    if (span.kind > 1 && span.kind < kSpanKinds.size()) add_column(kOtelSpanKind, kSpanKinds[span.kind]);
    if (!span.trace_state.empty()) attributes_.add_text("otel.trace_state", span.trace_state);
    if ((span.flags & 0x200) != 0) {
      AnyIn truth;
      truth.type = AnyIn::Bool;
      truth.integer = 1;
      attributes_.add("otel.parent_is_remote", truth);
    }
    if (span.end != 0 && span.end < span.start) attributes_.add_integer("otel.end_time_unix_nano", time_of(span.end));
    add_dropped(kOtelDroppedAttributes, span.dropped_attributes);
    add_dropped(kOtelDroppedEvents, span.dropped_events);
    add_dropped(kOtelDroppedLinks, span.dropped_links);
    add_links(row, span.links);
    if (scope_->own && !row.event_id.empty()) own_event(row);
    char id[kEventIdBytes];
    if (row.event_id.empty()) {
      char place[24];
      std::memcpy(place, span.trace.data(), 16);
      std::memcpy(place + 16, span.id.data(), 8);
      row.event_id = made_id(id, {place, sizeof place}, 0);
    }
    end_row(row);
    add_events(span);
  }

  void add_log(std::string_view message) {
    ++counts_.records;
    LogIn& log = log_;
    read_log(message, log);
    if (!log.trace.empty() && log.trace.size() != 16) return reject("a trace id is 16 bytes");
    if (!log.span.empty() && log.span.size() != 8) return reject("a span id is 8 bytes");
    if (is_full()) return;
    Row row;
    if (!log.trace.empty()) {
      row.trace_hi = number(log.trace.data());
      row.trace_lo = number(log.trace.data() + 8);
    }
    if (!log.span.empty()) row.span_id = number(log.span.data());
    row.ts_ns = time_of(log.time != 0 ? log.time : log.observed);
    timeless_ |= log.time == 0 && log.observed == 0;
    row.severity = log.severity < 5 ? (log.severity == 0 ? 1 : 0)
                                    : static_cast<std::int32_t>(std::min<std::uint64_t>((log.severity - 5) / 4, 4));
    row.event_type = log.name.empty() ? std::string_view("log_record") : log.name;
    const AnyIn body = read_any(log.body);
    if (body.type == AnyIn::Text) row.rationale = text_within(body.bytes);
    begin_row(row, log.attributes);
    if (body.type != AnyIn::Text && body.type != AnyIn::Null) attributes_.add("otel.body", body);
    if (!scope_->own) {
      if (!is_usual(log.severity_text)) attributes_.add_text("otel.severity_text", log.severity_text);
      if (log.time != 0 && log.observed != 0 && log.observed != log.time)
        attributes_.add_integer("otel.observed_time_unix_nano", time_of(log.observed));
    }
    add_dropped(kOtelDroppedAttributes, log.dropped_attributes);
    char id[kEventIdBytes];
    if (row.event_id.empty()) row.event_id = id_of_record(id, message);
    end_row(row);
  }

  // A number that was measured: a data point of a gauge or a sum.
  void add_point(std::string_view message, const MetricIn& metric) {
    ++counts_.records;
    PointIn point;
    inside_.clear();
    for (ProtoIn in(message); in.next();) {
      switch (in.key()) {
        case fixed64_field(2): point.start = in.fixed64(); break;
        case fixed64_field(3): point.time = in.fixed64(); break;
        case fixed64_field(4): point.value = in.real(); break;
        case fixed64_field(6): point.value = static_cast<double>(static_cast<std::int64_t>(in.fixed64())); break;
        case bytes_field(7): inside_.push_back(in.bytes()); break;
        case varint_field(8): point.flags = in.varint(); break;
        default: in.skip();
      }
    }
    if ((point.flags & 1) != 0) return reject("a point without a value is not kept");
    if (is_full()) return;
    Row row;
    row.ts_ns = time_of(point.time);
    timeless_ |= point.time == 0;
    row.event_type = "performance_metric";
    begin_row(row, {});
    attributes_.add_text("metric_name", metric.name);
    AnyIn value;
    value.type = AnyIn::Real;
    value.real = point.value;
    attributes_.add("metric_value", value);
    attributes_.add_text("metric_unit", metric.unit);
    attributes_.add_text("metric_kind", metric.kind);
    if (metric.temporality == 1) attributes_.add_text("metric_temporality", "delta");
    if (point.start != 0) attributes_.add_integer("metric_start_ns", time_of(point.start));
    if (!inside_.empty()) attributes_.add("tags", as_pairs());
    char id[kEventIdBytes];
    const std::uint64_t before = std::exchange(seed_, XXH3_64bits_withSeed(metric.name.data(), metric.name.size(), seed_));
    row.event_id = id_of_record(id, message);
    seed_ = before;
    end_row(row);
  }

  void reject_points(std::size_t count) {
    counts_.records += count;
    for (std::size_t i = 0; i < count; ++i) reject("of metrics, gauges and sums are kept");
  }

  // Whether some record had no time of its own, and got that of its arrival.
  bool has_timeless() const { return timeless_; }

 private:
  struct Row {
    std::int64_t ts_ns = 0, duration_ns = 0;
    std::uint64_t trace_hi = 0, trace_lo = 0, span_id = 0, parent_span_id = 0, lineage_id = 0;
    bool span = false, decision = false, text_lost = false, truncated = false;
    std::int32_t severity = 1, status = 0, component = -1;
    double weight = 1.0;
    std::string_view event_type, model, request_id, chain, status_message, rationale, event_id, caused_by, options, links;
    std::size_t model_rank = InNames::kNoModel;
  };
  struct SpanIn {
    std::string_view trace, id, parent, name, trace_state, status_message;
    std::uint64_t kind, start, end, dropped_attributes, dropped_events, dropped_links, status;
    std::uint32_t flags;
    std::vector<std::string_view> attributes, events, links;
  };
  struct LogIn {
    std::string_view trace, span, name, body, severity_text;
    std::uint64_t time, observed, severity, dropped_attributes;
    std::vector<std::string_view> attributes;
  };

  struct PointIn {
    std::uint64_t start = 0, time = 0, flags = 0;
    double value = 0;
  };

  // The attributes of a point as one value.
  AnyIn as_pairs() {
    std::string all;
    for (const std::string_view each : inside_) {
      all += '\x0a';  // field 1, bytes
      std::size_t left = each.size();
      for (; left >= 0x80; left >>= 7) all += static_cast<char>((left & 0x7f) | 0x80);
      all += static_cast<char>(left);
      all += each;
    }
    AnyIn value;
    value.type = AnyIn::Pairs;
    value.bytes = keep(std::move(all));
    return value;
  }

  // ---- reading

  static void read_span(std::string_view message, SpanIn& out) {
    out.trace = out.id = out.parent = out.name = out.trace_state = out.status_message = {};
    out.kind = out.start = out.end = out.dropped_attributes = out.dropped_events = out.dropped_links = out.status = 0;
    out.flags = 0;
    out.attributes.clear();
    out.events.clear();
    out.links.clear();
    for (ProtoIn in(message); in.next();) {
      switch (in.key()) {
        case bytes_field(1): out.trace = in.bytes(); break;
        case bytes_field(2): out.id = in.bytes(); break;
        case bytes_field(3): out.trace_state = in.bytes(); break;
        case bytes_field(4): out.parent = in.bytes(); break;
        case bytes_field(5): out.name = in.bytes(); break;
        case varint_field(6): out.kind = in.varint(); break;
        case fixed64_field(7): out.start = in.fixed64(); break;
        case fixed64_field(8): out.end = in.fixed64(); break;
        case bytes_field(9): out.attributes.push_back(in.bytes()); break;
        case varint_field(10): out.dropped_attributes = in.varint(); break;
        case bytes_field(11): out.events.push_back(in.bytes()); break;
        case varint_field(12): out.dropped_events = in.varint(); break;
        case bytes_field(13): out.links.push_back(in.bytes()); break;
        case varint_field(14): out.dropped_links = in.varint(); break;
        case bytes_field(15): read_status(in.bytes(), out); break;
        case fixed32_field(16): out.flags = in.fixed32(); break;
        default: in.skip();
      }
    }
  }

  static void read_status(std::string_view message, SpanIn& out) {
    for (ProtoIn in(message); in.next();) {
      if (in.key() == bytes_field(2))
        out.status_message = in.bytes();
      else if (in.key() == varint_field(3))
        out.status = in.varint();
      else
        in.skip();
    }
  }

  static void read_log(std::string_view message, LogIn& out) {
    out.trace = out.span = out.name = out.body = out.severity_text = {};
    out.time = out.observed = out.severity = out.dropped_attributes = 0;
    out.attributes.clear();
    for (ProtoIn in(message); in.next();) {
      switch (in.key()) {
        case fixed64_field(1): out.time = in.fixed64(); break;
        case varint_field(2): out.severity = in.varint(); break;
        case bytes_field(3): out.severity_text = in.bytes(); break;
        case bytes_field(5): out.body = in.bytes(); break;
        case bytes_field(6): out.attributes.push_back(in.bytes()); break;
        case varint_field(7): out.dropped_attributes = in.varint(); break;
        case bytes_field(9): out.trace = in.bytes(); break;
        case bytes_field(10): out.span = in.bytes(); break;
        case fixed64_field(11): out.observed = in.fixed64(); break;
        case bytes_field(12): out.name = in.bytes(); break;
        default: in.skip();
      }
    }
  }

  // ---- rows

  // The attributes that were sent, and what the scope says.
  void begin_row(Row& row, const std::vector<std::string_view>& attributes) {
    attributes_.begin(to_, scope_->own);
    texts_of_row_.clear();
    if (scope_->own) {
      for (const std::string_view each : attributes)
        if (const PairIn pair = read_pair(each); pair.key == names_.table()[kEventType])
          if (const AnyIn type = read_any(pair.value); type.type == AnyIn::Text && !type.bytes.empty())
            row.event_type = type.bytes;
      attributes_.of_type(row.event_type);
      for (const std::string_view each : attributes) {
        const PairIn pair = read_pair(each);
        const AnyIn value = read_any(pair.value);
        if (!take_column(row, pair.key, value)) attributes_.add(pair.key, value);
      }
      return;
    }
    for (const std::string_view each : attributes) {
      const PairIn pair = read_pair(each);
      const AnyIn value = read_any(pair.value);
      const std::size_t rank = names_.model_rank(pair.key);
      if (rank < row.model_rank && value.type == AnyIn::Text && !value.bytes.empty()) {
        row.model_rank = rank;
        row.model = value.bytes;
      }
      attributes_.add(pair.key, value);
    }
    if (!scope_->version.empty()) attributes_.add_text("otel.scope.version", scope_->version);
    for (const std::string_view each : scope_->attributes) {
      const PairIn pair = read_pair(each);
      attributes_.add(keep(std::string("otel.scope.").append(pair.key)), read_any(pair.value));
    }
  }

  void end_row(const Row& row) {
    counts_.cut += attributes_.end();
    ++counts_.rows;
    to_.ts_ns.push(row.ts_ns);
    to_.offset_ns.push(0);
    to_.session.push(0);
    to_.ring.push(0);
    to_.ticket.push(0);
    to_.event_type.push(texts_.event_types.number(row.event_type));
    to_.component.push(row.component >= 0 ? row.component : component_);
    to_.model_id.push(texts_.models.number(row.model));
    to_.request_id.push(row.request_id);
    to_.decision_chain_id.push(row.chain);
    to_.trace_hi.push(static_cast<std::int64_t>(row.trace_hi));
    to_.trace_lo.push(static_cast<std::int64_t>(row.trace_lo));
    to_.span_id.push(static_cast<std::int64_t>(row.span_id));
    to_.parent_span_id.push(static_cast<std::int64_t>(row.parent_span_id));
    to_.span.push(row.span);
    to_.lineage_id.push(static_cast<std::int64_t>(row.lineage_id));
    to_.severity.push(row.severity);
    to_.status.push(row.status);
    to_.status_message.push(row.status_message);
    to_.duration_ns.push(row.duration_ns);
    to_.decision.push(row.decision);
    to_.rationale.push(row.rationale);
    to_.weight.push(row.weight);
    to_.event_id.push(row.event_id);
    to_.caused_by.push(row.caused_by);
    to_.options.push(row.options);
    to_.links.push(row.links);
    to_.text_lost.push(row.text_lost);
    to_.truncated.push(row.truncated);
  }

  void add_events(const SpanIn& span) {
    std::uint32_t number_inside = 0;
    for (const std::string_view message : span.events) {
      const std::uint32_t index = number_inside++;
      if (index >= limits_.parts || counts_.rows >= limits_.rows) {
        counts_.cut += span.events.size() - index;
        return;
      }
      add_event(span, message, index);
    }
  }

  void add_event(const SpanIn& span, std::string_view message, std::uint32_t index) {
    std::string_view name;
    std::uint64_t time = 0, dropped = 0;
    inside_.clear();
    for (ProtoIn in(message); in.next();) {
      switch (in.key()) {
        case fixed64_field(1): time = in.fixed64(); break;
        case bytes_field(2): name = in.bytes(); break;
        case bytes_field(3): inside_.push_back(in.bytes()); break;
        case varint_field(4): dropped = in.varint(); break;
        default: in.skip();
      }
    }
    Row row;
    row.trace_hi = number(span.trace.data());
    row.trace_lo = number(span.trace.data() + 8);
    row.span_id = number(span.id.data());
    row.ts_ns = time_of(time != 0 ? time : span.start);
    row.event_type = name.empty() ? std::string_view("event") : name;
    begin_row(row, inside_);
    if (name == "exception") {
      row.severity = 3;
      row.rationale = exception_said();
    }
    add_dropped(kOtelDroppedAttributes, dropped);
    char place[28];
    std::memcpy(place, span.trace.data(), 16);
    std::memcpy(place + 16, span.id.data(), 8);
    std::memcpy(place + 24, &index, 4);
    char id[kEventIdBytes];
    row.event_id = made_id(id, {place, sizeof place}, 0);
    end_row(row);
  }

  // As the span processor words it: what was raised, and what it said.
  std::string_view exception_said() {
    std::string_view type = "exception", message;
    for (const std::string_view each : inside_) {
      const PairIn pair = read_pair(each);
      if (pair.key != "exception.type" && pair.key != "exception.message") continue;
      const AnyIn value = read_any(pair.value);
      if (value.type == AnyIn::Text) (pair.key == "exception.type" ? type : message) = value.bytes;
    }
    std::string said(type);
    if (!message.empty()) said.append(": ").append(message);
    return text_within(keep(std::move(said)));
  }

  void add_links(Row& row, const std::vector<std::string_view>& links) {
    if (links.empty()) return;
    links_.clear();
    for (const std::string_view message : links) {
      if (links_.size() >= limits_.parts) {
        attributes_.note_cut(1);
        continue;
      }
      add_link(message);
    }
    if (links_.empty()) return;
    link_text_.clear();
    parts_.append_links(link_text_, links_);
    row.links = link_text_.view();
  }

  void add_link(std::string_view message) {
    std::string_view trace, span, trace_state;
    DecodedLink link;
    bool derived = false;
    for (ProtoIn in(message); in.next();) {
      switch (in.key()) {
        case bytes_field(1): trace = in.bytes(); break;
        case bytes_field(2): span = in.bytes(); break;
        case bytes_field(3): trace_state = in.bytes(); break;
        case bytes_field(4): {
          const PairIn pair = read_pair(in.bytes());
          derived |= scope_->own && pair.key == names_.table()[kLinkType];
          add_link_attribute(link, pair.key, read_any(pair.value));
          break;
        }
        default: in.skip();
      }
    }
    if (derived) return;  // told by a column of its own
    if (trace.size() != 16 || span.size() != 8) return attributes_.note_cut(1);
    std::memcpy(link.trace.words.data(), trace.data(), 16);
    link.span_id = number(span.data());
    if (!trace_state.empty()) {
      AnyIn value;
      value.type = AnyIn::Text;
      value.bytes = trace_state;
      add_link_attribute(link, "otel.trace_state", value);
    }
    links_.push_back(std::move(link));
  }

  void add_link_attribute(DecodedLink& link, std::string_view key, const AnyIn& given) {
    if (link.attributes.size() >= limits_.attributes || key.size() > limits_.key_bytes) return attributes_.note_cut(1);
    for (const auto& [other, value] : link.attributes)
      if (other == key) return attributes_.note_cut(1);
    Value value;
    switch (given.type) {
      case AnyIn::Bool:
        value.type = ValueType::Bool;
        value.truth = given.integer != 0;
        break;
      case AnyIn::Int:
        value.type = ValueType::Int;
        value.integer = given.integer;
        break;
      case AnyIn::Real:
        value.type = ValueType::Float;
        value.real = given.real;
        break;
      case AnyIn::Text:
        value.type = ValueType::Text;
        value.text = text_within(given.bytes);
        break;
      default: {
        TextOut text;
        JsonIn json(limits_);
        if (!json.write(text, given)) return attributes_.note_cut(1);
        value.type = ValueType::Text;
        value.text = keep(std::string(text.view()));
      }
    }
    link.attributes.emplace_back(key, value);
  }

  // ---- what we sent ourselves

  // Whether an attribute was a column of the event, of the type that we give it.
  bool take_column(Row& row, std::string_view key, const AnyIn& value) {
    const Column column = names_.column_of(key);
    const bool is_text = value.type == AnyIn::Text;
    const bool is_true = value.type == AnyIn::Bool;
    switch (column) {
      case kEventType: return is_text;  // was read before
      case kComponent:
        if (!is_text) return false;
        row.component = texts_.components.number(value.bytes);
        return true;
      case kEventId: return is_text && (row.event_id = value.bytes, true);
      case kRequestId: return is_text && (row.request_id = value.bytes, true);
      case kChainId: return is_text && (row.chain = value.bytes, true);
      case kModelId: return is_text && (row.model = value.bytes, true);
      case kGenAiModel: return is_text && row.model.empty() && (row.model = value.bytes, true);
      case kRationale: return is_text && (row.rationale = value.bytes, true);
      case kCausedBy: return is_text && (row.caused_by = value.bytes, true);
      case kDecision: return is_true && (row.decision = value.integer != 0, true);
      case kTextLost: return is_true && (row.text_lost = value.integer != 0, true);
      case kTruncated: return is_true && (row.truncated = value.integer != 0, true);
      case kDuration: return value.type == AnyIn::Int && (row.duration_ns = value.integer, true);
      case kWeight: return value.type == AnyIn::Real && value.real > 0 && (row.weight = value.real, true);
      case kChosen: return value.type == AnyIn::List;  // told by the options
      case kSeverity: return is_text && take_severity(row, value.bytes);
      case kLineageId: return is_text && take_number(row.lineage_id, value.bytes);
      case kOptions: return value.type == AnyIn::List && take_options(row, value.bytes);
      case kLinks: return value.type == AnyIn::List && take_links(row, value.bytes);
      default: return false;
    }
  }

  static bool take_severity(Row& row, std::string_view name) {
    for (std::int32_t i = 0; i < 5; ++i)
      if (name == kSeverityNames[static_cast<std::size_t>(i)]) return row.severity = i, true;
    return false;
  }

  static bool take_number(std::uint64_t& out, std::string_view digits) {
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  }

  // Each item of a list of maps.
  template <class Take>
  static void each_map(std::string_view list, Take&& take) {
    for (ProtoIn in(list); in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      if (const AnyIn map = read_any(in.bytes()); map.type == AnyIn::Pairs) take(map.bytes);
    }
  }
  template <class Take>
  static void each_pair(std::string_view map, Take&& take) {
    for (ProtoIn in(map); in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      const PairIn pair = read_pair(in.bytes());
      take(pair.key, read_any(pair.value));
    }
  }

  bool take_options(Row& row, std::string_view list) {
    const Table& table = names_.table();
    options_.clear();
    each_map(list, [&](std::string_view map) {
      DecodedOption option;
      each_pair(map, [&](std::string_view key, const AnyIn& value) {
        if (key == table[kOptionName] && value.type == AnyIn::Text)
          option.name = value.bytes;
        else if (key == table[kOptionReason] && value.type == AnyIn::Text)
          option.reason = value.bytes;
        else if (key == table[kOptionChosen])
          option.chosen = value.type == AnyIn::Bool && value.integer != 0;
        else if (key == table[kOptionScores] && value.type == AnyIn::Pairs)
          each_pair(value.bytes, [&](std::string_view score, const AnyIn& given) {
            if (given.type == AnyIn::Real) option.scores.emplace_back(score, given.real);
          });
      });
      options_.push_back(std::move(option));
    });
    option_text_.clear();
    JsonParts::append_options(option_text_, options_);
    row.options = option_text_.view();
    return true;
  }

  bool take_links(Row& row, std::string_view list) {
    const Table& table = names_.table();
    links_.clear();
    each_map(list, [&](std::string_view map) {
      DecodedLink link;
      each_pair(map, [&](std::string_view key, const AnyIn& value) {
        if (key == table[kLinkTraceId] && value.type == AnyIn::Text)
          read_hex(value.bytes, reinterpret_cast<unsigned char*>(link.trace.words.data()), 16);
        else if (unsigned char id[8]; key == table[kLinkSpanId] && value.type == AnyIn::Text) {
          if (read_hex(value.bytes, id, 8)) link.span_id = number(reinterpret_cast<const char*>(id));
        } else
          add_link_attribute(link, key, value);
      });
      links_.push_back(std::move(link));
    });
    link_text_.clear();
    parts_.append_links(link_text_, links_);
    row.links = link_text_.view();
    return true;
  }

  // A span that stands for an event that lasted is that event again: its time is the end.
  static void own_event(Row& row) {
    const IdBytes id = event_id_bytes(row.event_id);
    if (derived_span_id(id) != row.span_id) return;
    row.ts_ns += row.duration_ns;
    row.span = false;
    row.span_id = row.parent_span_id;
    row.parent_span_id = 0;
    if (number(id.data()) == row.trace_hi && number(id.data() + 8) == row.trace_lo) row.trace_hi = row.trace_lo = 0;
  }

  // ---- small things

  void reject(const char* reason) {
    ++counts_.rejected;
    if (counts_.reason == nullptr) counts_.reason = reason;
  }
  bool is_full() {
    if (counts_.rows < limits_.rows) [[likely]] return false;
    reject("too many in one request");
    return true;
  }

  void add_column(Column column, std::string_view text) { attributes_.add_text(names_.table()[column], text); }
  void add_dropped(Column column, std::uint64_t count) {
    if (count > 0) attributes_.add_integer(names_.table()[column], static_cast<std::int64_t>(count & 0xffffffffu));
  }

  std::int64_t time_of(std::uint64_t unix_ns) const {
    if (unix_ns == 0) return received_ns_;
    return static_cast<std::int64_t>(std::min<std::uint64_t>(unix_ns, std::numeric_limits<std::int64_t>::max()));
  }

  std::string_view text_within(std::string_view text) {
    const std::string_view kept = within(text, limits_.value_bytes);
    if (kept.size() != text.size()) counts_.cut += 1;
    return kept;
  }

  // What senders write of the levels that the number tells.
  static bool is_usual(std::string_view text) {
    static constexpr std::string_view kUsual[] = {"", "trace", "debug", "info", "warn", "warning", "error", "fatal", "critical"};
    char lower[9];
    if (text.size() > sizeof lower) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
      lower[i] = static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    return std::find(std::begin(kUsual), std::end(kUsual), std::string_view(lower, text.size())) != std::end(kUsual);
  }

  static bool is_zero(std::string_view id) {
    return std::all_of(id.begin(), id.end(), [](char byte) { return byte == 0; });
  }
  static std::uint64_t number(const char* bytes) {
    std::uint64_t word;
    std::memcpy(&word, bytes, 8);
    return __builtin_bswap64(word);
  }
  static bool read_hex(std::string_view text, unsigned char* out, std::size_t bytes) {
    if (text.size() != 2 * bytes) return false;
    for (std::size_t i = 0; i < bytes; ++i) {
      const int high = whence::detail::hex_digit(text[2 * i]), low = whence::detail::hex_digit(text[2 * i + 1]);
      if (high < 0 || low < 0) return false;
      out[i] = static_cast<unsigned char>(high << 4 | low);
    }
    return true;
  }

  std::string_view keep(std::string text) { return texts_of_row_.emplace_back(std::move(text)); }

  // A UUID that the bytes alone decide: of version 5, as those made of names are.
  static std::string_view made_id(char* out, std::string_view bytes, std::uint64_t seed) {
    XXH128_canonical_t made;
    XXH128_canonicalFromHash(&made, XXH3_128bits_withSeed(bytes.data(), bytes.size(), seed));
    made.digest[6] = static_cast<unsigned char>((made.digest[6] & 0x0f) | 0x50);
    made.digest[8] = static_cast<unsigned char>((made.digest[8] & 0x3f) | 0x80);
    write_uuid(out, made.digest);
    return {out, kEventIdBytes};
  }

  // Of a log record, which has none: its content's, and which of the same content it is.
  std::string_view id_of_record(char* out, std::string_view message) {
    const std::uint64_t hash = XXH3_64bits_withSeed(message.data(), message.size(), seed_);
    const std::uint64_t before = same_[hash]++;
    return made_id(out, message, seed_ + before);
  }

  const InNames& names_;
  const InLimits& limits_;
  const std::int64_t received_ns_;
  arrow::Chunk& to_;
  arrow::Names& texts_;
  AttributesIn attributes_;
  InCounts counts_;
  const ScopeIn* scope_ = nullptr;
  std::uint64_t seed_ = 0;
  std::int32_t component_ = 0;
  bool timeless_ = false;
  SpanIn span_;
  LogIn log_;
  std::vector<std::string_view> inside_;
  std::vector<DecodedLink> links_;
  std::vector<DecodedOption> options_;
  std::deque<std::string> texts_of_row_;
  std::unordered_map<std::uint64_t, std::uint64_t> same_;
  JsonParts parts_;
  TextOut link_text_, option_text_;
};

}  // namespace whence::otlp
