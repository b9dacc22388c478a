// A decoded value of a field or attribute, and how it is written as text.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "text_out.hpp"

namespace whence {

enum class ValueType : std::uint8_t { Absent, Lost, Int, UInt, Float, Bool, Text };

struct Value {
  ValueType type = ValueType::Absent;
  union {
    std::int64_t integer;
    std::uint64_t natural;
    double real;
    bool truth;
  };
  std::string_view text;

  Value() : integer(0) {}
  bool present() const { return type != ValueType::Absent && type != ValueType::Lost; }
};

// The shortest digits that read back the same, laid out as Python's repr() does.
inline void append_float(TextOut& out, double value) {
  if (std::isnan(value)) {
    out.put("nan");
    return;
  }
  if (std::isinf(value)) {
    out.put(value < 0 ? std::string_view("-inf") : std::string_view("inf"));
    return;
  }
  if (std::fabs(value) < 1e15 && value == static_cast<double>(static_cast<std::int64_t>(value)) &&
      !(value == 0 && std::signbit(value))) {  // whole numbers are many
    out.put_int(static_cast<std::int64_t>(value));
    out.put(".0");
    return;
  }
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const std::string_view all(text, static_cast<std::size_t>(end - text));
  const std::size_t e = all.find('e');
  int exponent = 0;
  std::from_chars(text + e + 1 + (text[e + 1] == '+' ? 1 : 0), end, exponent);
  if (exponent < -4 || exponent >= 16) {
    out.put(all);  // to_chars writes two exponent digits at least, like Python
    return;
  }
  std::string_view mantissa = all.substr(0, e);
  if (mantissa.front() == '-') {
    out.put('-');
    mantissa.remove_prefix(1);
  }
  char digits[40];
  std::size_t count = 0;
  for (const char c : mantissa)
    if (c != '.') digits[count++] = c;
  if (exponent < 0) {
    out.put("0.");
    out.put_zeros(static_cast<std::size_t>(-exponent - 1));
    out.put(std::string_view(digits, count));
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (count <= whole) {
    out.put(std::string_view(digits, count));
    out.put_zeros(whole - count);
    out.put(".0");
    return;
  }
  out.put(std::string_view(digits, whole));
  out.put('.');
  out.put(std::string_view(digits + whole, count - whole));
}

// Text of a value: what the compatibility JSON and templates show.
inline void append_value(TextOut& out, const Value& value) {
  switch (value.type) {
    case ValueType::Int: out.put_int(value.integer); return;
    case ValueType::UInt: out.put_int(value.natural); return;
    case ValueType::Float: append_float(out, value.real); return;
    case ValueType::Bool: out.put(value.truth ? std::string_view("true") : std::string_view("false")); return;
    case ValueType::Text: out.put(value.text); return;
    case ValueType::Lost: out.put("<text lost>"); return;
    case ValueType::Absent: out.put("none"); return;
  }
}

}  // namespace whence
