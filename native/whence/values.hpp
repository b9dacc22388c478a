// A decoded value of a field or attribute, and how it is written as text.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

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

template <class Int>
void append_int(std::string& out, Int value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

// The shortest digits that read back the same, laid out as Python's repr() does.
inline void append_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value < 0 ? "-inf" : "inf";
    return;
  }
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const std::string_view all(text, static_cast<std::size_t>(end - text));
  const std::size_t e = all.find('e');
  int exponent = 0;
  const char* first = text + e + 1 + (text[e + 1] == '+' ? 1 : 0);
  std::from_chars(first, end, exponent);
  if (exponent < -4 || exponent >= 16) {
    out += all;  // to_chars writes two exponent digits at least, like Python
    return;
  }
  std::string_view mantissa = all.substr(0, e);
  if (mantissa.front() == '-') {
    out += '-';
    mantissa.remove_prefix(1);
  }
  std::string digits(1, mantissa.front());
  if (mantissa.size() > 2) digits += mantissa.substr(2);
  const auto whole = static_cast<std::size_t>(exponent + 1 > 0 ? exponent + 1 : 0);
  if (whole == 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out += digits;
    return;
  }
  if (digits.size() <= whole) {
    out += digits;
    out.append(whole - digits.size(), '0');
    out += ".0";
    return;
  }
  out.append(digits, 0, whole);
  out += '.';
  out.append(digits, whole);
}

// Text of a value: what the compatibility JSON and templates show.
inline void append_value(std::string& out, const Value& value) {
  switch (value.type) {
    case ValueType::Int: append_int(out, value.integer); return;
    case ValueType::UInt: append_int(out, value.natural); return;
    case ValueType::Float: append_float(out, value.real); return;
    case ValueType::Bool: out += value.truth ? "true" : "false"; return;
    case ValueType::Text: out += value.text; return;
    case ValueType::Lost: out += "<text lost>"; return;
    case ValueType::Absent: out += "none"; return;
  }
}

}  // namespace whence
