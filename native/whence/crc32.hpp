// CRC-32 (the polynomial of zlib and RFC 1952), for headers and dictionary records.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace whence {

namespace detail {
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0xedb88320u : 0);
    table[i] = value;
  }
  return table;
}
inline constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();
}  // namespace detail

// `start` is the CRC of what came before, so pieces can be chained.
inline std::uint32_t crc32(const void* data, std::size_t bytes, std::uint32_t start = 0) {
  const auto* at = static_cast<const std::uint8_t*>(data);
  std::uint32_t value = ~start;
  for (std::size_t i = 0; i < bytes; ++i)
    value = (value >> 8) ^ detail::kCrcTable[(value ^ at[i]) & 0xff];
  return ~value;
}

}  // namespace whence
