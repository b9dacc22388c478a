// The attributes of one record on their way into the columns: each name once, within limits.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_columns.hpp"
#include "otlp_in_names.hpp"
#include "otlp_in_values.hpp"

namespace whence::otlp {

inline constexpr std::string_view kJsonNames = "whence.json";  // as model/nested.py has them
inline constexpr std::string_view kCut = "whence.cut";
inline constexpr std::string_view kGiven = "whence.given.";

class AttributesIn {
 public:
  AttributesIn(const InNames& names, const InLimits& limits) : names_(names), limits_(limits), json_(limits) {}

  // A record's attributes begin; of one that we sent ourselves names are what they were.
  void begin(arrow::Chunk& to, bool own) {
    to_ = &to;
    own_ = own;
    keys_.clear();
    as_json_.clear();
    cut_ = 0;
    kept_.clear();
    event_type_ = {};
  }

  // The type of the event, for fields that are named by it.
  void of_type(std::string_view event_type) { event_type_ = event_type; }

  void add(const PairIn& pair) { add(pair.key, read_any(pair.value)); }

  void add(std::string_view given, const AnyIn& value) {
    if (keys_.size() >= limits_.attributes || given.size() > limits_.key_bytes) {
      ++cut_;
      return;
    }
    std::string_view key = given;
    if (own_)
      key = names_.field_of(event_type_, given);
    else if (given.empty() || given == kJsonNames || given == kCut || given.starts_with(kGiven))
      key = keep(std::string(kGiven).append(given));
    if (!arrow::is_utf8(key)) [[unlikely]] key = keep(arrow::repaired(key));
    if (has(key)) {
      ++cut_;  // names are to be unique: the first one counts
      return;
    }
    keys_.push_back(key);
    switch (value.type) {
      case AnyIn::Text: add_text(key, given, value.bytes); return;
      case AnyIn::Bool: to_->attr_bool.add(key, value.integer != 0); return;
      case AnyIn::Int: to_->attr_int.add(key, value.integer); return;
      case AnyIn::Real: to_->attr_num.add(key, value.real); return;
      default: break;
    }
    text_.clear();
    if (!json_.write(text_, value)) {
      ++cut_;
      keys_.pop_back();
      return;
    }
    to_->attr_str.add(key, text_.view());
    as_json_.push_back(key);
  }

  void add_text(std::string_view key, std::string_view text) {
    AnyIn value;
    value.type = AnyIn::Text;
    value.bytes = text;
    add(key, value);
  }
  void add_integer(std::string_view key, std::int64_t integer) {
    AnyIn value;
    value.type = AnyIn::Int;
    value.integer = integer;
    add(key, value);
  }

  void note_cut(std::size_t count) { cut_ += count; }

  // All of them are in. Returns how many values were cut or left out.
  std::size_t end() {
    cut_ += json_.take_cut();
    if (!as_json_.empty() && !has(kJsonNames)) {
      text_.clear();
      for (const std::string_view key : as_json_) {
        text_.put(text_.empty() ? '[' : ',');
        append_json_string(text_, key);
      }
      text_.put(']');
      to_->attr_str.add(kJsonNames, text_.view());
    }
    if (cut_ > 0 && !has(kCut)) to_->attr_int.add(kCut, static_cast<std::int64_t>(cut_));
    to_->attr_int.end_row();
    to_->attr_num.end_row();
    to_->attr_str.end_row();
    to_->attr_bool.end_row();
    to_->attr_uint.end_row();
    return cut_;
  }

 private:
  void add_text(std::string_view key, std::string_view given, std::string_view text) {
    if (own_ && !names_.table().texts.empty() && given.starts_with("whence.") && add_id(key, given, text)) return;
    const std::string_view kept = within(text, limits_.value_bytes);
    cut_ += kept.size() != text.size();
    to_->attr_str.add(key, kept);
  }

  // 64-bit ids went out as text.
  bool add_id(std::string_view key, std::string_view given, std::string_view text) {
    lookup_.assign(given);
    if (!names_.table().texts.contains(lookup_)) return false;
    std::uint64_t natural = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), natural);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return false;
    (natural > INT64_MAX ? to_->attr_uint : to_->attr_int).add(key, static_cast<std::int64_t>(natural));
    return true;
  }

  bool has(std::string_view key) const {
    return std::find(keys_.begin(), keys_.end(), key) != keys_.end();  // an empty key may be null
  }

  std::string_view keep(std::string name) {
    if (kept_.capacity() == 0) kept_.reserve(2 * limits_.attributes + 2);  // views into it stay
    kept_.push_back(std::move(name));
    return kept_.back();
  }

  const InNames& names_;
  const InLimits& limits_;
  JsonIn json_;
  arrow::Chunk* to_ = nullptr;
  bool own_ = false;
  std::string_view event_type_;
  std::vector<std::string_view> keys_;
  std::vector<std::string_view> as_json_;
  std::vector<std::string> kept_;
  std::size_t cut_ = 0;
  TextOut text_;
  std::string lookup_;
};

}  // namespace whence::otlp
