// Turns the words and text of one slot back into what was recorded.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "blank.hpp"
#include "catalogue.hpp"
#include "layout.hpp"
#include "request.hpp"
#include "values.hpp"

namespace whence {

struct DecodedOption {
  std::string_view name;
  std::string_view reason;
  bool chosen = false;
  std::vector<std::pair<std::string_view, double>> scores;
};

struct DecodedLink {
  TraceId trace;
  std::uint64_t span_id = 0;
  std::vector<std::pair<std::string_view, Value>> attributes;
};

enum class SpanStatus : std::uint8_t { None = 0, Ok = 1, Error = 2 };

// One event. Views point into the text block, the catalogue, or this object's own strings.
struct DecodedEvent {
  const KnownKind* kind = nullptr;  // null: the dictionary does not know it
  std::string_view event_type;
  std::string_view component;
  std::string event_id;  // of a built event; else empty, and the place gives it
  std::uint64_t time_ns = 0;
  std::int64_t duration_ns = 0;
  std::string_view model;
  std::string request_id;
  std::array<std::uint64_t, 2> request_words{};
  std::string_view chain_id;  // empty: the request's
  std::string_view rationale;
  std::string_view caused_by;
  std::uint64_t lineage_id = 0;
  std::uint64_t threshold = 0;
  TraceId trace;  // of the event itself; else the request's, see trace_of()
  std::uint64_t span_id = 0;  // its own id; of an event that is none, that of the span around it
  std::uint64_t parent_span_id = 0;
  std::string_view status_message;
  std::vector<DecodedLink> links;
  std::vector<Value> fields;                                       // one per field of the kind
  std::vector<std::pair<std::string_view, Value>> attributes;      // fields first
  std::vector<DecodedOption> options;
  RequestForm request_form = RequestForm::None;
  SpanStatus status = SpanStatus::None;
  std::uint8_t severity = 1;
  bool request_lost = false;  // Long form whose id was overtaken
  bool decision = false;
  bool text_lost = false;
  bool truncated = false;
  bool span = false;
};

// The trace that an event belongs to; `request` is its request's full id, "" if that is lost.
inline TraceId trace_of(const DecodedEvent& event, std::string_view request, std::uint64_t run) {
  if (event.trace) return event.trace;
  return trace_of_request(event.request_form, event.request_words.data(), request, run);
}

// Reuses its buffers from event to event. Never fails: what is damaged is left out.
class EventDecoder {
 public:
  // `text` is the block without its header, null when there is none or it is lost.
  const DecodedEvent& decode(const Catalogue& catalogue,
                             const std::array<std::uint64_t, kSlotWords>& words,
                             const std::byte* text, std::size_t text_bytes, bool text_lost) {
    reset(words, text_lost);
    const std::uint64_t tag = words[kTagWord];
    const auto kind_id = static_cast<std::uint16_t>(tag & kTagKindMask);
    event_.kind = catalogue.kind(kind_id);
    read_kind(kind_id, tag);
    ByteReader reader(text, text != nullptr ? text_bytes : 0);
    read_image(catalogue, words, reader, tag);
    // Of an unknown kind it is not known where the entries begin, after how long an image.
    if (text != nullptr && (event_.kind != nullptr || are_entries(reader))) read_entries(catalogue, reader);
    finish_fields();
    return event_;
  }

 private:
  void reset(const std::array<std::uint64_t, kSlotWords>& words, bool text_lost) {
    const std::uint64_t tag = words[kTagWord];
    event_.event_id.clear();
    // each by itself: what was just stored in parts is slow to copy
    event_.rationale = {};
    event_.model = {};
    event_.chain_id = {};
    event_.caused_by = {};
    event_.time_ns = words[kTimeWord] & INT64_MAX;  // only damage sets the highest bit
    event_.duration_ns = 0;
    event_.lineage_id = 0;
    event_.text_lost = text_lost;
    event_.truncated = tag & kTagTruncated;
    event_.threshold = tag >> kTagThresholdShift;
    event_.fields.clear();
    event_.attributes.clear();
    event_.options.clear();
    const auto form = static_cast<RequestForm>((tag >> kTagRequestShift) & 3);
    event_.request_words = {words[kRequestWord], words[kRequestWord + 1]};
    decode_request(form, event_.request_words.data(), event_.request_id);
    event_.request_lost = form == RequestForm::Long;
    event_.request_form = form;
    event_.trace = {};
    if ((tag & kTagTrace) && form == RequestForm::None) event_.trace.words = event_.request_words;
    event_.span_id = event_.parent_span_id = 0;
    event_.status = SpanStatus::None;
    event_.status_message = {};
    event_.links.clear();
    absent_ = 0;
  }

  void read_kind(std::uint16_t kind_id, std::uint64_t tag) {
    const std::uint64_t severity = (tag & kTagSeverityMask) >> kTagSeverityShift;
    if (event_.kind == nullptr) {
      unknown_ = "unknown-kind-" + std::to_string(kind_id);
      event_.event_type = unknown_;
      event_.component = "unknown";
      event_.decision = event_.span = false;
      event_.severity = severity > 0 ? static_cast<std::uint8_t>(severity - 1) : 1;
      return;
    }
    const KindSchema& schema = event_.kind->schema;
    event_.event_type = schema.name;
    event_.component = schema.component;
    event_.decision = schema.decision;
    event_.span = schema.span;
    event_.severity = severity > 0 ? static_cast<std::uint8_t>(severity - 1) : schema.severity;
  }

  // The image lies in words 5-7, or in words 5-6 and the start of the text block.
  void read_image(const Catalogue& catalogue, const std::array<std::uint64_t, kSlotWords>& words,
                  ByteReader& reader, std::uint64_t tag) {
    if (event_.kind == nullptr) return;
    const KindSchema& schema = event_.kind->schema;
    const bool inline_span = (tag & kTagSpan) && !(tag & kTagText);
    if (inline_span && schema.image_bytes <= kFieldBytesWithText) event_.span_id = words[kTextWord];
    std::memcpy(image_, &words[kFieldWord], kInlineFieldBytes);
    std::size_t known = kInlineFieldBytes;
    if (tag & kTagText) {
      known = kFieldBytesWithText;
      if (schema.image_bytes > known) {
        const std::size_t rest = schema.image_bytes - kFieldBytesWithText;
        if (const std::byte* at = reader.take_bytes(rest)) {
          std::memcpy(image_ + known, at, rest);
          known += rest;
        }
      }
    }
    event_.fields.resize(schema.fields.size());
    for (std::size_t i = 0; i < schema.fields.size(); ++i)
      read_field(catalogue, schema.fields[i], known, event_.fields[i]);
  }

  // Into the value's place, which is fresh: to copy it right after its parts were stored is slow.
  void read_field(const Catalogue& catalogue, const Field& field, std::size_t known, Value& value) const {
    if (field.type == FieldType::None) return;
    const std::byte* at = image_ + field.offset;
    const std::size_t bytes = field_bytes(field.type);
    // Which fields were absent stood in the text: without it an optional zero may be either.
    if (field.offset + bytes > known || (event_.text_lost && field.optional && all_zero(at, bytes))) {
      value.type = ValueType::Lost;
      return;
    }
    switch (field.type) {
      case FieldType::Bool:
        value.type = ValueType::Bool;
        value.truth = *at != std::byte{0};
        return;
      case FieldType::U8: read_natural(at, 1, value); return;
      case FieldType::U32: read_natural(at, 4, value); return;
      case FieldType::U64: read_natural(at, 8, value); return;
      case FieldType::I64:
        value.type = ValueType::Int;
        std::memcpy(&value.integer, at, 8);
        return;
      case FieldType::F64:
        value.type = ValueType::Float;
        std::memcpy(&value.real, at, 8);
        return;
      case FieldType::F32: {
        float narrow = 0;
        std::memcpy(&narrow, at, 4);
        value.type = ValueType::Float;
        value.real = narrow;
        return;
      }
      case FieldType::Name: read_name(catalogue, at, value); return;
      case FieldType::None: return;
    }
  }

  static bool all_zero(const std::byte* at, std::size_t bytes) {
    return std::all_of(at, at + bytes, [](std::byte byte) { return byte == std::byte{0}; });
  }

  static void read_natural(const std::byte* at, std::size_t bytes, Value& value) {
    value.type = ValueType::UInt;
    value.natural = 0;
    std::memcpy(&value.natural, at, bytes);
  }

  static void read_name(const Catalogue& catalogue, const std::byte* at, Value& value) {
    std::uint16_t id = 0;
    std::memcpy(&id, at, 2);
    value.type = ValueType::Lost;  // until an entry of the text block brings it
    if (id == kNameInText) return;
    const std::string_view name = catalogue.name(id);
    if (name.data() == nullptr) return;
    value.type = ValueType::Text;
    value.text = name;
  }

  // Do the bytes read as entries to their very end?
  static bool are_entries(ByteReader reader) {
    while (reader.left() >= kEntryHeaderBytes) {
      const bool at_end = reader.left() < 8;
      const auto entry = reader.take<std::uint8_t>();
      reader.take<std::uint8_t>();
      if (entry == 0) return at_end;
      if (entry > static_cast<std::uint8_t>(Entry::Parent)) return false;
      if (reader.take_bytes(reader.take<std::uint32_t>()) == nullptr) return false;
    }
    return true;
  }

  void read_entries(const Catalogue& catalogue, ByteReader& reader) {
    while (reader.left() >= kEntryHeaderBytes) {
      const auto entry = static_cast<Entry>(reader.take<std::uint8_t>());
      const auto index = reader.take<std::uint8_t>();
      const auto length = reader.take<std::uint32_t>();
      if (static_cast<std::uint8_t>(entry) == 0) return;  // padding
      const std::byte* data = reader.take_bytes(length);
      if (data == nullptr) return;
      read_entry(catalogue, entry, index, ByteReader(data, length));
    }
  }

  void read_entry(const Catalogue& catalogue, Entry entry, std::uint8_t index, ByteReader reader) {
    const std::size_t length = reader.left();
    switch (entry) {
      case Entry::FieldText:
        if (index < event_.fields.size()) {
          event_.fields[index].type = ValueType::Text;
          event_.fields[index].text = reader.take_text(length);
        }
        return;
      case Entry::Request: {  // compared: text that was misread must not give it another request
        const std::string_view id = reader.take_text(length);
        if (encode_request(id, catalogue.request_seed()).words != event_.request_words) return;
        event_.request_id = id;
        event_.request_lost = false;
        return;
      }
      case Entry::Chain: event_.chain_id = reader.take_text(length); return;
      case Entry::Rationale: event_.rationale = reader.take_text(length); return;
      case Entry::Attribute: read_attribute(static_cast<AttributeType>(index), reader); return;
      case Entry::Option: read_option(index != 0, reader); return;
      case Entry::CausedBy: event_.caused_by = reader.take_text(length); return;
      case Entry::EventId:
        if (index != 0)
          event_.event_id = reader.take_text(length);
        else if (const std::byte* bytes = reader.take_bytes(16))
          event_.event_id = format_uuid(reinterpret_cast<const std::uint8_t*>(bytes));
        return;
      case Entry::Model:
        event_.model = index != 0 ? reader.take_text(length)
                                  : catalogue.name(reader.take<std::uint16_t>());
        return;
      case Entry::Duration: event_.duration_ns = reader.take<std::int64_t>(); return;
      case Entry::Lineage: event_.lineage_id = reader.take<std::uint64_t>(); return;
      case Entry::Absent: absent_ = reader.take<std::uint64_t>(); return;
      case Entry::EventType: event_.event_type = reader.take_text(length); return;
      case Entry::Component: event_.component = reader.take_text(length); return;
      case Entry::Trace:
        if (const std::byte* bytes = reader.take_bytes(16)) std::memcpy(event_.trace.words.data(), bytes, 16);
        return;
      case Entry::Span: event_.span_id = reader.take<std::uint64_t>(); return;
      case Entry::Parent: event_.parent_span_id = reader.take<std::uint64_t>(); return;
      case Entry::Link: read_link(reader); return;
      case Entry::Status:
        if (index == 1 || index == 2) event_.status = static_cast<SpanStatus>(index);
        event_.status_message = reader.take_text(length);
        return;
      case Entry::Truncated: return;  // the tag says it already
    }
  }

  void read_attribute(AttributeType type, ByteReader& reader) {
    const std::string_view key = reader.take_text(reader.take<std::uint16_t>());
    const Value value = read_value(type, reader);
    if (reader.ok() && value.present()) event_.attributes.emplace_back(key, value);  // else: no type of ours
  }

  void read_link(ByteReader& reader) {
    DecodedLink link;
    if (const std::byte* bytes = reader.take_bytes(16)) std::memcpy(link.trace.words.data(), bytes, 16);
    link.span_id = reader.take<std::uint64_t>();
    while (reader.ok() && reader.left() > 0) {
      const auto type = static_cast<AttributeType>(reader.take<std::uint8_t>());
      const auto key_bytes = reader.take<std::uint16_t>();
      const auto value_bytes = reader.take<std::uint32_t>();
      const std::string_view key = reader.take_text(key_bytes);
      const std::byte* data = reader.take_bytes(value_bytes);
      if (data == nullptr) break;
      ByteReader part(data, value_bytes);
      const Value value = read_value(type, part);
      if (part.ok() && value.present()) link.attributes.emplace_back(key, value);
    }
    if (reader.ok()) event_.links.push_back(std::move(link));
  }

  static Value read_value(AttributeType type, ByteReader& reader) {
    Value value;
    switch (type) {
      case AttributeType::Int:
        value.type = ValueType::Int;
        value.integer = reader.take<std::int64_t>();
        break;
      case AttributeType::Float:
        value.type = ValueType::Float;
        value.real = reader.take<double>();
        break;
      case AttributeType::Bool:
        value.type = ValueType::Bool;
        value.truth = reader.take<std::uint8_t>() != 0;
        break;
      case AttributeType::Text:
        value.type = ValueType::Text;
        value.text = reader.take_text(reader.left());
        break;
    }
    return value;
  }

  void read_option(bool chosen, ByteReader& reader) {
    DecodedOption option;
    option.chosen = chosen;
    option.name = reader.take_text(reader.take<std::uint16_t>());
    option.reason = reader.take_text(reader.take<std::uint16_t>());
    const auto scores = reader.take<std::uint8_t>();
    for (unsigned i = 0; i < scores && reader.ok(); ++i) {
      const std::string_view key = reader.take_text(reader.take<std::uint16_t>());
      option.scores.emplace_back(key, reader.take<double>());
    }
    if (reader.ok()) event_.options.push_back(std::move(option));
  }

  // Well-known parameters go to their columns, the others become attributes.
  void finish_fields() {
    if (event_.kind == nullptr) return;
    const std::vector<Field>& fields = event_.kind->schema.fields;
    const std::size_t from_entries = event_.attributes.size();
    for (std::size_t i = 0; i < event_.fields.size(); ++i) {
      Value& value = event_.fields[i];
      if (absent_ >> i & 1) value.type = ValueType::Absent;
      if (!value.present()) continue;
      switch (fields[i].role) {
        case FieldRole::Model: event_.model = value.text; break;
        case FieldRole::Rationale: event_.rationale = value.text; break;
        case FieldRole::Duration:
          if (value.type == ValueType::Int) event_.duration_ns = value.integer;
          break;
        case FieldRole::Lineage:
          if (value.type == ValueType::UInt && value.natural != 0) event_.lineage_id = value.natural;
          break;
        case FieldRole::Span:
          if (value.type == ValueType::UInt) event_.span_id = value.natural;
          break;
        case FieldRole::Parent:
          if (value.type == ValueType::UInt) event_.parent_span_id = value.natural;
          break;
        default: event_.attributes.emplace_back(fields[i].name, value);
      }
    }
    if (from_entries > 0)  // declared fields first
      std::rotate(event_.attributes.begin(),
                  event_.attributes.begin() + static_cast<std::ptrdiff_t>(from_entries),
                  event_.attributes.end());
    if (!event_.kind->rationale.empty() && is_blank(event_.rationale)) {
      rendered_.clear();
      event_.kind->rationale.render(event_.fields, rendered_);
      event_.rationale = rendered_.view();
    }
  }

  DecodedEvent event_;
  TextOut rendered_;
  std::string unknown_;
  std::uint64_t absent_ = 0;
  alignas(8) std::byte image_[kMaxImageBytes] = {};
};

}  // namespace whence
