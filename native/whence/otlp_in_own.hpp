// A row under construction, and the columns of it that our own encoder sent as attributes.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow_columns.hpp"
#include "json.hpp"
#include "otlp_in_links.hpp"
#include "otlp_in_messages.hpp"
#include "otlp_in_names.hpp"
#include "otlp_in_values.hpp"

namespace whence::otlp {

struct RowIn {
  std::int64_t ts_ns = 0, duration_ns = 0;
  std::uint64_t trace_hi = 0, trace_lo = 0, span_id = 0, parent_span_id = 0, lineage_id = 0;
  bool span = false, decision = false, text_lost = false, truncated = false;
  std::int32_t severity = 1, status = 0, component = -1;
  double weight = 1.0;
  std::string_view event_type, model, request_id, chain, status_message, rationale, event_id, caused_by, options, links;
  std::size_t model_rank = InNames::kNoModel;
};

class OwnColumns {
 public:
  OwnColumns(const InNames& names, arrow::Names& texts, LinksIn& links) : names_(names), texts_(texts), links_(links) {}

  // Whether an attribute was a column of the event, of the type that we give it.
  bool take(RowIn& row, std::string_view key, const AnyIn& value) {
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

 private:
  static bool take_severity(RowIn& row, std::string_view name) {
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

  bool take_options(RowIn& row, std::string_view list) {
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

  bool take_links(RowIn& row, std::string_view list) {
    const Table& table = names_.table();
    each_map(list, [&](std::string_view map) {
      DecodedLink link;
      each_pair(map, [&](std::string_view key, const AnyIn& value) {
        if (key == table[kLinkTraceId] && value.type == AnyIn::Text)
          read_hex(value.bytes, reinterpret_cast<unsigned char*>(link.trace.words.data()), 16);
        else if (unsigned char id[8]; key == table[kLinkSpanId] && value.type == AnyIn::Text) {
          if (read_hex(value.bytes, id, 8)) link.span_id = number(reinterpret_cast<const char*>(id));
        } else
          links_.add_attribute(link, key, value);
      });
      links_.add(std::move(link));
    });
    row.links = links_.text();
    return true;
  }

  const InNames& names_;
  arrow::Names& texts_;
  LinksIn& links_;
  std::vector<DecodedOption> options_;
  TextOut option_text_;
};

}  // namespace whence::otlp
