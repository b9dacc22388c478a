// Ids of Long requests by their fingerprint, remembered from drain to drain within bounds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace whence {

struct RequestFingerprint {
  std::array<std::uint64_t, 2> words;
  bool operator==(const RequestFingerprint& other) const { return words == other.words; }
};

struct RequestFingerprintHash {
  std::size_t operator()(const RequestFingerprint& print) const { return print.words[0]; }
};

using LongRequestIds = std::unordered_map<RequestFingerprint, std::string, RequestFingerprintHash>;

// Shared by the batches of one follower, which several threads may hold. Of the ids it was told it
// keeps the newest: at least half of `most_bytes`, never more than all of it.
class LongRequests {
 public:
  explicit LongRequests(std::size_t most_bytes = 1 << 20) : half_bytes_(most_bytes / 2) {}

  void remember(const RequestFingerprint& print, std::string_view id) {
    const std::lock_guard held(mutex_);
    const std::size_t bytes = id.size() + kEntryBytes;
    if (bytes > half_bytes_ || newer_.contains(print)) return;
    if (newer_bytes_ + bytes > half_bytes_) {
      older_ = std::exchange(newer_, {});
      newer_bytes_ = 0;
    }
    newer_.emplace(print, id);
    newer_bytes_ += bytes;
  }

  std::optional<std::string> find(const RequestFingerprint& print) const {
    const std::lock_guard held(mutex_);
    for (const LongRequestIds* ids : {&newer_, &older_})
      if (const auto found = ids->find(print); found != ids->end()) return found->second;
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kEntryBytes = 80;  // what an entry takes beside its id

  const std::size_t half_bytes_;
  mutable std::mutex mutex_;
  LongRequestIds newer_;
  LongRequestIds older_;
  std::size_t newer_bytes_ = 0;
};

}  // namespace whence
