// The id of an event that an emitter recorded: a UUIDv8 that tells where its slot is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace whence {

// 122 bits from the top: session key 48 | ring 18 | ticket 56 (model/ids.py reads them back).
// The first 19 characters, dash included, are the same for all events of a ring.
constexpr std::size_t kEventIdBytes = 36;

inline void write_event_id(char out[kEventIdBytes], std::uint64_t session_key, std::uint32_t ring,
                           std::uint64_t ticket) {
  static constexpr char kDigits[] = "0123456789abcdef";
  const std::uint64_t high = session_key << 16 | 0x8000u | ((ring >> 6) & 0xfffu);
  const std::uint64_t low = 2ull << 62 | static_cast<std::uint64_t>(ring & 63) << 56 |
                            (ticket & ((1ull << 56) - 1));
  char* at = out;
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) *at++ = '-';
    const std::uint64_t half = digit < 16 ? high : low;
    *at++ = kDigits[half >> (60 - 4 * (digit % 16)) & 15];
  }
}

inline std::string event_id(std::uint64_t session_key, std::uint32_t ring, std::uint64_t ticket) {
  std::string out(kEventIdBytes, '-');
  write_event_id(out.data(), session_key, ring, ticket);
  return out;
}

}  // namespace whence
