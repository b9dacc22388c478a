// A batch as OTLP export requests: one resource a session, events in order of time, split by size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

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

// The body of an ExportLogsServiceRequest, or of an ExportTraceServiceRequest.
struct Request {
  bool is_spans = false;
  TextOut body;
  std::size_t events = 0;
};

// Requests of one signal under construction.
template <class Message>
class Requests {
 public:
  Requests(bool is_spans, const Table& table, const Limits& limits)
      : is_spans_(is_spans), table_(table), limits_(limits) {}

  // What follows is of this session.
  void begin_session(const SessionFacts& session) {
    close_group();
    session_ = &session;
  }

  // Takes the record that `write(message)` writes.
  template <class Write>
  void add(Write&& write) {
    using namespace request;
    record_.clear();
    {
      Message root(record_);
      auto list = root.list(is_spans_ ? kSpans : kLogRecords);
      auto item = list.item();
      write(item);
    }
    const std::string_view item = Message::items_of(record_.view(), is_spans_ ? kSpans : kLogRecords);
    const bool full = groups_.size() + records_.size() + item.size() + kFrameBytes > limits_.most_bytes ||
                      events_ >= limits_.most_events;
    if (full && events_ > 0) close_request();
    Message::join(records_, item);
    ++events_;
  }

  void close_request() {
    using namespace request;
    close_group();
    if (events_ == 0) return;
    Request done;
    done.is_spans = is_spans_;
    done.events = std::exchange(events_, 0);
    Message::open_request(done.body, is_spans_ ? kResourceSpans : kResourceLogs);
    done.body.put(groups_.view());
    Message::close_request(done.body);
    groups_.clear();
    finished.push_back(std::move(done));
  }

  std::vector<Request> finished;

 private:
  static constexpr std::size_t kFrameBytes = 4096;  // for the resource and scope around records

  void close_group() {
    using namespace request;
    if (records_.empty()) return;
    const Tag tag = is_spans_ ? kResourceSpans : kResourceLogs;
    TextOut whole;
    {
      Message root(whole);
      auto list = root.list(tag);
      auto group = list.item();
      put_resource(group);
      {
        auto scopes = group.list(is_spans_ ? kScopeSpans : kScopeLogs);
        auto scoped = scopes.item();
        put_scope(scoped);
        scoped.list(is_spans_ ? kSpans : kLogRecords).items(records_.view());
        if (!table_.schema_url.empty()) scoped.text(kSchemaUrl, table_.schema_url);
      }
      if (!table_.schema_url.empty()) group.text(kSchemaUrl, table_.schema_url);
    }
    Message::join(groups_, Message::items_of(whole.view(), tag));
    records_.clear();
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

  void put_scope(Message& scoped) const {
    Message scope = scoped.message(request::kScope);
    scope.text(request::kScopeName, table_.scope_name);
    scope.text(request::kScopeVersion, table_.scope_version);
  }

  bool is_spans_;
  const Table& table_;
  const Limits& limits_;
  const SessionFacts* session_ = nullptr;
  TextOut record_;
  TextOut records_;  // of this session
  TextOut groups_;   // of the sessions before it
  std::size_t events_ = 0;
};

// The batch's events from first to last as requests, logs before spans. Both may be empty.
template <class Message>
std::vector<Request> encode(const Batch& batch, const Sessions& sessions, const Table& table, const Limits& limits) {
  static const SessionFacts kUnknown;
  Records<Message> records(batch, table, limits);
  Requests<Message> logs(false, table, limits);
  Requests<Message> spans(true, table, limits);
  EventDecoder decoder;
  Event event;
  for (const auto& [session, rows] : batch.rows_by_session()) {
    const auto found = sessions.find(session);
    const SessionFacts& facts = found != sessions.end() ? found->second : kUnknown;
    logs.begin_session(facts);
    spans.begin_session(facts);
    for (const std::uint32_t row : rows) {
      read_event(batch, row, decoder, event);
      const std::uint64_t wall_ns = facts.wall_ns(event.decoded->time_ns);
      if (event.is_span && limits.signals != Signals::Logs)
        spans.add([&](Message& item) { records.put_span(item, event, wall_ns); });
      else if (limits.signals != Signals::Spans)
        logs.add([&](Message& item) { records.put_log(item, event, wall_ns); });
    }
  }
  logs.close_request();
  spans.close_request();
  std::vector<Request> done = std::move(logs.finished);
  for (Request& request : spans.finished) done.push_back(std::move(request));
  return done;
}

}  // namespace whence::otlp
