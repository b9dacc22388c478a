// Writes events as JSON text: integers exact, strings valid whatever was recorded.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "batch.hpp"
#include "decode.hpp"
#include "event_id.hpp"
#include "text_out.hpp"
#include "values.hpp"
#include "wall_clock.hpp"

namespace whence {

inline constexpr std::array<const char*, 3> kStatusNames = {"", "ok", "error"};
inline constexpr std::array<const char*, 7> kSeverityNames = {"Debug",    "Info",     "Warning", "Error",
                                                              "Critical", "Critical", "Critical"};

namespace detail {

// The length of the valid UTF-8 sequence at `at`, 0 if there is none.
inline std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first < 0xf5) {
    const bool out_of_range =
        (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) >= 0x90);
    return tail(1) && tail(2) && tail(3) && !out_of_range ? 4 : 0;
  }
  return 0;
}

}  // namespace detail

namespace detail {

// Is any byte of the word a control, a quote, a backslash, or not ASCII? (Exact: no false alarm
// matters, no miss may be.)
inline bool needs_care(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ull;
  constexpr std::uint64_t kHighs = 0x8080808080808080ull;
  const auto has_zero = [](std::uint64_t x) { return (x - kOnes) & ~x & kHighs; };
  const std::uint64_t below_space = (word - kOnes * 0x20) & ~word & kHighs;
  return (word & kHighs) | below_space | has_zero(word ^ (kOnes * '"')) |
         has_zero(word ^ (kOnes * '\\')) | has_zero(word ^ (kOnes * 0x7f));
}

// How many bytes from `at` on can be copied as they are.
inline std::size_t plain_length(std::string_view text, std::size_t at) {
  std::size_t end = at;
  for (std::uint64_t word; end + 8 <= text.size(); end += 8) {
    std::memcpy(&word, text.data() + end, 8);
    if (needs_care(word)) break;
  }
  while (end < text.size()) {
    const auto c = static_cast<unsigned char>(text[end]);
    if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') break;
    ++end;
  }
  return end - at;
}

inline void append_escape(TextOut& out, unsigned char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  if (c == '"' || c == '\\') {
    out.put('\\');
    out.put(static_cast<char>(c));
  } else if (c == '\n') {
    out.put("\\n");
  } else if (c < 0x80) {
    out.put("\\u00");
    out.put(kHex[c >> 4]);
    out.put(kHex[c & 15]);
  } else {
    out.put("\\ufffd");  // not UTF-8: a damaged file
  }
}

}  // namespace detail

inline void append_json_string(TextOut& out, std::string_view text) {
  out.put('"');
  for (std::size_t at = 0; at < text.size();) {
    std::size_t length = detail::plain_length(text, at);
    if (length == 0 && static_cast<unsigned char>(text[at]) >= 0x80)
      length = detail::utf8_length(text, at);
    if (length > 0) {
      out.put(text.substr(at, length));
      at += length;
    } else {
      detail::append_escape(out, static_cast<unsigned char>(text[at++]));
    }
  }
  out.put('"');
}

// JSON has no NaN and no infinities: they become texts, as whence.query.plain has them.
inline void append_json_float(TextOut& out, double value) {
  if (std::isfinite(value))
    append_float(out, value);
  else if (std::isnan(value))
    out.put("\"NaN\"");
  else
    out.put(value > 0 ? std::string_view("\"Infinity\"") : std::string_view("\"-Infinity\""));
}

// The lists and objects in an event's JSON.
class JsonParts {
 public:
  static void append_hex(TextOut& out, std::string_view before, std::uint64_t id) {
    std::uint8_t bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(id >> (56 - 8 * i));
    out.put(before);
    detail::write_hex(out.extend(16), bytes, sizeof bytes);
    out.put('"');
  }

  void append_links(TextOut& out, const std::vector<DecodedLink>& links) {
    out.put('[');
    bool first = true;
    for (const DecodedLink& link : links) {
      if (!first) out.put(',');
      first = false;
      out.put("{\"trace_id\":\"");
      if (link.trace) write_trace_id(out.extend(32), link.trace);
      append_hex(out, "\",\"span_id\":\"", link.span_id);
      append_attributes(out, link.attributes);
      out.put('}');
    }
    out.put(']');
  }

  // Values are strings; `attribute_types` says which of them were not.
  void append_attributes(TextOut& out, const std::vector<std::pair<std::string_view, Value>>& attributes) {
    out.put(",\"attributes\":{");
    types_.clear();
    bool first = true;
    for (auto at = attributes.begin(); at != attributes.end(); ++at) {
      const auto& [key, value] = *at;
      // in a damaged file two may have one name: the later one counts, as for every reader
      if (std::any_of(at + 1, attributes.end(), [at](const auto& later) { return later.first == at->first; })) continue;
      if (!first) out.put(',');
      first = false;
      append_json_string(out, key);
      out.put(':');
      if (value.type == ValueType::Text) {
        append_json_string(out, value.text);
        continue;
      }
      out.put('"');
      append_value(out, value);
      out.put('"');
      if (!types_.empty()) types_.put(',');
      append_json_string(types_, key);
      types_.put(value.type == ValueType::Float  ? std::string_view(":\"float\"")
                 : value.type == ValueType::Bool ? std::string_view(":\"bool\"")
                                                 : std::string_view(":\"int\""));
    }
    out.put('}');
    if (types_.empty()) return;
    out.put(",\"attribute_types\":{");
    out.put(types_.view());
    out.put('}');
  }

  static void append_options(TextOut& out, const std::vector<DecodedOption>& options) {
    out.put('[');
    bool first = true;
    for (const DecodedOption& option : options) {
      if (!first) out.put(',');
      first = false;
      out.put("{\"name\":");
      append_json_string(out, option.name);
      out.put(",\"scores\":{");
      bool first_score = true;
      for (const auto& [key, score] : option.scores) {
        if (!first_score) out.put(',');
        first_score = false;
        append_json_string(out, key);
        out.put(':');
        append_json_float(out, score);
      }
      out.put(option.chosen ? std::string_view("},\"chosen\":true,\"reason\":")
                            : std::string_view("},\"chosen\":false,\"reason\":"));
      append_json_string(out, option.reason);
      out.put('}');
    }
    out.put(']');
  }

 private:
  TextOut types_;
};

class JsonEvents {
 public:
  // Events of sessions that `clocks` knows say their wall time, too.
  explicit JsonEvents(const Batch& batch, const WallClocks* clocks = nullptr)
      : batch_(batch), clocks_(clocks) {}

  // One event object, in the schema of docs/file-format.md.
  void append(TextOut& out, std::size_t row) {
    const RowSource& source = batch_.source(row);
    const DecodedEvent& event = batch_.decode(row, source, decoder_);
    const std::uint64_t ticket = batch_.ticket(row);
    if (event.request_lost) lost_request_ = batch_.lost_request(event.request_words);
    const std::string_view request = event.request_lost ? lost_request_ : event.request_id;
    const bool known = !event.request_lost || !request.starts_with("lost:");
    out.put("{\"event_id\":");
    if (event.event_id.empty()) {
      out.put('"');
      write_event_id(out.extend(kEventIdBytes), source.session_key, source.ring, ticket);
      out.put('"');
    } else {
      append_json_string(out, event.event_id);
    }
    out.put(names_of(event));
    out.put(",\"timestamp_ns\":");
    out.put_int(event.time_ns);
    append_wall_time(out, source, event.time_ns);
    out.put(",\"duration_ns\":");
    out.put_int(event.duration_ns);
    out.put(",\"model_id\":");
    append_json_string(out, event.model);
    out.put(",\"request_id\":");
    append_json_string(out, request);
    out.put(",\"rationale\":");
    append_json_string(out, event.rationale);
    out.put(",\"severity\":\"");
    out.put(std::string_view(kSeverityNames[event.severity % kSeverityNames.size()]));
    out.put('"');
    parts_.append_attributes(out, event.attributes);
    out.put(",\"decision_chain_id\":");
    append_json_string(out, event.chain_id.empty() ? request : event.chain_id);
    if (event.decision) out.put(",\"decision\":true");
    if (!event.options.empty()) {
      out.put(",\"options\":");
      JsonParts::append_options(out, event.options);
    }
    if (!event.caused_by.empty()) {
      out.put(",\"caused_by\":");
      append_json_string(out, event.caused_by);
    }
    if (event.lineage_id != 0) {
      out.put(",\"lineage_id\":\"");
      out.put_int(event.lineage_id);
      out.put('"');
    }
    append_trace(out, event, trace_of(event, known ? request : std::string_view(), source.catalogue->run));
    if (event.threshold != 0) {
      out.put(",\"weight\":");
      append_json_float(out, weight_of(event.threshold));
    }
    if (event.text_lost) out.put(",\"text_lost\":true");
    if (event.truncated) out.put(",\"truncated\":true");
    out.put(place_of(source));
    out.put_int(ticket);
    out.put("\"}");
  }

 private:
  // Most events in a row are of few kinds and rings: their constant parts are kept as written.
  std::string_view names_of(const DecodedEvent& event) {
    const bool declared = event.kind != nullptr && event.event_type.data() == event.kind->schema.name.data();
    if (declared && event.kind == names_kind_) return names_.view();
    names_kind_ = declared ? event.kind : nullptr;
    names_.clear();
    names_.put(",\"event_type\":");
    append_json_string(names_, event.event_type);
    names_.put(",\"component\":");
    append_json_string(names_, event.component);
    return names_.view();
  }

  void append_wall_time(TextOut& out, const RowSource& source, std::uint64_t time_ns) {
    if (clocks_ == nullptr || clocks_->empty()) return;
    if (&source != clock_source_) {
      clock_source_ = &source;
      const auto found = clocks_->find(source.session);
      clock_ = found != clocks_->end() && !found->second.empty() ? &found->second : nullptr;
    }
    std::int64_t wall_ns = 0;
    if (clock_ == nullptr || !wall_time(*clock_, time_ns, wall_ns)) return;
    out.put(",\"wall_ns\":");
    out.put_int(wall_ns);
  }

  std::string_view place_of(const RowSource& source) {
    if (&source == place_source_) return place_.view();
    place_source_ = &source;
    place_.clear();
    place_.put(",\"session\":");
    append_json_string(place_, source.session);
    place_.put(",\"ring\":");
    place_.put_int(source.ring);
    place_.put(",\"ticket\":\"");
    return place_.view();
  }

  void append_trace(TextOut& out, const DecodedEvent& event, const TraceId& trace) {
    if (trace) {
      out.put(",\"trace_id\":\"");
      write_trace_id(out.extend(32), trace);
      out.put('"');
    }
    if (event.span_id != 0) JsonParts::append_hex(out, ",\"span_id\":\"", event.span_id);
    if (event.parent_span_id != 0) JsonParts::append_hex(out, ",\"parent_span_id\":\"", event.parent_span_id);
    if (event.span) out.put(",\"span\":true");
    if (event.status != SpanStatus::None) {
      out.put(",\"status\":\"");
      out.put(std::string_view(kStatusNames[static_cast<std::size_t>(event.status)]));
      out.put('"');
    }
    if (!event.status_message.empty()) {
      out.put(",\"status_message\":");
      append_json_string(out, event.status_message);
    }
    if (event.links.empty()) return;
    out.put(",\"links\":");
    parts_.append_links(out, event.links);
  }

  const Batch& batch_;
  const WallClocks* clocks_;
  const RowSource* clock_source_ = nullptr;
  const std::vector<WallAnchor>* clock_ = nullptr;
  EventDecoder decoder_;
  std::string lost_request_;
  JsonParts parts_;
  TextOut names_;
  const KnownKind* names_kind_ = nullptr;
  TextOut place_;
  const RowSource* place_source_ = nullptr;
};

}  // namespace whence
