// Does a text say anything? White space is what Python's str.strip() takes away.
#pragma once

#include <cstddef>
#include <string_view>

namespace whence {

inline bool is_blank(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned c = byte(i);
    if (c > ' ' && c < 0x80) return false;
    if (c == ' ' || (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f)) {
      ++i;
    } else if (c == 0xc2 && (byte(i + 1) == 0x85 || byte(i + 1) == 0xa0)) {  // U+0085, U+00A0
      i += 2;
    } else {
      const unsigned three = c << 16 | byte(i + 1) << 8 | byte(i + 2);
      const bool space = three == 0xe19a80                            // U+1680
                         || (three >= 0xe28080 && three <= 0xe2808a)  // U+2000 to U+200A
                         || three == 0xe280a8 || three == 0xe280a9    // U+2028, U+2029
                         || three == 0xe280af || three == 0xe2819f    // U+202F, U+205F
                         || three == 0xe38080;                        // U+3000
      if (!space) return false;
      i += 3;
    }
  }
  return true;
}

}  // namespace whence
