// Two ways to write the same OTLP message: Protocol Buffers and the JSON of OTLP files.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "json.hpp"
#include "protozero/basic_pbf_writer.hpp"
#include "text_out.hpp"
#include "values.hpp"

// The buffer that protozero writes into is ours.
template <>
struct protozero::buffer_customization<whence::TextOut> {
  using TextOut = whence::TextOut;
  static std::size_t size(const TextOut* out) { return out->size(); }
  static void append(TextOut* out, const char* data, std::size_t bytes) { out->put(std::string_view(data, bytes)); }
  static void append_zeros(TextOut* out, std::size_t bytes) { std::memset(out->extend(bytes), 0, bytes); }
  static void resize(TextOut* out, std::size_t bytes) { out->cut(bytes); }
  static void reserve_additional(TextOut*, std::size_t) {}
  static void erase_range(TextOut* out, std::size_t from, std::size_t to) { out->close_gap(from, to); }
  static char* at_pos(TextOut* out, std::size_t place) { return out->at(place); }
  static void push_back(TextOut* out, char c) { out->put(c); }
};

namespace whence::otlp {

// A field of a message: its number, and its name in JSON.
struct Tag {
  std::uint32_t number;
  std::string_view name;
};

// KeyValue, AnyValue, ArrayValue and KeyValueList.
inline constexpr Tag kKey{1, "key"};
inline constexpr Tag kValue{2, "value"};
inline constexpr Tag kString{1, "stringValue"};
inline constexpr Tag kBool{2, "boolValue"};
inline constexpr Tag kInt{3, "intValue"};
inline constexpr Tag kDouble{4, "doubleValue"};
inline constexpr Tag kArray{5, "arrayValue"};
inline constexpr Tag kKeyValues{6, "kvlistValue"};
inline constexpr Tag kValues{1, "values"};

inline bool is_ascii(std::string_view text) {
  constexpr std::uint64_t kHighs = 0x8080808080808080ull;
  std::uint64_t word = 0;
  std::uint64_t all = 0;
  if (text.size() < 8) {
    for (const char c : text) all |= static_cast<unsigned char>(c);
    return (all & 0x80) == 0;
  }
  for (std::size_t at = 0; at + 8 <= text.size(); at += 8) {
    std::memcpy(&word, text.data() + at, 8);
    all |= word;
  }
  std::memcpy(&word, text.data() + text.size() - 8, 8);
  return ((all | word) & kHighs) == 0;
}

// The text as receivers must have it, since one bad byte makes them refuse a whole request.
// What is not UTF-8 becomes U+FFFD, in `scratch`.
[[gnu::noinline]] inline std::string_view repaired_utf8(std::string_view text, TextOut& scratch) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t length = whence::detail::utf8_length(text, at);
    if (length == 0) break;
    at += length;
  }
  if (at == text.size()) return text;
  scratch.clear();
  scratch.put(text.substr(0, at));
  while (at < text.size()) {
    const std::size_t length = whence::detail::utf8_length(text, at);
    scratch.put(length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(at, length));
    at += length == 0 ? 1 : length;
  }
  return scratch.view();
}
inline std::string_view valid_utf8(std::string_view text, TextOut& scratch) {
  return is_ascii(text) ? text : repaired_utf8(text, scratch);
}

// What stands around records: a resource and a scope. `schema` is the field of both.
struct FrameParts {
  std::string_view resource;
  std::string_view scope;
  std::string_view schema;
  std::size_t records_bytes;
};
struct Frame {
  TextOut before;
  TextOut after;
};

// ---------------------------------------------------------------- Protocol Buffers

class ProtoList;

// Nothing is written to a message while one inside it is open. An empty inner one vanishes.
class ProtoMessage {
 public:
  using List = ProtoList;

  explicit ProtoMessage(TextOut& out) : out_(&out), writer_(out) {}
  ProtoMessage(ProtoMessage& parent, Tag tag) : out_(parent.out_), writer_(parent.writer_, tag.number) {}

  void text(Tag tag, std::string_view text) {
    const std::string_view valid = is_ascii(text) ? text : repaired_utf8(text, scratch());
    writer_.add_bytes(tag.number, valid.data(), valid.size());
  }
  void id(Tag tag, std::string_view bytes) { writer_.add_bytes(tag.number, bytes.data(), bytes.size()); }
  void fixed64(Tag tag, std::uint64_t value) { writer_.add_fixed64(tag.number, value); }
  void fixed32(Tag tag, std::uint32_t value) { writer_.add_fixed32(tag.number, value); }
  void small(Tag tag, std::uint32_t value) { writer_.add_uint32(tag.number, value); }  // enums, counts, bools
  void truth(Tag tag, bool value) { small(tag, value); }
  void integer(Tag tag, std::int64_t value) { writer_.add_int64(tag.number, value); }
  void real(Tag tag, double value) { writer_.add_double(tag.number, value); }
  ProtoMessage message(Tag tag) { return {*this, tag}; }
  inline ProtoList list(Tag tag);

  // Whole requests and items as they were written before.
  static std::string_view request_begin(Tag, TextOut&) { return {}; }
  static std::string_view request_end() { return {}; }
  static constexpr std::string_view kBetween{};
  static std::string_view items_of(std::string_view message, Tag) { return message; }
  static inline std::string_view item_begin(char (&head)[16], Tag tag, std::size_t bytes);
  static std::string_view fields_of(std::string_view message) { return message; }
  static void frame(Frame& out, Tag group, Tag scoped, Tag records, const FrameParts& parts);

 private:
  friend class ProtoList;
  static TextOut& scratch() {
    static thread_local TextOut text;
    return text;
  }
  TextOut* out_;
  protozero::basic_pbf_writer<TextOut> writer_;
};

// A repeated field.
class ProtoList {
 public:
  using Message = ProtoMessage;

  ProtoList(ProtoMessage& parent, Tag tag) : parent_(parent), tag_(tag) {}

  ProtoMessage item() { return {parent_, tag_}; }
  void items(std::string_view items) { parent_.out_->put(items); }

  // A KeyValue of a scalar: its lengths are known beforehand, so nothing has to be moved.
  void attribute(std::string_view key, const Value& value) {
    std::string_view text = value.text;
    std::size_t inner = 2;
    if (value.type == ValueType::Text) {
      if (!is_ascii(text)) text = repaired_utf8(text, ProtoMessage::scratch());
      inner = 1 + varint_bytes(text.size()) + text.size();
    } else if (value.type == ValueType::Int) {
      inner = 1 + varint_bytes(static_cast<std::uint64_t>(value.integer));
    } else if (value.type == ValueType::Float) {
      inner = 9;
    }
    const std::size_t whole = 1 + varint_bytes(key.size()) + key.size() + 1 + varint_bytes(inner) + inner;
    char* at = parent_.out_->extend(1 + varint_bytes(whole) + whole);
    at = begin_bytes(at, tag_, whole);
    at = begin_bytes(at, kKey, key.size());
    at = TextOut::copy(at, key);
    at = begin_bytes(at, kValue, inner);
    switch (value.type) {
      case ValueType::Int:
        *at++ = tag_byte(kInt, protozero::pbf_wire_type::varint);
        protozero::add_varint_to_buffer(at, static_cast<std::uint64_t>(value.integer));
        break;
      case ValueType::Float:
        *at++ = tag_byte(kDouble, protozero::pbf_wire_type::fixed64);
        std::memcpy(at, &value.real, 8);
        break;
      case ValueType::Bool:
        *at++ = tag_byte(kBool, protozero::pbf_wire_type::varint);
        *at = value.truth ? 1 : 0;
        break;
      default: TextOut::copy(begin_bytes(at, kString, text.size()), text);
    }
  }

 private:
  friend class ProtoMessage;
  // 1 for values below 2^7, 2 below 2^14 ...
  static std::size_t varint_bytes(std::uint64_t value) {
    return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
  }
  static char tag_byte(Tag tag, protozero::pbf_wire_type type) {
    return static_cast<char>(tag.number << 3 | static_cast<unsigned>(type));
  }
  // Writes a tag and a length; what follows goes to the place returned.
  static char* begin_bytes(char* at, Tag tag, std::size_t bytes) {
    *at++ = tag_byte(tag, protozero::pbf_wire_type::length_delimited);
    return at + protozero::add_varint_to_buffer(at, bytes);
  }

  ProtoMessage& parent_;
  Tag tag_;
};

inline ProtoList ProtoMessage::list(Tag tag) { return {*this, tag}; }

// What stands before an item that is there already, in its list.
inline std::string_view ProtoMessage::item_begin(char (&head)[16], Tag tag, std::size_t bytes) {
  return {head, static_cast<std::size_t>(ProtoList::begin_bytes(head, tag, bytes) - head)};
}

inline void ProtoMessage::frame(Frame& out, Tag group, Tag scoped, Tag, const FrameParts& parts) {
  const std::size_t inner = parts.scope.size() + parts.records_bytes + parts.schema.size();
  const std::size_t outer =
      parts.resource.size() + 1 + ProtoList::varint_bytes(inner) + inner + parts.schema.size();
  char head[16];
  out.before.put({head, static_cast<std::size_t>(ProtoList::begin_bytes(head, group, outer) - head)});
  out.before.put(parts.resource);
  out.before.put({head, static_cast<std::size_t>(ProtoList::begin_bytes(head, scoped, inner) - head)});
  out.before.put(parts.scope);
  out.after.put(parts.schema);
  out.after.put(parts.schema);
}

// ---------------------------------------------------------------- JSON

class JsonList;

// Ids in hexadecimal, enums as numbers, 64-bit integers as strings: OTLP's own mapping.
class JsonMessage {
 public:
  using List = JsonList;

  explicit JsonMessage(TextOut& out) : out_(out) { out_.put('{'); }
  ~JsonMessage() { out_.put('}'); }
  JsonMessage(const JsonMessage&) = delete;
  JsonMessage& operator=(const JsonMessage&) = delete;

  void text(Tag tag, std::string_view text) { append_json_string(begin(tag), text); }
  void id(Tag tag, std::string_view bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    begin(tag).put('"');
    for (const char c : bytes) {
      out_.put(kDigits[static_cast<unsigned char>(c) >> 4]);
      out_.put(kDigits[c & 15]);
    }
    out_.put('"');
  }
  void fixed64(Tag tag, std::uint64_t value) { quoted(tag, value); }
  void fixed32(Tag tag, std::uint32_t value) { begin(tag).put_int(value); }
  void small(Tag tag, std::uint32_t value) { begin(tag).put_int(value); }
  void truth(Tag tag, bool value) { begin(tag).put(value ? std::string_view("true") : std::string_view("false")); }
  void integer(Tag tag, std::int64_t value) { quoted(tag, value); }
  void real(Tag tag, double value) { append_json_float(begin(tag), value); }
  JsonMessage message(Tag tag) { return JsonMessage(begin(tag)); }
  inline JsonList list(Tag tag);

  static std::string_view request_begin(Tag tag, TextOut& out) {
    out.clear();
    out.put("{\"");
    out.put(tag.name);
    out.put("\":[");
    return out.view();
  }
  static std::string_view request_end() { return "]}"; }
  static constexpr std::string_view kBetween{","};
  static std::string_view items_of(std::string_view message, Tag tag) {
    const std::size_t before = tag.name.size() + 5;  // {"name":[
    return message.substr(before, message.size() - before - 2);
  }
  static std::string_view item_begin(char (&)[16], Tag, std::size_t) { return {}; }
  static std::string_view fields_of(std::string_view message) { return message.substr(1, message.size() - 2); }
  static void frame(Frame& out, Tag, Tag scoped, Tag records, const FrameParts& parts) {
    const auto fields = [&](TextOut& text, std::string_view some) {
      text.put(some);
      if (!some.empty()) text.put(',');
    };
    out.before.put('{');
    fields(out.before, parts.resource);
    out.before.put('"');
    out.before.put(scoped.name);
    out.before.put("\":[{");
    fields(out.before, parts.scope);
    out.before.put('"');
    out.before.put(records.name);
    out.before.put("\":[");
    for (const std::string_view end : {std::string_view("}]"), std::string_view("}")}) {
      out.after.put(out.after.empty() ? std::string_view("]") : std::string_view());
      if (!parts.schema.empty()) out.after.put(',');
      out.after.put(parts.schema);
      out.after.put(end);
    }
  }

 private:
  TextOut& begin(Tag tag) {
    if (!first_) out_.put(',');
    first_ = false;
    out_.put('"');
    out_.put(tag.name);
    out_.put("\":");
    return out_;
  }
  template <class Int>
  void quoted(Tag tag, Int value) {
    begin(tag).put('"');
    out_.put_int(value);
    out_.put('"');
  }

  TextOut& out_;
  bool first_ = true;
};

class JsonList {
 public:
  using Message = JsonMessage;

  explicit JsonList(TextOut& out) : out_(out) { out_.put('['); }
  ~JsonList() { out_.put(']'); }
  JsonList(const JsonList&) = delete;
  JsonList& operator=(const JsonList&) = delete;

  JsonMessage item() {
    comma();
    return JsonMessage(out_);
  }
  void items(std::string_view items) {
    if (items.empty()) return;
    comma();
    out_.put(items);
  }
  void attribute(std::string_view key, const Value& value) {
    JsonMessage pair = item();
    pair.text(kKey, key);
    JsonMessage any = pair.message(kValue);
    switch (value.type) {
      case ValueType::Int: any.integer(kInt, value.integer); break;
      case ValueType::Float: any.real(kDouble, value.real); break;
      case ValueType::Bool: any.truth(kBool, value.truth); break;
      default: any.text(kString, value.text);
    }
  }

 private:
  void comma() {
    if (!first_) out_.put(',');
    first_ = false;
  }

  TextOut& out_;
  bool first_ = true;
};

inline JsonList JsonMessage::list(Tag tag) { return JsonList(begin(tag)); }

}  // namespace whence::otlp
