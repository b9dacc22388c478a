// Wall time of monotonic moments, by moments of a session that were read on both clocks.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace whence {

struct WallAnchor {
  long long monotonic_ns = 0;
  long long wall_ns = 0;
};

using WallClocks = std::unordered_map<std::string, std::vector<WallAnchor>>;  // by session

// By the nearest anchor, as SessionInfo.wall_ns() has it. False: it is beyond 64 bits.
inline bool wall_time(const std::vector<WallAnchor>& anchors, std::uint64_t time_ns, std::int64_t& wall_ns) {
  const auto time = static_cast<std::int64_t>(time_ns);
  const WallAnchor* nearest = nullptr;
  std::uint64_t least = 0;
  for (const WallAnchor& anchor : anchors) {
    const auto distance = static_cast<std::uint64_t>(
        anchor.monotonic_ns > time ? anchor.monotonic_ns - time : time - anchor.monotonic_ns);
    if (nearest != nullptr && distance >= least) continue;
    nearest = &anchor;
    least = distance;
  }
  std::int64_t since = 0;
  return nearest != nullptr && !__builtin_sub_overflow(time, nearest->monotonic_ns, &since) &&
         !__builtin_add_overflow(nearest->wall_ns, since, &wall_ns);
}

}  // namespace whence
