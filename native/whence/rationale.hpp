// Rationale templates: "Selected {model}: {slack_ns:ns} left". Only readers render them.
//
// {field}        as is             {field:ns}     nanoseconds: 8.4 ms
// {field:.3f}    0-9 decimals      {field:bytes}  512 MB (powers of 1024)
// {field:%}      0.5 -> 50.0 %     {{ and }}      braces
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "blank.hpp"
#include "kind.hpp"
#include "values.hpp"

namespace whence {

class Rationale {
 public:
  // False: `problem` says what is wrong, for the one who declares the kind.
  bool compile(const KindSchema& kind, std::string& problem) {
    parts_.clear();
    std::string literal;
    const std::string_view text = kind.rationale;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
        literal += c;
        ++i;
      } else if (c == '}') {
        problem = "a single '}' (write '}}' for a brace)";
        return false;
      } else if (c == '{') {
        const std::size_t end = text.find('}', i);
        if (end == std::string_view::npos) {
          problem = "a '{' without its '}'";
          return false;
        }
        if (!add_field(kind, text.substr(i + 1, end - i - 1), literal, problem)) return false;
        literal.clear();
        i = end;
      } else {
        literal += c;
      }
    }
    if (!literal.empty()) parts_.push_back({std::move(literal), kNoField, Format::Plain, 0});
    return true;
  }

  bool empty() const { return parts_.empty(); }

  // Bits of the text fields of which one must say something, lest the sentence come out empty;
  // 0 when words or numbers of the template see to that.
  std::uint64_t must_say(const KindSchema& kind) const {
    std::uint64_t bits = 0;
    for (const Part& part : parts_) {
      if (!is_blank(part.literal)) return 0;
      if (part.field == kNoField) continue;
      if (kind.fields[part.field].type != FieldType::Name) return 0;
      bits |= 1ull << part.field;
    }
    return bits;
  }

  // `fields` has one value per field of the kind.
  void render(const std::vector<Value>& fields, TextOut& out) const {
    std::size_t most = kSpareBytes;  // a hostile template may repeat a long text
    for (const Value& value : fields)
      if (value.type == ValueType::Text) most += value.text.size();
    for (const Part& part : parts_) {
      if (out.size() > most) return;
      out.put(std::string_view(part.literal));
      if (part.field == kNoField) continue;
      append_formatted(out, part, part.field < fields.size() ? fields[part.field] : Value());
    }
  }

 private:
  static constexpr std::size_t kSpareBytes = 16 * 1024;
  enum class Format : std::uint8_t { Plain, Nanoseconds, Bytes, Decimals, Percent };
  static constexpr std::size_t kNoField = ~std::size_t{0};
  struct Part {
    std::string literal;  // before the field
    std::size_t field;
    Format format;
    int decimals;
  };

  bool add_field(const KindSchema& kind, std::string_view inner, std::string& literal,
                 std::string& problem) {
    const std::size_t colon = inner.find(':');
    const std::string_view name = inner.substr(0, colon);
    std::size_t index = 0;
    while (index < kind.fields.size() && kind.fields[index].name != name) ++index;
    if (index == kind.fields.size()) {
      problem = "no parameter is called '" + std::string(name) + "'";
      return false;
    }
    if (kind.fields[index].type == FieldType::None) {
      problem = "'" + std::string(name) + "' has a column of its own and cannot be part of a sentence";
      return false;
    }
    Part part{std::move(literal), index, Format::Plain, 0};
    const std::string_view format =
        colon == std::string_view::npos ? std::string_view() : inner.substr(colon + 1);
    const bool number = kind.fields[index].type != FieldType::Name &&
                        kind.fields[index].type != FieldType::Bool;
    if (format.empty()) {
      part.format = Format::Plain;
    } else if (format == "ns") {
      part.format = Format::Nanoseconds;
    } else if (format == "bytes") {
      part.format = Format::Bytes;
    } else if (format == "%") {
      part.format = Format::Percent;
    } else if (format.size() == 3 && format[0] == '.' && format[1] >= '0' && format[1] <= '9' &&
               format[2] == 'f') {
      part.format = Format::Decimals;
      part.decimals = format[1] - '0';
    } else {
      problem = "unknown format ':" + std::string(format) + "' (ns, bytes, %, .0f to .9f)";
      return false;
    }
    if (part.format != Format::Plain && !number) {
      problem = "'" + std::string(name) + "' is not a number";
      return false;
    }
    parts_.push_back(std::move(part));
    return true;
  }

  static double as_real(const Value& value) {
    if (value.type == ValueType::Float) return value.real;
    if (value.type == ValueType::UInt) return static_cast<double>(value.natural);
    return static_cast<double>(value.integer);
  }

  static void append_formatted(TextOut& out, const Part& part, const Value& value) {
    if (part.format == Format::Plain || !value.present()) {
      append_value(out, value);
      return;
    }
    switch (part.format) {
      case Format::Nanoseconds: append_scaled(out, value, kTimes, std::size(kTimes)); return;
      case Format::Bytes: append_scaled(out, value, kBytes, std::size(kBytes)); return;
      case Format::Percent:
        append_decimals(out, as_real(value) * 100, 1);
        out.put(" %");
        return;
      default: append_decimals(out, as_real(value), part.decimals);
    }
  }

  static void append_decimals(TextOut& out, double value, int decimals) {
    char text[400];
    const auto end =
        std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, decimals).ptr;
    out.put(std::string_view(text, static_cast<std::size_t>(end - text)));
  }

  struct Unit {
    std::uint64_t size;
    std::string_view name;
  };
  static constexpr Unit kTimes[] = {
      {1'000'000'000, " s"}, {1'000'000, " ms"}, {1'000, " us"}, {1, " ns"}};
  static constexpr Unit kBytes[] = {
      {1ull << 40, " TB"}, {1ull << 30, " GB"}, {1ull << 20, " MB"}, {1ull << 10, " KB"}, {1, " B"}};

  // One decimal of the largest unit that gives at least 1; ".0" is left out.
  static void append_scaled(TextOut& out, const Value& value, const Unit* units, std::size_t count) {
    bool negative = false;
    std::uint64_t size = 0;
    if (value.type == ValueType::Float) {
      const double rounded = std::nearbyint(std::fabs(value.real));
      if (!(rounded < 1e18)) {  // NaN, infinities, beyond 64 bits
        append_value(out, value);
        out.put(units[count - 1].name);
        return;
      }
      negative = value.real < 0;
      size = static_cast<std::uint64_t>(rounded);
    } else if (value.type == ValueType::Int) {
      negative = value.integer < 0;
      size = negative ? 0 - static_cast<std::uint64_t>(value.integer)
                      : static_cast<std::uint64_t>(value.integer);
    } else {
      size = value.natural;
    }
    std::size_t at = 0;
    while (at < count - 1 && size < units[at].size) ++at;
    const std::uint64_t unit = units[at].size;
    std::uint64_t whole = size / unit;
    std::uint64_t tenths = (size % unit * 10 + unit / 2) / unit;
    if (tenths == 10) {
      ++whole;
      tenths = 0;
    }
    if (negative) out.put('-');
    out.put_int(whole);
    if (tenths > 0) {
      out.put('.');
      out.put_int(tenths);
    }
    out.put(units[at].name);
  }

  std::vector<Part> parts_;
};

}  // namespace whence
