// The columns of an event at rest: their names and types, and the rows of one record batch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "arrow_buffers.hpp"
#include "arrow_export.hpp"

namespace whence::arrow {

enum class ColumnType : std::uint8_t { Int64, Int32, Float, Bool, Text, Name, IntMap, FloatMap, TextMap, BoolMap };

struct ColumnInfo {
  const char* name;
  ColumnType type;
  bool nullable = false;
};

// whence.store.columns says what each means; a test holds the two equal.
inline constexpr ColumnInfo kColumns[] = {
    {"ts_ns", ColumnType::Int64},
    {"offset_ns", ColumnType::Int64},
    {"session", ColumnType::Int64},
    {"ring", ColumnType::Int32},
    {"ticket", ColumnType::Int64},
    {"event_type", ColumnType::Name},
    {"component", ColumnType::Name},
    {"model_id", ColumnType::Name},
    {"request_id", ColumnType::Text},
    {"decision_chain_id", ColumnType::Text, true},
    {"trace_hi", ColumnType::Int64},
    {"trace_lo", ColumnType::Int64},
    {"span_id", ColumnType::Int64},
    {"parent_span_id", ColumnType::Int64},
    {"span", ColumnType::Bool},
    {"lineage_id", ColumnType::Int64},
    {"severity", ColumnType::Int32},
    {"status", ColumnType::Name},
    {"status_message", ColumnType::Text, true},
    {"duration_ns", ColumnType::Int64},
    {"decision", ColumnType::Bool},
    {"rationale", ColumnType::Text},
    {"weight", ColumnType::Float},
    {"event_id", ColumnType::Text, true},
    {"caused_by", ColumnType::Text, true},
    {"options", ColumnType::Text, true},
    {"links", ColumnType::Text, true},
    {"text_lost", ColumnType::Bool},
    {"truncated", ColumnType::Bool},
    {"attr_int", ColumnType::IntMap},
    {"attr_num", ColumnType::FloatMap},
    {"attr_str", ColumnType::TextMap},
    {"attr_bool", ColumnType::BoolMap},
    {"attr_uint", ColumnType::IntMap},
};

namespace detail {

inline const Schema kTexts{"u", "", false, {}, nullptr};

inline Schema map_schema(const ColumnInfo& column, const char* value_format) {
  const Schema key{"u", "key", false, {}, nullptr};
  const Schema value{value_format, "value", true, {}, nullptr};
  return {"+m", column.name, column.nullable, {{"+s", "entries", false, {key, value}, nullptr}}, nullptr};
}

inline Schema column_schema(const ColumnInfo& column) {
  const auto plain = [&](const char* format) { return Schema{format, column.name, column.nullable, {}, nullptr}; };
  switch (column.type) {
    case ColumnType::Int64: return plain("l");
    case ColumnType::Int32: return plain("i");
    case ColumnType::Float: return plain("g");
    case ColumnType::Bool: return plain("b");
    case ColumnType::Text: return plain("u");
    case ColumnType::Name: return {"i", column.name, column.nullable, {}, &kTexts};
    case ColumnType::IntMap: return map_schema(column, "l");
    case ColumnType::FloatMap: return map_schema(column, "g");
    case ColumnType::TextMap: return map_schema(column, "u");
    case ColumnType::BoolMap: return map_schema(column, "b");
  }
  return {};
}

}  // namespace detail

// Of a record batch: a struct of the columns.
inline const Schema& event_schema() {
  static const Schema schema = [] {
    Schema all{"+s", "", false, {}, nullptr};
    for (const ColumnInfo& column : kColumns) all.children.push_back(detail::column_schema(column));
    return all;
  }();
  return schema;
}

// Maps of one type of value, one to a row.
template <class Values>
class Maps {
 public:
  Maps() { offsets_.push(0); }
  void ask(Room& room, std::size_t rows) { offsets_.ask(room, rows + 1); }
  void expect(std::size_t seen, std::size_t rows) {
    keys_.expect(seen, rows);
    values_.expect(seen, rows);
  }
  std::size_t text_bytes() const { return keys_.text_bytes() + text_bytes_of(values_); }

  template <class Value>
  void add(std::string_view key, const Value& value) {
    keys_.push(key);
    values_.push(value);
  }
  void end_row() { offsets_.push(static_cast<std::int32_t>(values_.size())); }

  Array array() const {
    const auto entries = static_cast<std::int64_t>(values_.size());
    const Array pairs{entries, 0, {nullptr}, {keys_.array(), values_.array()}, nullptr};
    return {static_cast<std::int64_t>(offsets_.size()) - 1, 0, {nullptr, offsets_.data()}, {pairs}, nullptr};
  }

 private:
  static std::size_t text_bytes_of(const Texts& values) { return values.text_bytes(); }
  template <class Other>
  static std::size_t text_bytes_of(const Other&) {
    return 0;
  }

  Numbers<std::int32_t> offsets_;
  Texts keys_;
  Values values_;
};

// The dictionaries that many record batches share.
struct Names {
  Dictionary event_types;
  Dictionary components;
  Dictionary models;
  Dictionary statuses;  // numbered like SpanStatus

  Names() {
    for (const char* name : kStatusNames) statuses.number(name);
  }
  std::size_t bytes() const { return event_types.bytes() + components.bytes() + models.bytes(); }
};

// The rows of one record batch. Filled by RowEncoder, then finished and read only.
class Chunk {
 public:
  Chunk(std::shared_ptr<const Names> shared, std::size_t rows) : names(std::move(shared)) {
    ask(rows);
    room_.allocate();
    ask(rows);
  }
  Chunk(const Chunk&) = delete;
  Chunk& operator=(const Chunk&) = delete;

  Numbers<std::int64_t> ts_ns, offset_ns, session, ticket, trace_hi, trace_lo, span_id, parent_span_id, lineage_id,
      duration_ns;
  Numbers<std::int32_t> ring, event_type, component, model_id, severity, status;
  Numbers<double> weight;
  Bits span, decision, text_lost, truncated;
  Texts request_id, rationale;
  SparseTexts decision_chain_id, status_message, event_id, caused_by, options, links;
  Maps<Numbers<std::int64_t>> attr_int, attr_uint;
  Maps<Numbers<double>> attr_num;
  Maps<Texts> attr_str;
  Maps<Bits> attr_bool;
  std::shared_ptr<const Names> names;

  std::size_t rows() const { return ts_ns.size(); }

  std::size_t text_bytes() const {
    return request_id.text_bytes() + rationale.text_bytes() + decision_chain_id.text_bytes() +
           status_message.text_bytes() + event_id.text_bytes() + caused_by.text_bytes() + options.text_bytes() +
           links.text_bytes() + attr_int.text_bytes() + attr_num.text_bytes() + attr_str.text_bytes() +
           attr_bool.text_bytes() + attr_uint.text_bytes();
  }

  // Room for as much as the rows so far, of `rows` in all, let expect.
  void expect(std::size_t rows) {
    const std::size_t seen = this->rows();
    request_id.expect(seen, rows);
    rationale.expect(seen, rows);
    for (auto* column : {&decision_chain_id, &status_message, &event_id, &caused_by, &options, &links})
      column->expect(seen, rows);
    attr_int.expect(seen, rows);
    attr_num.expect(seen, rows);
    attr_str.expect(seen, rows);
    attr_bool.expect(seen, rows);
    attr_uint.expect(seen, rows);
  }

  // Once the dictionaries, too, are complete.
  void finish() {
    event_types_ = names->event_types.array();
    components_ = names->components.array();
    models_ = names->models.array();
    statuses_ = names->statuses.array();
    array_ = {static_cast<std::int64_t>(rows()),
              0,
              {nullptr},
              {ts_ns.array(),
               offset_ns.array(),
               session.array(),
               ring.array(),
               ticket.array(),
               named(event_type, event_types_),
               named(component, components_),
               named(model_id, models_),
               request_id.array(),
               decision_chain_id.array(),
               trace_hi.array(),
               trace_lo.array(),
               span_id.array(),
               parent_span_id.array(),
               span.array(),
               lineage_id.array(),
               severity.array(),
               named(status, statuses_),
               status_message.array(),
               duration_ns.array(),
               decision.array(),
               rationale.array(),
               weight.array(),
               event_id.array(),
               caused_by.array(),
               options.array(),
               links.array(),
               text_lost.array(),
               truncated.array(),
               attr_int.array(),
               attr_num.array(),
               attr_str.array(),
               attr_bool.array(),
               attr_uint.array()},
              nullptr};
  }
  const Array& array() const { return array_; }

 private:
  static Array named(const Numbers<std::int32_t>& numbers, const Array& dictionary) {
    Array out = numbers.array();
    out.dictionary = &dictionary;
    return out;
  }

  void ask(std::size_t rows) {
    const auto each = [&](auto&... columns) { (columns.ask(room_, rows), ...); };
    each(ts_ns, offset_ns, session, ring, ticket, event_type, component, model_id, request_id, decision_chain_id,
         trace_hi, trace_lo, span_id, parent_span_id, span, lineage_id, severity, status, status_message, duration_ns,
         decision, rationale, weight, event_id, caused_by, options, links, text_lost, truncated, attr_int, attr_num,
         attr_str, attr_bool, attr_uint);
  }

  Room room_;
  Array event_types_;
  Array components_;
  Array models_;
  Array statuses_;
  Array array_;
};

// What Batch.arrow() gives: record batches of one schema.
class Columns {
 public:
  explicit Columns(std::vector<std::shared_ptr<const Chunk>> parts) : parts_(std::move(parts)) {}

  const Schema& schema() const { return event_schema(); }
  const std::vector<std::shared_ptr<const Chunk>>& parts() const { return parts_; }
  std::size_t rows() const {
    std::size_t sum = 0;
    for (const auto& part : parts_) sum += part->rows();
    return sum;
  }

 private:
  std::vector<std::shared_ptr<const Chunk>> parts_;
};

}  // namespace whence::arrow
