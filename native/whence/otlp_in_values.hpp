// OTLP's AnyValue on its way in: plain values as they are, all others as the JSON of model/nested.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "json.hpp"
#include "proto_in.hpp"
#include "text_out.hpp"

namespace whence::otlp {

struct InLimits {
  std::size_t rows = 262'144;        // of a request; what is beyond it is refused
  std::size_t attributes = 256;      // of a record
  std::size_t key_bytes = 1'000;
  std::size_t value_bytes = 256 << 10;
  std::size_t depth = 16;
  std::size_t parts = 1'024;         // events and links of a span, each
};

// One value, read one level deep.
struct AnyIn {
  enum Type : std::uint8_t { Null, Text, Bool, Int, Real, List, Pairs, Bytes };
  Type type = Null;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view bytes;  // of a text, bytes, list or pairs

  bool is_plain() const { return type == Text || type == Bool || type == Int || type == Real; }
};

inline AnyIn read_any(std::string_view message) {
  AnyIn out;
  for (ProtoIn in(message); in.next();) {
    switch (in.key()) {
      case bytes_field(1): out.type = AnyIn::Text; out.bytes = in.bytes(); break;
      case varint_field(2): out.type = AnyIn::Bool; out.integer = in.varint() != 0; break;
      case varint_field(3): out.type = AnyIn::Int; out.integer = static_cast<std::int64_t>(in.varint()); break;
      case fixed64_field(4): out.type = AnyIn::Real; out.real = in.real(); break;
      case bytes_field(5): out.type = AnyIn::List; out.bytes = in.bytes(); break;
      case bytes_field(6): out.type = AnyIn::Pairs; out.bytes = in.bytes(); break;
      case bytes_field(7): out.type = AnyIn::Bytes; out.bytes = in.bytes(); break;
      default: in.skip();
    }
  }
  return out;
}

struct PairIn {
  std::string_view key;
  std::string_view value;  // of an AnyValue
};

inline PairIn read_pair(std::string_view message) {
  PairIn out;
  for (ProtoIn in(message); in.next();) {
    if (in.key() == bytes_field(1))
      out.key = in.bytes();
    else if (in.key() == bytes_field(2))
      out.value = in.bytes();
    else
      in.skip();
  }
  return out;
}

// The text itself, or its beginning, no letter cut through.
inline std::string_view within(std::string_view text, std::size_t most_bytes) {
  if (text.size() <= most_bytes) return text;
  std::size_t end = most_bytes;
  for (int back = 0; back < 3 && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80; ++back) --end;
  return text.substr(0, end);
}

// Writes values as JSON. What is too deep becomes null and is counted; of what is too long there is
// no more than a little over the limit.
class JsonIn {
 public:
  explicit JsonIn(const InLimits& limits) : limits_(limits) {}

  // False: it was longer than a value may be, and is of no use.
  bool write(TextOut& out, const AnyIn& value) {
    begin_ = out.size();
    put(out, value, 1);
    return out.size() - begin_ <= limits_.value_bytes;
  }
  std::size_t take_cut() { return std::exchange(cut_, 0); }

 private:
  void put(TextOut& out, const AnyIn& value, std::size_t depth) {
    if (is_over(out)) return;
    switch (value.type) {
      case AnyIn::Null: out.put("null"); return;
      case AnyIn::Text: append_json_string(out, within(value.bytes, limits_.value_bytes + 1)); return;
      case AnyIn::Bool: out.put(value.integer != 0 ? std::string_view("true") : std::string_view("false")); return;
      case AnyIn::Int: out.put_int(value.integer); return;
      case AnyIn::Real: put_real(out, value.real); return;
      case AnyIn::Bytes: put_bytes(out, within_bytes(value.bytes)); return;
      case AnyIn::List:
      case AnyIn::Pairs: break;
    }
    if (depth > limits_.depth) {
      ++cut_;
      out.put("null");
      return;
    }
    value.type == AnyIn::List ? put_list(out, value.bytes, depth) : put_pairs(out, value.bytes, depth);
  }

  bool is_over(const TextOut& out) const { return out.size() - begin_ > limits_.value_bytes; }

  std::string_view within_bytes(std::string_view bytes) const { return bytes.substr(0, limits_.value_bytes + 1); }

  static void put_real(TextOut& out, double value) {
    if (std::isfinite(value)) return append_float(out, value);
    out.put("{\"$float\":\"");
    append_float(out, value);
    out.put("\"}");
  }

  static void put_bytes(TextOut& out, std::string_view bytes) {
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.put("{\"$bytes\":\"");
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
      std::uint32_t word = 0;
      const std::size_t have = std::min<std::size_t>(3, bytes.size() - at);
      for (std::size_t i = 0; i < 3; ++i)
        word = word << 8 | (i < have ? static_cast<unsigned char>(bytes[at + i]) : 0u);
      for (std::size_t i = 0; i < 4; ++i) out.put(i <= have ? kDigits[word >> (18 - 6 * i) & 63] : '=');
    }
    out.put("\"}");
  }

  void put_list(TextOut& out, std::string_view list, std::size_t depth) {
    out.put('[');
    bool first = true;
    for (ProtoIn in(list); !is_over(out) && in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      if (!first) out.put(',');
      first = false;
      put(out, read_any(in.bytes()), depth + 1);
    }
    out.put(']');
  }

  // An object of one member whose name begins with $ is written so that it is not taken for ours.
  void put_pairs(TextOut& out, std::string_view pairs, std::size_t depth) {
    std::size_t count = 0;
    bool special = false;
    for (ProtoIn in(pairs); in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      special = read_pair(in.bytes()).key.starts_with('$');
      if (++count > 1) break;
    }
    special = special && count == 1;
    if (special) out.put("{\"$object\":");
    out.put('{');
    bool first = true;
    for (ProtoIn in(pairs); !is_over(out) && in.next();) {
      if (in.key() != bytes_field(1)) {
        in.skip();
        continue;
      }
      const PairIn pair = read_pair(in.bytes());
      if (!first) out.put(',');
      first = false;
      append_json_string(out, within(pair.key, limits_.value_bytes + 1));
      out.put(':');
      put(out, read_any(pair.value), depth + 1);
    }
    out.put('}');
    if (special) out.put('}');
  }

  const InLimits& limits_;
  std::size_t begin_ = 0;
  std::size_t cut_ = 0;
};

}  // namespace whence::otlp
