// Reads protobuf's wire format, field by field; what cannot be read throws.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>

namespace whence {

// The bytes are no message.
struct BadMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Wire : std::uint32_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

// What next() found: compare with these. A known field of another wire type is an unknown field.
constexpr std::uint32_t field_key(std::uint32_t number, Wire wire) {
  return number << 3 | static_cast<std::uint32_t>(wire);
}
constexpr std::uint32_t varint_field(std::uint32_t number) { return field_key(number, Wire::Varint); }
constexpr std::uint32_t fixed64_field(std::uint32_t number) { return field_key(number, Wire::Fixed64); }
constexpr std::uint32_t bytes_field(std::uint32_t number) { return field_key(number, Wire::Bytes); }
constexpr std::uint32_t fixed32_field(std::uint32_t number) { return field_key(number, Wire::Fixed32); }

class ProtoIn {
 public:
  explicit ProtoIn(std::string_view message) : at_(message.data()), end_(message.data() + message.size()) {}

  // The next field's number and wire type in key(); false at the end. Its value is to be read next.
  bool next() {
    if (at_ == end_) return false;
    const std::uint64_t key = varint();
    if (key >> 32 != 0 || key >> 3 == 0) throw BadMessage("a field has no number");
    key_ = static_cast<std::uint32_t>(key);
    return true;
  }
  std::uint32_t key() const { return key_; }

  std::uint64_t varint() {
    if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) [[likely]] return static_cast<unsigned char>(*at_++);
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) break;
      const auto byte = static_cast<unsigned char>(*at_++);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw BadMessage("a number is cut short, or too long");
  }

  std::uint64_t fixed64() { return fixed<std::uint64_t>(); }
  std::uint32_t fixed32() { return fixed<std::uint32_t>(); }

  double real() {
    const std::uint64_t bits = fixed64();
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  std::string_view bytes() {
    const std::uint64_t size = varint();
    if (size > static_cast<std::uint64_t>(end_ - at_)) throw BadMessage("a field is longer than its message");
    const std::string_view found(at_, static_cast<std::size_t>(size));
    at_ += size;
    return found;
  }

  void skip() {
    switch (static_cast<Wire>(key_ & 7)) {
      case Wire::Varint: varint(); return;
      case Wire::Fixed64: fixed64(); return;
      case Wire::Bytes: bytes(); return;
      case Wire::Fixed32: fixed32(); return;
    }
    throw BadMessage("a field has a type that there is not");
  }

 private:
  template <class Word>
  Word fixed() {
    if (static_cast<std::size_t>(end_ - at_) < sizeof(Word)) throw BadMessage("a number is cut short");
    Word word;  // little-endian, as this machine
    std::memcpy(&word, at_, sizeof word);
    at_ += sizeof word;
    return word;
  }

  const char* at_;
  const char* end_;
  std::uint32_t key_ = 0;
};

}  // namespace whence
