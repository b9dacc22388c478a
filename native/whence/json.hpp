// Writes events as JSON text: integers exact, strings valid whatever was recorded.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "batch.hpp"
#include "decode.hpp"
#include "event_id.hpp"
#include "values.hpp"

namespace whence {

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

inline void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;  // start of the stretch that is copied as it is
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    const std::size_t length = c < 0x80 ? 0 : detail::utf8_length(text, i);
    if (length > 0) {
      i += length;
      continue;
    }
    out.append(text, plain, i - plain);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x80) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += "\\ufffd";  // not UTF-8: a damaged file
    }
    plain = ++i;
  }
  out.append(text, plain);
  out += '"';
}

// JSON has no NaN or infinities: they are null.
inline void append_json_float(std::string& out, double value) {
  if (std::isfinite(value))
    append_float(out, value);
  else
    out += "null";
}

class JsonEvents {
 public:
  explicit JsonEvents(const Batch& batch) : batch_(batch) {}

  // One event object, in the schema of docs/file-format.md.
  void append(std::string& out, std::size_t row) {
    const DecodedEvent& event = batch_.decode(row, decoder_);
    const RowSource& source = batch_.source(row);
    const std::uint64_t ticket = batch_.ticket(row);
    request_ = event.request_lost ? batch_.lost_request(event.request_words) : event.request_id;
    out += "{\"event_id\":\"";
    if (event.event_id.empty()) {
      out += event_id(source.session_key, source.ring, ticket);
      out += '"';
    } else {
      out.pop_back();
      append_json_string(out, event.event_id);
    }
    text(out, ",\"event_type\":", event.event_type);
    text(out, ",\"component\":", event.component);
    number(out, ",\"timestamp_ns\":", event.time_ns);
    number(out, ",\"duration_ns\":", event.duration_ns);
    text(out, ",\"model_id\":", event.model);
    text(out, ",\"request_id\":", request_);
    text(out, ",\"rationale\":", event.rationale);
    out += ",\"severity\":\"";
    out += kSeverityNames[event.severity % kSeverityNames.size()];
    out += '"';
    append_attributes(out, event);
    text(out, ",\"decision_chain_id\":", event.chain_id.empty() ? std::string_view(request_) : event.chain_id);
    if (event.decision) out += ",\"decision\":true";
    if (!event.options.empty()) append_options(out, event);
    if (!event.caused_by.empty()) text(out, ",\"caused_by\":", event.caused_by);
    if (event.lineage_id != 0) {
      number(out, ",\"lineage_id\":\"", event.lineage_id);
      out += '"';
    }
    if (event.text_lost) out += ",\"text_lost\":true";
    if (event.truncated) out += ",\"truncated\":true";
    text(out, ",\"session\":", source.session);
    number(out, ",\"ring\":", source.ring);
    number(out, ",\"ticket\":\"", ticket);
    out += "\"}";
  }

 private:
  static void text(std::string& out, const char* key, std::string_view value) {
    out += key;
    append_json_string(out, value);
  }
  template <class Int>
  static void number(std::string& out, const char* key, Int value) {
    out += key;
    append_int(out, value);
  }

  // Values are strings; `attribute_types` says which of them were not.
  void append_attributes(std::string& out, const DecodedEvent& event) {
    out += ",\"attributes\":{";
    types_.clear();
    const char* comma = "";
    for (const auto& [key, value] : event.attributes) {
      out += comma;
      append_json_string(out, key);
      out += ':';
      if (value.type == ValueType::Text) {
        append_json_string(out, value.text);
      } else {
        out += '"';
        append_value(out, value);
        out += '"';
        types_ += types_.empty() ? "" : ",";
        append_json_string(types_, key);
        types_ += value.type == ValueType::Float  ? ":\"float\""
                  : value.type == ValueType::Bool ? ":\"bool\""
                                                  : ":\"int\"";
      }
      comma = ",";
    }
    out += '}';
    if (types_.empty()) return;
    out += ",\"attribute_types\":{";
    out += types_;
    out += '}';
  }

  static void append_options(std::string& out, const DecodedEvent& event) {
    out += ",\"options\":[";
    const char* comma = "";
    for (const DecodedOption& option : event.options) {
      out += comma;
      text(out, "{\"name\":", option.name);
      out += ",\"scores\":{";
      const char* inner = "";
      for (const auto& [key, score] : option.scores) {
        out += inner;
        append_json_string(out, key);
        out += ':';
        append_json_float(out, score);
        inner = ",";
      }
      out += option.chosen ? "},\"chosen\":true" : "},\"chosen\":false";
      text(out, ",\"reason\":", option.reason);
      out += '}';
      comma = ",";
    }
    out += ']';
  }

  const Batch& batch_;
  EventDecoder decoder_;
  std::string request_;
  std::string types_;
};

}  // namespace whence
