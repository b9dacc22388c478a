// Spans, the events inside them, and log records become rows of a store.
#pragma once

#include <algorithm>
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
#include "otlp_in_links.hpp"
#include "otlp_in_messages.hpp"
#include "otlp_in_own.hpp"
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

class RowsIn {
 public:
  RowsIn(const InNames& names, const InLimits& limits, std::int64_t received_ns, arrow::Chunk& to, arrow::Names& texts)
      : names_(names), limits_(limits), received_ns_(received_ns), to_(to), texts_(texts), attributes_(names, limits),
        links_(names, limits, attributes_), own_(names, texts, links_) {}

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
    RowIn row;
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
    RowIn row;
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
    RowIn row;
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

  // ---- rows

  // The attributes that were sent, and what the scope says.
  void begin_row(RowIn& row, const std::vector<std::string_view>& attributes) {
    attributes_.begin(to_, scope_->own);
    texts_of_row_.clear();
    links_.begin();
    if (scope_->own) {
      for (const std::string_view each : attributes)
        if (const PairIn pair = read_pair(each); pair.key == names_.table()[kEventType])
          if (const AnyIn type = read_any(pair.value); type.type == AnyIn::Text && !type.bytes.empty())
            row.event_type = type.bytes;
      attributes_.of_type(row.event_type);
      for (const std::string_view each : attributes) {
        const PairIn pair = read_pair(each);
        const AnyIn value = read_any(pair.value);
        if (!own_.take(row, pair.key, value)) attributes_.add(pair.key, value);
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

  void end_row(const RowIn& row) {
    counts_.cut += attributes_.end();
    ++counts_.rows;
    to_.ts_ns.push(row.ts_ns);
    to_.offset_ns.push(0);
    to_.session.push(0);
    to_.ring.push(0);
    to_.ticket.push(0);
    to_.event_type.push(texts_.event_types.number(row.event_type));
    to_.component.push(row.component >= 0 ? row.component : component_);
    to_.model_id.push(row.model.empty() ? no_model_ : texts_.models.number(row.model));
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
    RowIn row;
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

  void add_links(RowIn& row, const std::vector<std::string_view>& links) {
    for (const std::string_view each : links) links_.add(each, scope_->own);
    if (!links.empty()) row.links = links_.text();
  }

  // A span that stands for an event that lasted is that event again: its time is the end.
  static void own_event(RowIn& row) {
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
  LinksIn links_;
  OwnColumns own_;
  InCounts counts_;
  const ScopeIn* scope_ = nullptr;
  std::uint64_t seed_ = 0;
  std::int32_t component_ = 0;
  const std::int32_t no_model_ = texts_.models.number("");
  bool timeless_ = false;
  SpanIn span_;
  LogIn log_;
  std::vector<std::string_view> inside_;
  std::deque<std::string> texts_of_row_;
  std::unordered_map<std::uint64_t, std::uint64_t> same_;
};

}  // namespace whence::otlp
