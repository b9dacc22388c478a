// What a reader knows of a session's dictionary: its kinds and names, grown as the file grows.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crc32.hpp"
#include "kind.hpp"
#include "layout.hpp"
#include "rationale.hpp"

namespace whence {

struct KnownKind {
  KindSchema schema;
  std::uint16_t id = 0;
  Rationale rationale;
};

// Things by id: one thread adds, any number look up meanwhile. What was added stays where it is.
template <class Thing>
class IdTable {
 public:
  const Thing* find(std::uint16_t id) const {
    const Page* page = pages_[id / kPage].load(std::memory_order_acquire);  // pairs with put()
    return page != nullptr ? (*page)[id % kPage].load(std::memory_order_acquire) : nullptr;
  }
  std::size_t limit() const { return limit_.load(std::memory_order_acquire); }

  void put(std::uint16_t id, std::unique_ptr<Thing> thing) {
    std::atomic<Page*>& place = pages_[id / kPage];
    if (place.load(std::memory_order_relaxed) == nullptr) {
      owned_pages_.push_back(std::make_unique<Page>());
      place.store(owned_pages_.back().get(), std::memory_order_release);
    }
    owned_.push_back(std::move(thing));
    (*place.load(std::memory_order_relaxed))[id % kPage].store(owned_.back().get(), std::memory_order_release);
    if (id >= limit()) limit_.store(id + std::size_t{1}, std::memory_order_release);
  }

 private:
  static constexpr std::size_t kPage = 256;
  using Page = std::array<std::atomic<const Thing*>, kPage>;

  std::array<std::atomic<Page*>, 65536 / kPage> pages_{};
  std::atomic<std::size_t> limit_{0};
  std::vector<std::unique_ptr<Page>> owned_pages_;
  std::vector<std::unique_ptr<Thing>> owned_;
};

// One thread updates it; batches that name it are read by others meanwhile.
class Catalogue {
 public:
  enum class Fault { None, TooShort, Foreign, Endian, NewerMajor };

  static Fault check(const std::byte* base, std::size_t bytes) {
    if (bytes < kNamesHeaderBytes) return Fault::TooShort;
    SmallHeader header;
    std::memcpy(&header, base, sizeof header);
    if (std::memcmp(header.magic, kNamesMagic, sizeof header.magic) != 0) return Fault::Foreign;
    if (header.endian != kEndianMark) return Fault::Endian;
    if (header.major != kFormatMajor) return Fault::NewerMajor;
    return Fault::None;
  }

  // Reads the records added since the last call. Stops at a torn or damaged one: what follows it
  // cannot be trusted, and slots that use it show what they hold without it.
  void update(const std::byte* base, std::size_t bytes) {
    while (next_ + kRecordHeaderBytes <= bytes) {
      const std::byte* record = base + next_;
      const std::uint64_t first = reinterpret_cast<const std::atomic<std::uint64_t>*>(record)->load(
          std::memory_order_acquire);  // pairs with NameTable::append()
      if (first == 0) return;
      const std::uint64_t payload = (first & 0xffffffffu) - 1;
      if (payload > bytes - next_ - kRecordHeaderBytes ||
          crc32(record + 8, kRecordHeaderBytes - 8 + payload) != first >> 32) {
        damaged_ = true;
        return;
      }
      add(record, payload);
      next_ += kRecordHeaderBytes + (payload + 7) / 8 * 8;
    }
  }

  // Of the session's long request ids.
  std::uint64_t request_seed() const { return request_seed_; }
  void set_request_seed(std::uint64_t seed) { request_seed_ = seed; }

  bool damaged() const { return damaged_; }
  // The session's run: without it the trace ids of requests cannot be told.
  std::uint64_t run = 0;

  const KnownKind* kind(std::uint16_t id) const { return kinds_.find(id); }
  std::size_t kind_limit() const { return kinds_.limit(); }

  // Null data: this reader does not know the name.
  std::string_view name(std::uint16_t id) const {
    if (id == kNameEmpty) return std::string_view("");
    const std::string* name = names_.find(id);
    return name != nullptr ? std::string_view(*name) : std::string_view();
  }

 private:
  void add(const std::byte* record, std::size_t payload) {
    std::uint16_t type = 0;
    std::uint16_t id = 0;
    std::memcpy(&type, record + 8, 2);
    std::memcpy(&id, record + 10, 2);
    const std::byte* data = record + kRecordHeaderBytes;
    if (type == static_cast<std::uint16_t>(Record::Name)) {
      if (payload > kMaxNameBytes) return;  // not of our writing, and each use would repeat it
      names_.put(id, std::make_unique<std::string>(reinterpret_cast<const char*>(data), payload));
    } else if (type == static_cast<std::uint16_t>(Record::Kind)) {
      auto known = std::make_unique<KnownKind>();
      if (!decode_kind(ByteReader(data, payload), known->schema)) return;
      known->id = id;
      std::string problem;
      known->rationale.compile(known->schema, problem);
      kinds_.put(id, std::move(known));
    }  // other record types: of a newer minor version
  }

  std::size_t next_ = kNamesHeaderBytes;
  bool damaged_ = false;
  std::uint64_t request_seed_ = 0;
  IdTable<KnownKind> kinds_;
  IdTable<std::string> names_;
};

}  // namespace whence
