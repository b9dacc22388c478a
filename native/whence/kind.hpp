// A declared type of event: its fields, where they lie in the image, and its bytes in `names`.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "gate.hpp"
#include "layout.hpp"

namespace whence {

struct Field {
  std::string name;
  FieldType type = FieldType::I64;
  FieldRole role = FieldRole::Plain;
  std::uint16_t offset = 0;  // in the image
  bool optional = false;     // may be absent
};

// A number of a field image.
inline double number_at(FieldType type, const std::byte* at) {
  const auto read = [at](auto value) {
    std::memcpy(&value, at, sizeof value);
    return static_cast<double>(value);
  };
  switch (type) {
    case FieldType::F32: return read(0.0f);
    case FieldType::F64: return read(0.0);
    case FieldType::I64: return read(std::int64_t{0});
    case FieldType::U64: return read(std::uint64_t{0});
    case FieldType::U32: return read(std::uint32_t{0});
    default: return read(std::uint8_t{0});
  }
}

struct KindSchema {
  std::string name;
  std::string component;
  std::string rationale;  // template
  std::string otel_name;
  std::string source;  // "file:line" of the declaration
  std::uint8_t severity = 1;
  bool decision = false;
  bool exempt = false;  // from sampling and minima: all or nothing; set at declaration
  bool span = false;  // its events are spans
  bool on = true;  // gate at declaration
  std::vector<Field> fields;
  std::uint16_t image_bytes = 0;

  // What became of a decision is kept as surely as the decision.
  bool is_outcome() const { return name == "outcome" && component == "whence"; }

  // Gives each field its place: declared order, no padding.
  void place_fields() {
    image_bytes = 0;
    for (Field& field : fields) {
      field.offset = image_bytes;
      image_bytes = static_cast<std::uint16_t>(image_bytes + field_bytes(field.type));
    }
  }
};

// A kind of this process. Never freed: emitters and slots refer to it for the process's life.
struct Kind {
  KindSchema schema;
  std::uint16_t id = 0;
  GateWord own_gate{0};                   // used until a session's control page exists
  std::atomic<GateWord*> gate{&own_gate};
  // An emitter's own copy of `gate`, one load nearer to its hot path; or null.
  std::atomic<GateWord*>* follower = nullptr;

  void point_gate_at(GateWord* word) {
    gate.store(word, std::memory_order_release);
    if (follower != nullptr) follower->store(word, std::memory_order_release);
  }
};

// ---------------------------------------------------------------- record payload in `names`
//   u8 flags (1 decision, 2 on, 4 span)  u8 severity  u16 fields
//   name  component  rationale  otel_name  source        each: u32 bytes, UTF-8
//   per field: u8 type  u8 role | kOptionalField  u16 bytes  name
constexpr std::uint8_t kOptionalField = 0x80;

namespace detail {

inline void put_bytes(std::string& out, const void* data, std::size_t bytes) {
  out.append(static_cast<const char*>(data), bytes);
}
template <class T>
void put(std::string& out, T value) {
  put_bytes(out, &value, sizeof value);
}

}  // namespace detail

inline std::string encode_kind(const KindSchema& kind) {
  std::string out;
  detail::put<std::uint8_t>(
      out, static_cast<std::uint8_t>((kind.decision ? 1 : 0) | (kind.on ? 2 : 0) |
                                     (kind.span ? 4 : 0)));
  detail::put<std::uint8_t>(out, kind.severity);
  detail::put<std::uint16_t>(out, static_cast<std::uint16_t>(kind.fields.size()));
  for (const std::string* text :
       {&kind.name, &kind.component, &kind.rationale, &kind.otel_name, &kind.source}) {
    detail::put<std::uint32_t>(out, static_cast<std::uint32_t>(text->size()));
    out += *text;
  }
  for (const Field& field : kind.fields) {
    detail::put<std::uint8_t>(out, static_cast<std::uint8_t>(field.type));
    detail::put<std::uint8_t>(out, static_cast<std::uint8_t>(
                                       static_cast<std::uint8_t>(field.role) |
                                       (field.optional ? kOptionalField : 0)));
    detail::put<std::uint16_t>(out, static_cast<std::uint16_t>(field.name.size()));
    out += field.name;
  }
  return out;
}

// Reads lengths that may lie: every take() checks what is left.
class ByteReader {
 public:
  ByteReader(const std::byte* at, std::size_t left) : at_(at), left_(left) {}

  bool ok() const { return ok_; }
  std::size_t left() const { return left_; }

  template <class T>
  T take() {
    T value{};
    if (const std::byte* at = take_bytes(sizeof value)) std::memcpy(&value, at, sizeof value);
    return value;
  }
  std::string_view take_text(std::size_t bytes) {
    const std::byte* at = take_bytes(bytes);
    return at != nullptr ? std::string_view(reinterpret_cast<const char*>(at), bytes)
                         : std::string_view();
  }
  const std::byte* take_bytes(std::size_t bytes) {
    if (bytes > left_) {
      ok_ = false;
      left_ = 0;
      return nullptr;
    }
    const std::byte* at = at_;
    at_ += bytes;
    left_ -= bytes;
    return at;
  }

 private:
  const std::byte* at_;
  std::size_t left_;
  bool ok_ = true;
};

// False: the payload is not a kind. `kind` is then unspecified.
inline bool decode_kind(ByteReader reader, KindSchema& kind) {
  const auto flags = reader.take<std::uint8_t>();
  kind.decision = flags & 1;
  kind.on = flags & 2;
  kind.span = flags & 4;
  kind.severity = reader.take<std::uint8_t>();
  const auto fields = reader.take<std::uint16_t>();
  if (fields > kMaxFields || kind.severity > 6) return false;
  for (std::string* text :
       {&kind.name, &kind.component, &kind.rationale, &kind.otel_name, &kind.source}) {
    *text = reader.take_text(reader.take<std::uint32_t>());
    // Each of its events repeats these: one that lies must not cost gigabytes.
    const bool is_name = text == &kind.name || text == &kind.component;
    if (text->size() > (is_name ? kMaxKindNameBytes : kMaxKindTextBytes)) return false;
  }
  kind.fields.clear();
  for (unsigned i = 0; i < fields; ++i) {
    Field field;
    const auto type = reader.take<std::uint8_t>();
    const auto marked_role = reader.take<std::uint8_t>();
    const auto role = static_cast<std::uint8_t>(marked_role & ~kOptionalField);
    if (type < 1 || type > 9 || role > 11) return false;
    field.optional = marked_role & kOptionalField;
    field.type = static_cast<FieldType>(type);
    field.role = static_cast<FieldRole>(role);
    field.name = reader.take_text(reader.take<std::uint16_t>());
    if (field.name.size() > kMaxFieldNameBytes) return false;
    kind.fields.push_back(std::move(field));
  }
  kind.place_fields();
  return reader.ok() && !kind.name.empty();
}

}  // namespace whence
