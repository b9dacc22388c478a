// Gates by name, for kinds that are declared later: a part of the control page.
//
// Other processes add rules while this one declares. A rule is seen whole or not at all, and what a
// hostile hand writes here is at worst no rule.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "crc32.hpp"
#include "gate.hpp"
#include "layout.hpp"

namespace whence {

class Rules {
 public:
  // `base` is where the rules of a control page begin.
  explicit Rules(std::byte* base) : base_(base) {}

  static constexpr std::size_t kBytes = kRuleCount * kRuleBytes;
  static constexpr std::string_view kAny = "*";

  static bool is_name(std::string_view name) { return !name.empty() && name.size() <= kRuleNameBytes; }

  bool has(std::string_view name) const { return word_of(name) != nullptr; }

  // The gate of the rule for this name, else of the rule for any name.
  std::optional<Gate> find(std::string_view name) const {
    if (GateWord* word = word_of(name)) return Gate{word->load(std::memory_order_relaxed)};
    if (GateWord* word = word_of(kAny)) return Gate{word->load(std::memory_order_relaxed)};
    return std::nullopt;
  }

  // False: no room, or no name for a rule.
  bool set(std::string_view name, Gate gate) {
    if (!is_name(name)) return false;
    for (int tries = 0; tries < 2; ++tries) {  // the second finds who came before us
      if (GateWord* word = word_of(name)) {
        word->store(gate.word, std::memory_order_relaxed);
        return true;
      }
      if (!add(name, gate)) return false;
    }
    return true;
  }

 private:
  using Word = std::atomic<std::uint64_t>;

  Word* entry(std::uint32_t i) const { return reinterpret_cast<Word*>(base_ + i * kRuleBytes); }

  static std::uint64_t mark_of(std::string_view name) {
    return name.size() | static_cast<std::uint64_t>(crc32(name.data(), name.size())) << 32;
  }

  GateWord* word_of(std::string_view name) const {
    if (!is_name(name)) return nullptr;
    const std::uint64_t mark = mark_of(name);
    for (std::uint32_t i = 0; i < kRuleCount; ++i) {
      Word* words = entry(i);
      if (words[0].load(std::memory_order_acquire) != mark) continue;  // pairs with add()
      std::uint64_t copy[kRuleNameBytes / 8];
      for (std::size_t w = 0; w < kRuleNameBytes / 8; ++w)
        copy[w] = words[2 + w].load(std::memory_order_relaxed);
      if (std::memcmp(copy, name.data(), name.size()) == 0) return words + 1;
    }
    return nullptr;
  }

  bool add(std::string_view name, Gate gate) {
    std::uint64_t copy[kRuleNameBytes / 8] = {};
    std::memcpy(copy, name.data(), name.size());
    for (std::uint32_t i = 0; i < kRuleCount; ++i) {
      Word* words = entry(i);
      std::uint64_t free = 0;
      if (!words[0].compare_exchange_strong(free, kClaimed, std::memory_order_acquire)) continue;
      words[1].store(gate.word, std::memory_order_relaxed);
      for (std::size_t w = 0; w < kRuleNameBytes / 8; ++w)
        words[2 + w].store(copy[w], std::memory_order_relaxed);
      words[0].store(mark_of(name), std::memory_order_release);
      return true;
    }
    return false;
  }

  static constexpr std::uint64_t kClaimed = 0xffffffffull;  // longer than any name

  std::byte* base_;
};

}  // namespace whence
