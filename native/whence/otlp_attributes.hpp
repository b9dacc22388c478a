// An event's own attributes on their way out: renamed by the table, each name once, within a limit.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "decode.hpp"
#include "otlp_notation.hpp"
#include "otlp_table.hpp"

namespace whence::otlp {

// The kinds of span by their numbers.
inline constexpr std::array<std::string_view, 6> kSpanKinds = {"",       "internal", "server",
                                                               "client", "producer", "consumer"};
constexpr std::uint32_t kInternalSpan = 1;

struct AttributeName {
  std::string_view text;
  bool taken = false;    // no name, or one of our own: cannot be written
  bool is_text = false;  // even of a number
};

struct OwnAttribute {
  std::string_view name;
  const Value* value;
  bool is_text;
};

// What the fields of a kind are called.
struct KindNames {
  const std::unordered_map<std::string, std::string>* special = nullptr;  // of this kind alone
  std::vector<std::pair<const char*, AttributeName>> fields;              // by where the declared name lies
  bool gen_ai = false;
};

// What attributes said that has a field of its own in a span.
struct SpanFields {
  std::uint32_t kind = kInternalSpan;
  std::uint32_t dropped_attributes = 0;
  std::uint32_t dropped_events = 0;
  std::uint32_t dropped_links = 0;
};

class OwnAttributes {
 public:
  OwnAttributes(const Table& table, const Limits& limits) : table_(table), limits_(limits) {}

  KindNames names_of(const DecodedEvent& event) {
    KindNames kind;
    const auto found = table_.kinds.find(std::string(event.event_type));
    kind.special = found != table_.kinds.end() ? &found->second : nullptr;
    repaired_.clear();
    if (event.kind == nullptr) return kind;
    for (const Field& field : event.kind->schema.fields) {
      AttributeName name = name_of(kind, field.name);
      if (!repaired_.empty()) {  // kept as long as the kind's other parts
        lasting_.push_back(std::move(repaired_.back()));
        repaired_.clear();
        name.text = lasting_.back();
      }
      kind.fields.emplace_back(field.name.data(), name);
      kind.gen_ai |= name.text.starts_with(kGenAi);
    }
    return kind;
  }

  // Takes an event's attributes, a later value in the place of an earlier one of its name. Returns
  // how many are left out: nameless, named like a column of ours, or beyond the limit.
  std::size_t collect(const KindNames& kind, const DecodedEvent& event, bool as_span) {
    attributes_.clear();
    repaired_.clear();
    span_fields_ = {};
    std::size_t dropped = 0;
    for (const auto& [key, value] : event.attributes) {
      const AttributeName name = name_of(kind, key);
      if (name.taken) {
        ++dropped;
        continue;
      }
      if (name.text.starts_with(kOtel) && is_span_field(name.text, value, as_span)) continue;
      const auto same = [&](const OwnAttribute& other) { return other.name == name.text; };
      const auto found = std::find_if(attributes_.begin(), attributes_.end(), same);
      if (found != attributes_.end())
        found->value = &value;
      else if (attributes_.size() < limits_.most_attributes)
        attributes_.push_back({name.text, &value, name.is_text});
      else
        ++dropped;
    }
    return dropped + span_fields_.dropped_attributes;
  }

  // Of the event collected last.
  const std::vector<OwnAttribute>& attributes() const { return attributes_; }
  const SpanFields& span_fields() const { return span_fields_; }

  // What its model is called: otherwise where it is about generative AI.
  Column model_column(const KindNames& kind) const {
    bool gen_ai = kind.gen_ai;
    for (const OwnAttribute& attribute : attributes_) {
      if (attribute.name == table_[kGenAiModel]) return kModelId;
      gen_ai |= attribute.name.starts_with(kGenAi);
    }
    return gen_ai ? kGenAiModel : kModelId;
  }

 private:
  static constexpr std::string_view kGenAi = "gen_ai.";
  static constexpr std::string_view kOtel = "otel.";

  AttributeName name_of(const KindNames& kind, std::string_view declared) {
    for (const auto& [at, name] : kind.fields)
      if (at == declared.data()) return name;
    lookup_.assign(declared);
    std::string_view found = declared;
    if (const auto general = table_.attributes.find(lookup_); general != table_.attributes.end())
      found = general->second;
    if (kind.special != nullptr)
      if (const auto own = kind.special->find(lookup_); own != kind.special->end()) found = own->second;
    found = valid_name(found);
    const bool is_text = !table_.texts.empty() && table_.texts.contains(lookup_.assign(found));
    return {found, found.empty() || table_.is_column(found), is_text};
  }

  // Names that are not UTF-8 are kept, repaired, until the next event.
  std::string_view valid_name(std::string_view name) {
    const std::string_view valid = valid_utf8(name, scratch_);
    if (valid.data() == name.data()) return name;
    repaired_.emplace_back(valid);
    return repaired_.back();
  }

  // What an OpenTelemetry program recorded through us goes back to the field it came from.
  bool is_span_field(std::string_view name, const Value& value, bool as_span) {
    if (value.type == ValueType::Int && value.integer >= 0 && value.integer <= INT32_MAX) {
      const auto count = static_cast<std::uint32_t>(value.integer);
      if (name == table_[kOtelDroppedAttributes]) return span_fields_.dropped_attributes = count, true;
      if (as_span && name == table_[kOtelDroppedEvents]) return span_fields_.dropped_events = count, true;
      if (as_span && name == table_[kOtelDroppedLinks]) return span_fields_.dropped_links = count, true;
    }
    if (!as_span || name != table_[kOtelSpanKind] || value.type != ValueType::Text) return false;
    const auto found = std::find(kSpanKinds.begin() + 1, kSpanKinds.end(), value.text);
    if (found == kSpanKinds.end()) return false;
    span_fields_.kind = static_cast<std::uint32_t>(found - kSpanKinds.begin());
    return true;
  }

  const Table& table_;
  const Limits& limits_;
  std::vector<OwnAttribute> attributes_;
  SpanFields span_fields_;
  std::deque<std::string> repaired_;  // names of this event's attributes
  std::deque<std::string> lasting_;   // names of fields
  std::string lookup_;
  TextOut scratch_;
};

}  // namespace whence::otlp
