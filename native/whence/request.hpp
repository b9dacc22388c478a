// A request's id in the form that slots carry: never merged with another, never only a hash.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "layout.hpp"
#define XXH_INLINE_ALL
#include "xxhash/xxhash.h"

namespace whence {

struct RequestId {
  RequestForm form = RequestForm::None;
  std::array<std::uint64_t, 2> words{};
  std::uint64_t key = 0;  // XXH3-64 of the id: for sampling and pre-filtering only
};

namespace detail {

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr bool uuid_dash(std::size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

}  // namespace detail

// Only the canonical lower-case spelling: any other must come back as it was written.
inline bool parse_uuid(std::string_view text, std::uint8_t out[16]) {
  if (text.size() != 36) return false;
  std::size_t at = 0;
  for (std::size_t i = 0; i < 36;) {
    if (detail::uuid_dash(i)) {
      if (text[i++] != '-') return false;
      continue;
    }
    const int high = detail::hex_digit(text[i]);
    const int low = detail::hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out[at++] = static_cast<std::uint8_t>(high << 4 | low);
    i += 2;
  }
  return true;
}

namespace detail {

// The two digits of each byte.
inline constexpr std::array<std::array<char, 2>, 256> kHexPairs = [] {
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) pairs[byte] = {kDigits[byte >> 4], kDigits[byte & 15]};
  return pairs;
}();

inline char* write_hex(char* out, const std::uint8_t* bytes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i, out += 2) std::memcpy(out, kHexPairs[bytes[i]].data(), 2);
  return out;
}

}  // namespace detail

inline void write_uuid(char out[36], const std::uint8_t bytes[16]) {
  std::size_t at = 0;
  for (const std::size_t group : {4, 2, 2, 2, 6}) {
    if (at > 0) *out++ = '-';
    out = detail::write_hex(out, bytes + at, group);
    at += group;
  }
}

inline std::string format_uuid(const std::uint8_t bytes[16]) {
  std::string out(36, '-');
  write_uuid(out.data(), bytes);
  return out;
}

// `seed` is the session's: without it anybody could make two long ids with the same words.
inline RequestId encode_request(std::string_view id, std::uint64_t seed) {
  RequestId out;
  if (id.empty()) return out;
  out.key = XXH3_64bits(id.data(), id.size());
  std::uint8_t bytes[16] = {};
  if (parse_uuid(id, bytes)) {
    out.form = RequestForm::Uuid;
    std::memcpy(out.words.data(), bytes, 16);
  } else if (id.size() <= kRequestBytes && id.find('\0') == std::string_view::npos) {
    out.form = RequestForm::Short;
    std::memcpy(out.words.data(), id.data(), id.size());
  } else {
    out.form = RequestForm::Long;
    const XXH128_hash_t hash = XXH3_128bits_withSeed(id.data(), id.size(), seed);
    out.words = {hash.low64, hash.high64};
  }
  return out;
}

// The id of an inline form; empty for None, and for Long, whose id is in the text block.
inline void decode_request(RequestForm form, const std::uint64_t words[2], std::string& out) {
  std::uint8_t bytes[16];
  std::memcpy(bytes, words, 16);
  std::size_t length = 0;
  if (form == RequestForm::Uuid) {
    out.resize(36);
    write_uuid(out.data(), bytes);
    return;
  }
  if (form == RequestForm::Short)
    for (length = 16; length > 0 && bytes[length - 1] == 0;) --length;
  out.assign(reinterpret_cast<const char*>(bytes), length);
}

// A 128-bit W3C trace id, its bytes in the order in which they are written; all zero = none.
struct TraceId {
  std::array<std::uint64_t, 2> words{};
  explicit operator bool() const { return (words[0] | words[1]) != 0; }
  bool operator==(const TraceId& other) const = default;
};

inline void write_trace_id(char out[32], const TraceId& id) {
  std::uint8_t bytes[16];
  std::memcpy(bytes, id.words.data(), 16);
  detail::write_hex(out, bytes, sizeof bytes);
}

// The trace of a request that came without one: the UUID itself, else a hash that differs from run
// to run, since other ids are used again.
inline TraceId trace_of_request(RequestForm form, const std::uint64_t words[2], std::string_view id,
                                std::uint64_t run) {
  if (form == RequestForm::Uuid) return {{words[0], words[1]}};
  if (id.empty()) return {};
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, XXH3_128bits_withSeed(id.data(), id.size(), run));
  TraceId trace;
  std::memcpy(trace.words.data(), bytes.digest, 16);
  return trace;
}

}  // namespace whence
