// An OTLP export request as rows of a store: the resources it tells of, and the rows of each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow_columns.hpp"
#include "otlp_in_rows.hpp"

namespace whence::otlp {

enum class InSignal : std::uint8_t { Traces, Logs, Metrics };

struct ResourceIn {
  std::vector<std::pair<std::string, std::string>> attributes;  // as text
  std::size_t rows = 0;
};

struct ReceivedRows {
  std::shared_ptr<const arrow::Columns> columns;
  std::vector<ResourceIn> resources;  // in order of their rows
  InCounts counts;
  bool timeless = false;
};

// Reads one request. Throws BadMessage.
class RequestIn {
 public:
  RequestIn(const InNames& names, const InLimits& limits, std::int64_t received_ns)
      : names_(names), limits_(limits), received_ns_(received_ns) {}

  ReceivedRows read(InSignal signal, std::string_view body) {
    constexpr std::size_t kLeastBytes = 64;  // of a record, as a rule: rows are made room for by it
    auto texts = std::make_shared<arrow::Names>();
    auto chunk = std::make_shared<arrow::Chunk>(texts, std::min(body.size() / kLeastBytes + 16, limits_.rows));
    RowsIn rows(names_, limits_, received_ns_, *chunk, *texts);
    ReceivedRows out;
    for (ProtoIn in(body); in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      const std::size_t before = rows.counts().rows;
      ResourceIn resource = read_resource(signal, in.bytes(), rows);
      resource.rows = rows.counts().rows - before;
      if (resource.rows > 0) out.resources.push_back(std::move(resource));
    }
    chunk->finish();
    out.columns = std::make_shared<const arrow::Columns>(std::vector<std::shared_ptr<const arrow::Chunk>>{chunk});
    out.counts = rows.counts();
    out.timeless = rows.has_timeless();
    return out;
  }

 private:
  ResourceIn read_resource(InSignal signal, std::string_view message, RowsIn& rows) {
    ResourceIn out;
    std::string_view resource;
    for (ProtoIn in(message); in.next();)  // wherever in the message it stands
      if (in.key() == bytes_field(1))
        resource = in.bytes();
      else
        in.skip();
    JsonIn json(limits_);
    for (ProtoIn in(resource); in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      const PairIn pair = read_pair(in.bytes());
      if (out.attributes.size() >= limits_.attributes || pair.key.size() > limits_.key_bytes) {
        ++rows.counts().cut;
        continue;
      }
      const AnyIn value = read_any(pair.value);
      TextOut text;
      if (value.type == AnyIn::Text)
        text.put(within(value.bytes, kResourceValueBytes));
      else if (!json.write(text, value))
        continue;
      out.attributes.emplace_back(arrow::repaired(pair.key), arrow::repaired(text.view()));
    }
    rows.counts().cut += json.take_cut();
    const std::uint64_t hash = XXH3_64bits(resource.data(), resource.size());
    for (ProtoIn in(message); in.next();)
      if (in.key() == bytes_field(2))
        read_scope(signal, in.bytes(), hash, rows);
      else
        in.skip();
    return out;
  }

  void read_scope(InSignal signal, std::string_view message, std::uint64_t resource_hash, RowsIn& rows) {
    ScopeIn scope;
    for (ProtoIn in(message); in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      scope = {};
      for (ProtoIn inner(in.bytes()); inner.next();) {
        switch (inner.key()) {
          case bytes_field(1): scope.name = inner.bytes(); break;
          case bytes_field(2): scope.version = inner.bytes(); break;
          case bytes_field(3): scope.attributes.push_back(inner.bytes()); break;
          default: inner.skip();
        }
      }
    }
    scope.own = scope.name == names_.table().scope_name;
    rows.begin_scope(scope, resource_hash);
    for (ProtoIn in(message); in.next();) {
      if (in.key() != bytes_field(2)) {
        in.skip();
        continue;
      }
      switch (signal) {
        case InSignal::Traces: rows.add_span(in.bytes()); break;
        case InSignal::Logs: rows.add_log(in.bytes()); break;
        case InSignal::Metrics: read_metric(in.bytes(), rows); break;
      }
    }
  }

  static void read_metric(std::string_view message, RowsIn& rows) {
    MetricIn metric;
    std::string_view points;
    bool is_number = false;
    for (ProtoIn in(message); in.next();) {
      switch (in.key()) {
        case bytes_field(1): metric.name = in.bytes(); break;
        case bytes_field(3): metric.unit = in.bytes(); break;
        case bytes_field(5):
        case bytes_field(7):
          is_number = true;
          metric.kind = in.key() == bytes_field(5) ? std::string_view("gauge") : std::string_view("sum");
          points = in.bytes();
          break;
        case bytes_field(9):
        case bytes_field(10):
        case bytes_field(11):
          is_number = false;
          points = in.bytes();
          break;
        default: in.skip();
      }
    }
    std::size_t others = 0;
    for (ProtoIn in(points); is_number && in.next();) {
      if (in.key() == varint_field(2))
        metric.temporality = in.varint();
      else
        in.skip();
    }
    for (ProtoIn in(points); in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      const std::string_view point = in.bytes();
      is_number ? rows.add_point(point, metric) : static_cast<void>(++others);
    }
    rows.reject_points(others);
  }

  static constexpr std::size_t kResourceValueBytes = 4'096;

  const InNames& names_;
  const InLimits& limits_;
  const std::int64_t received_ns_;
};

}  // namespace whence::otlp
