// A batch as OTLP export requests: one resource a session, events in order of time, split by size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "batch.hpp"
#include "otlp_notation.hpp"
#include "otlp_record.hpp"
#include "otlp_table.hpp"

namespace whence::otlp {

namespace request {
inline constexpr Tag kResourceLogs{1, "resourceLogs"}, kResourceSpans{1, "resourceSpans"}, kResource{1, "resource"},
    kResourceAttributes{1, "attributes"}, kScopeLogs{2, "scopeLogs"}, kScopeSpans{2, "scopeSpans"},
    kSchemaUrl{3, "schemaUrl"}, kScope{1, "scope"}, kScopeName{1, "name"}, kScopeVersion{2, "version"},
    kLogRecords{2, "logRecords"}, kSpans{2, "spans"};
}

// The body of an ExportLogsServiceRequest or ExportTraceServiceRequest: these parts, joined.
struct Request {
  bool is_spans = false;
  std::size_t events = 0;
  std::array<std::string_view, 7> body;

  std::size_t bytes() const {
    std::size_t sum = 0;
    for (const std::string_view part : body) sum += part.size();
    return sum;
  }
};

// Requests of one signal under construction. `emit(Request)` takes each that is full; the request
// is gone when it returns, and false from it ends everything.
template <class Message, class Emit>
class Requests {
 public:
  Requests(bool is_spans, const Table& table, const Limits& limits, TextOut& records, Emit& emit)
      : is_spans_(is_spans), table_(table), limits_(limits), records_(records), emit_(emit) {
    records_.clear();
  }

  // What follows is of this session.
  void begin_session(const SessionFacts& session) {
    close_group();
    session_ = &session;
  }

  // Takes the record that `write(message)` writes.
  template <class Write>
  bool add(Write&& write) {
    record_.clear();
    {
      Message item(record_);
      write(item);
    }
    char head[16];
    const std::string_view begin = Message::item_begin(head, records_tag(), record_.size());
    const std::size_t bytes = begin.size() + record_.size();
    const bool full = groups_.size() + records_.size() + bytes + kFrameBytes > limits_.most_bytes ||
                      events_ >= limits_.most_events;
    if (full && events_ > 0 && !close_request()) return false;
    if (!records_.empty()) records_.put(Message::kBetween);
    records_.put(begin);
    records_.put(record_.view());
    ++events_;
    return true;
  }

  bool close_request() {
    if (events_ == 0) return true;
    Request done;
    done.is_spans = is_spans_;
    done.events = std::exchange(events_, 0);
    done.body[0] = Message::request_begin(group_tag(), begin_);
    done.body[1] = groups_.view();
    if (!records_.empty()) {
      frame();
      if (!groups_.empty()) done.body[2] = Message::kBetween;
      done.body[3] = frame_.before.view();
      done.body[4] = records_.view();
      done.body[5] = frame_.after.view();
    }
    done.body[6] = Message::request_end();
    const bool go_on = emit_(done);
    groups_.clear();
    records_.clear();
    return go_on;
  }

 private:
  static constexpr std::size_t kFrameBytes = 4096;  // for the resource and scope around records

  Tag records_tag() const { return is_spans_ ? request::kSpans : request::kLogRecords; }
  Tag group_tag() const { return is_spans_ ? request::kResourceSpans : request::kResourceLogs; }

  // Only the last session's records are in `records_`.
  void close_group() {
    if (records_.empty()) return;
    frame();
    if (!groups_.empty()) groups_.put(Message::kBetween);
    for (const std::string_view part : {frame_.before.view(), records_.view(), frame_.after.view()}) groups_.put(part);
    records_.clear();
  }

  void frame() {
    TextOut resource;
    TextOut scope;
    TextOut schema;
    {
      Message fields(resource);
      put_resource(fields);
    }
    {
      Message fields(scope);
      Message inner = fields.message(request::kScope);
      inner.text(request::kScopeName, table_.scope_name);
      inner.text(request::kScopeVersion, table_.scope_version);
    }
    {
      Message fields(schema);
      if (!table_.schema_url.empty()) fields.text(request::kSchemaUrl, table_.schema_url);
    }
    frame_.before.clear();
    frame_.after.clear();
    const auto fields = [](const TextOut& text) { return Message::fields_of(text.view()); };
    Message::frame(frame_, group_tag(), is_spans_ ? request::kScopeSpans : request::kScopeLogs, records_tag(),
                   {fields(resource), fields(scope), fields(schema), records_.size()});
  }

  void put_resource(Message& group) const {
    if (session_->resource.empty()) return;
    Message resource = group.message(request::kResource);
    auto list = resource.list(request::kResourceAttributes);
    for (const ResourceAttribute& attribute : session_->resource) {
      Value value = attribute.value;
      if (value.type == ValueType::Text) value.text = attribute.text;
      list.attribute(attribute.key, value);
    }
  }

  bool is_spans_;
  const Table& table_;
  const Limits& limits_;
  const SessionFacts* session_ = nullptr;
  TextOut begin_;   // of a request
  TextOut record_;  // the last one
  TextOut& records_;  // of this session
  TextOut groups_;    // of the sessions before it
  Frame frame_;
  std::size_t events_ = 0;
  Emit& emit_;
};

// Hands the batch's events to `emit` as requests, log records and spans as they fill up.
template <class Message, class Emit>
void encode(const Batch& batch, const Sessions& sessions, const Table& table, const Limits& limits, Emit&& emit) {
  static const SessionFacts kUnknown;
  // Kept from call to call: faulting memory in costs as much as filling it.
  static thread_local TextOut log_records;
  static thread_local TextOut span_records;
  constexpr std::size_t kMostKept = 8 << 20;
  Records<Message> records(batch, table, limits);
  Requests<Message, Emit> logs(false, table, limits, log_records, emit);
  Requests<Message, Emit> spans(true, table, limits, span_records, emit);
  EventDecoder decoder;
  Event event;
  bool go_on = true;
  for (const auto& [session, rows] : batch.rows_by_session()) {
    const auto found = sessions.find(session);
    const SessionFacts& facts = found != sessions.end() ? found->second : kUnknown;
    logs.begin_session(facts);
    spans.begin_session(facts);
    for (std::size_t i = 0; go_on && i < rows.size(); ++i) {
      read_event(batch, rows[i], decoder, event);
      const std::uint64_t wall_ns = facts.wall_ns(event.decoded->time_ns);
      if (event.is_span && limits.signals != Signals::Logs)
        go_on = spans.add([&](Message& item) { records.put_span(item, event, wall_ns); });
      else if (limits.signals != Signals::Spans)
        go_on = logs.add([&](Message& item) { records.put_log(item, event, wall_ns); });
    }
  }
  if (go_on && logs.close_request()) spans.close_request();
  log_records.clear_down_to(kMostKept);
  span_records.clear_down_to(kMostKept);
}

}  // namespace whence::otlp
