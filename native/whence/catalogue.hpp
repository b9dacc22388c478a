// What a reader knows of a session's dictionary: its kinds and names, grown as the file grows.
#pragma once

#include <atomic>
#include <cstddef>
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

  bool damaged() const { return damaged_; }

  const KnownKind* kind(std::uint16_t id) const {
    return id < kinds_.size() ? kinds_[id].get() : nullptr;
  }
  std::size_t kind_limit() const { return kinds_.size(); }

  // Null data: this reader does not know the name.
  std::string_view name(std::uint16_t id) const {
    if (id == kNameEmpty) return std::string_view("");
    return id < names_.size() && names_[id] ? std::string_view(*names_[id]) : std::string_view();
  }

 private:
  void add(const std::byte* record, std::size_t payload) {
    std::uint16_t type = 0;
    std::uint16_t id = 0;
    std::memcpy(&type, record + 8, 2);
    std::memcpy(&id, record + 10, 2);
    const std::byte* data = record + kRecordHeaderBytes;
    if (type == static_cast<std::uint16_t>(Record::Name)) {
      if (id >= names_.size()) names_.resize(id + 1u);
      names_[id] = std::make_unique<std::string>(reinterpret_cast<const char*>(data), payload);
    } else if (type == static_cast<std::uint16_t>(Record::Kind)) {
      auto known = std::make_unique<KnownKind>();
      if (!decode_kind(ByteReader(data, payload), known->schema)) return;
      known->id = id;
      std::string problem;
      known->rationale.compile(known->schema, problem);
      if (id >= kinds_.size()) kinds_.resize(id + 1u);
      kinds_[id] = std::move(known);
    }  // other record types: of a newer minor version
  }

  std::size_t next_ = kNamesHeaderBytes;
  bool damaged_ = false;
  std::vector<std::unique_ptr<KnownKind>> kinds_;
  std::vector<std::unique_ptr<std::string>> names_;
};

}  // namespace whence
