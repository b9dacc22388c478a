// The dictionary of a session: kinds, and short strings that recur, each written once.
//
// The file only grows. A record's first word is stored last, with release: a reader that finds a
// name's id in a slot finds the name (the slot was stored after it).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "crc32.hpp"
#include "layout.hpp"
#include "own_memory.hpp"
#include "region.hpp"
#define XXH_INLINE_ALL
#include "xxhash/xxhash.h"

namespace whence {

class NameTable {
 public:
  // `region` is a zeroed names file of kNamesBytes with addresses for kNamesMaxBytes.
  // `shadow`, kNamesMaxBytes or null, is given all that is written to it.
  NameTable(Region region, const std::uint8_t uuid[16], std::byte* shadow = nullptr)
      : region_(region), shadow_(shadow) {
    SmallHeader header{};
    std::memcpy(header.magic, kNamesMagic, sizeof header.magic);
    header.endian = kEndianMark;
    header.major = kFormatMajor;
    header.minor = kFormatMinor;
    header.file_bytes = region.bytes;
    std::memcpy(header.session_uuid, uuid, 16);
    std::memcpy(region_.base, &header, sizeof header);
    if (shadow_ != nullptr) std::memcpy(shadow_, &header, sizeof header);
  }
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;

  // The id of a short string, or kNameInText: too long, seen for the first time, table full, or
  // another thread is adding one right now. Lock-free, no system call, any thread.
  std::uint16_t intern(std::string_view text) {
    if (text.empty()) return kNameEmpty;
    if (text.size() > kMaxNameBytes) return kNameInText;
    const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
    if (!may_be_known(hash)) return add_if_seen(text, hash);
    std::size_t at = hash % kTableSize;
    for (;; at = (at + 1) % kTableSize) {
      const std::uint64_t entry = table_[at].load(std::memory_order_acquire);  // pairs with add()
      if (entry == 0) break;
      if (entry >> 40 == hash >> 40 && text_of(entry) == text)
        return static_cast<std::uint16_t>(entry & 0xffff);
    }
    return add_if_seen(text, hash);
  }

  // Adds a name at once: for what is known to recur (components, declared names).
  std::uint16_t intern_now(std::string_view text) {
    if (text.empty()) return kNameEmpty;
    const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
    seen_[seen_index(hash)].store(seen_mark(hash), std::memory_order_relaxed);
    return intern(text);
  }

  // Writes a kind's record. May grow the file; false: no room (counted by the caller).
  bool add_kind(std::uint16_t id, const std::string& payload) {
    lock();
    const std::size_t need = record_bytes(payload.size());
    bool room = used_ + need + 8 <= region_.bytes || grow(need);
    if (room) append(Record::Kind, id, payload.data(), payload.size());
    unlock();
    return room;
  }

  std::uint32_t names() const { return names_.load(std::memory_order_relaxed); }
  // Strings that went inline because the table was full.
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  const std::byte* base() const { return region_.base; }
  std::size_t bytes() const { return bytes_.load(std::memory_order_acquire); }

 private:
  static constexpr std::size_t kTableSize = 2 * kMaxNames;
  static constexpr std::size_t kSeen = 1024;
  static constexpr std::size_t kFilterBits = 32 * 1024;  // 4 KiB: unlike the table it stays in L1
  static std::size_t seen_index(std::uint64_t hash) { return hash % kSeen; }
  static std::uint32_t seen_mark(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32) | 1;
  }
  bool may_be_known(std::uint64_t hash) const {
    const std::uint64_t bit = (hash >> 20) % kFilterBits;
    return filter_[bit / 64].load(std::memory_order_acquire) >> (bit % 64) & 1;  // pairs with below
  }
  void mark_known(std::uint64_t hash) {
    const std::uint64_t bit = (hash >> 20) % kFilterBits;
    filter_[bit / 64].fetch_or(1ull << (bit % 64), std::memory_order_release);
  }
  static std::size_t record_bytes(std::size_t payload) {
    return kRecordHeaderBytes + (payload + 7) / 8 * 8;
  }

  // Table entry: hash bits 40-63, record offset / 8 in bits 16-39, id in bits 0-15.
  std::string_view text_of(std::uint64_t entry) const {
    const std::byte* record = region_.base + ((entry >> 16) & 0xffffff) * 8;
    std::uint32_t length = 0;
    std::memcpy(&length, record, sizeof length);
    return {reinterpret_cast<const char*>(record) + kRecordHeaderBytes, length - 1};
  }

  // A string enters the dictionary at its second sight, so that unique ones never fill it.
  std::uint16_t add_if_seen(std::string_view text, std::uint64_t hash) {
    auto& seen = seen_[seen_index(hash)];
    if (seen.load(std::memory_order_relaxed) != seen_mark(hash)) {
      seen.store(seen_mark(hash), std::memory_order_relaxed);
      return kNameInText;
    }
    if (busy_.test_and_set(std::memory_order_acquire)) return kNameInText;
    std::uint16_t id = kNameInText;
    std::size_t at = hash % kTableSize;
    std::uint64_t entry = 0;
    for (;; at = (at + 1) % kTableSize) {  // another thread may have added it meanwhile
      entry = table_[at].load(std::memory_order_relaxed);
      if (entry == 0 || (entry >> 40 == hash >> 40 && text_of(entry) == text)) break;
    }
    if (entry != 0) {
      id = static_cast<std::uint16_t>(entry & 0xffff);
    } else if (names() < kMaxNames - 2 &&
               used_ + record_bytes(text.size()) + kNamesKeptForKinds <= region_.bytes) {
      id = static_cast<std::uint16_t>(names() + 1);
      const std::size_t offset = append(Record::Name, id, text.data(), text.size());
      names_.store(id, std::memory_order_relaxed);
      table_[at].store((hash >> 40) << 40 | static_cast<std::uint64_t>(offset / 8) << 16 | id,
                       std::memory_order_release);
      mark_known(hash);
    } else {
      refused_.fetch_add(1, std::memory_order_relaxed);
    }
    unlock();
    return id;
  }

  std::size_t append(Record type, std::uint16_t id, const void* payload, std::size_t bytes) {
    const std::size_t offset = used_;
    if (shadow_ != nullptr) put_record(shadow_ + offset, type, id, payload, bytes);  // first: see OwnMemory
    put_record(region_.base + offset, type, id, payload, bytes);
    used_ += record_bytes(bytes);
    return offset;
  }

  static void put_record(std::byte* record, Record type, std::uint16_t id, const void* payload,
                         std::size_t bytes) {
    const auto type_code = static_cast<std::uint16_t>(type);
    std::memcpy(record + 8, &type_code, 2);
    std::memcpy(record + 10, &id, 2);
    std::memcpy(record + kRecordHeaderBytes, payload, bytes);
    const std::uint32_t crc = crc32(record + 8, kRecordHeaderBytes - 8 + bytes);
    const std::uint64_t first = (bytes + 1) | static_cast<std::uint64_t>(crc) << 32;
    // Pairs with the catalogue's load: a record is seen whole or not at all.
    reinterpret_cast<std::atomic<std::uint64_t>*>(record)->store(first, std::memory_order_release);
  }

  bool grow(std::size_t need) {
    const std::size_t more = std::max<std::size_t>(kNamesBytes, (need + 4095) / 4096 * 4096);
    if (region_.bytes + more > kNamesMaxBytes) return false;
    const int fd = region_.file.fd();
    const bool in_memory = OwnMemory::get().is_lost(region_.base);
    if (!in_memory && (fd < 0 || reserve_file(fd, region_.bytes, more) != 0)) return false;
    region_.bytes += more;
    bytes_.store(region_.bytes, std::memory_order_release);
    return true;
  }

  void lock() {
    while (busy_.test_and_set(std::memory_order_acquire)) {
    }
  }
  void unlock() { busy_.clear(std::memory_order_release); }

  Region region_;                    // guarded by busy_, but for base
  std::byte* shadow_;
  std::atomic<std::size_t> bytes_{region_.bytes};
  std::size_t used_ = kNamesHeaderBytes;  // guarded by busy_
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::atomic<std::uint32_t> names_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::array<std::atomic<std::uint64_t>, kTableSize> table_{};
  std::array<std::atomic<std::uint32_t>, kSeen> seen_{};
  std::array<std::atomic<std::uint64_t>, kFilterBits / 64> filter_{};
};

}  // namespace whence
