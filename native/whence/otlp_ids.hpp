// The trace and span ids that an event has in OTLP; what has none of its own gets a derived one.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "decode.hpp"
#include "request.hpp"

namespace whence::otlp {

using IdBytes = std::array<char, 16>;

// As the bytes of the wire: the most significant first.
inline void put_big_endian(char* to, std::uint64_t value) {
  for (int i = 7; i >= 0; --i, value >>= 8) to[i] = static_cast<char>(value & 0xff);
}

struct SpanIdBytes {
  explicit SpanIdBytes(std::uint64_t id) { put_big_endian(bytes, id); }
  std::string_view view() const { return {bytes, sizeof bytes}; }
  char bytes[8];
};

// The 16 bytes of an event's id: those of the UUID, else its XXH3-128.
inline IdBytes event_id_bytes(std::string_view event_id) {
  IdBytes out;
  std::uint8_t uuid[16];
  if (parse_uuid(event_id, uuid)) {
    std::memcpy(out.data(), uuid, 16);
    return out;
  }
  const XXH128_hash_t hash = XXH3_128bits(event_id.data(), event_id.size());
  put_big_endian(out.data(), hash.high64);
  put_big_endian(out.data() + 8, hash.low64);
  return out;
}

// The span id of an event that lasted and is no span: XXH3-64 of its id's 16 bytes.
inline std::uint64_t derived_span_id(const IdBytes& event_id) {
  const std::uint64_t hash = XXH3_64bits(event_id.data(), event_id.size());
  return hash != 0 ? hash : 1;
}

// The place that a derived event id tells (model/ids.py); false for any other id.
struct Place {
  std::uint64_t session_key = 0;
  std::uint32_t ring = 0;
  std::uint64_t ticket = 0;
};
inline bool parse_place(std::string_view event_id, Place& place) {
  std::uint8_t uuid[16];
  if (!parse_uuid(event_id, uuid)) return false;
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  for (int i = 0; i < 8; ++i) high = high << 8 | uuid[i];
  for (int i = 8; i < 16; ++i) low = low << 8 | uuid[i];
  if ((high >> 12 & 15) != 8 || low >> 62 != 2) return false;
  place.session_key = high >> 16;
  place.ring = static_cast<std::uint32_t>((high & 0xfff) << 6 | (low >> 56 & 63));
  place.ticket = low & ((1ull << 56) - 1);
  return true;
}

}  // namespace whence::otlp
