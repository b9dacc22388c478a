// The messages of OTLP that become rows, read field by field: views into the request.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>
#include <vector>

#include "proto_in.hpp"
#include "request.hpp"

namespace whence::otlp {

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

struct MetricIn {
  std::string_view name, unit, kind;
  std::uint64_t temporality = 0;
};

inline void read_status(std::string_view message, SpanIn& out) {
  for (ProtoIn in(message); in.next();) {
    if (in.key() == bytes_field(2))
      out.status_message = in.bytes();
    else if (in.key() == varint_field(3))
      out.status = in.varint();
    else
      in.skip();
  }
}

inline void read_span(std::string_view message, SpanIn& out) {
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

inline void read_log(std::string_view message, LogIn& out) {
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

// What senders write of the levels that the number tells.
inline bool is_usual(std::string_view text) {
  static constexpr std::string_view kUsual[] = {"", "trace", "debug", "info", "warn", "warning", "error", "fatal", "critical"};
  char lower[9];
  if (text.size() > sizeof lower) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    lower[i] = static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
  return std::find(std::begin(kUsual), std::end(kUsual), std::string_view(lower, text.size())) != std::end(kUsual);
}

inline bool is_zero(std::string_view id) {
  return std::all_of(id.begin(), id.end(), [](char byte) { return byte == 0; });
}
inline std::uint64_t number(const char* bytes) {
  std::uint64_t word;
  std::memcpy(&word, bytes, 8);
  return __builtin_bswap64(word);
}
inline bool read_hex(std::string_view text, unsigned char* out, std::size_t bytes) {
  if (text.size() != 2 * bytes) return false;
  for (std::size_t i = 0; i < bytes; ++i) {
    const int high = whence::detail::hex_digit(text[2 * i]), low = whence::detail::hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<unsigned char>(high << 4 | low);
  }
  return true;
}

}  // namespace whence::otlp
