// The id of an event that an emitter recorded: a UUIDv8 that tells where its slot is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "request.hpp"

namespace whence {

// 122 bits from the top: session key 48 | ring 18 | ticket 56 (model/ids.py reads them back).
// The first 19 characters, dash included, are the same for all events of a ring.
constexpr std::size_t kEventIdBytes = 36;

inline void write_event_id(char out[kEventIdBytes], std::uint64_t session_key, std::uint32_t ring,
                           std::uint64_t ticket) {
  const std::uint64_t high = session_key << 16 | 0x8000u | ((ring >> 6) & 0xfffu);
  const std::uint64_t low = 2ull << 62 | static_cast<std::uint64_t>(ring & 63) << 56 |
                            (ticket & ((1ull << 56) - 1));
  std::uint8_t bytes[16];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  write_uuid(out, bytes);
}

inline std::string event_id(std::uint64_t session_key, std::uint32_t ring, std::uint64_t ticket) {
  std::string out(kEventIdBytes, '-');
  write_event_id(out.data(), session_key, ring, ticket);
  return out;
}

}  // namespace whence
