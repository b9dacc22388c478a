// Events of a batch become Arrow columns: decoded once, in order of wall time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "arrow_columns.hpp"
#include "batch.hpp"
#include "decode.hpp"
#include "gate.hpp"
#include "json.hpp"

namespace whence::arrow {

// Wall minus monotonic nanoseconds, by session.
using ClockOffsets = std::unordered_map<std::string, std::int64_t>;

// A session of the batch that `clocks` does not know; null if it knows all.
inline const std::string* session_without_clock(const Batch& batch, const ClockOffsets& clocks) {
  const std::string* found = nullptr;
  batch.each_drain([&](std::size_t, std::size_t, const RowSource& source) {
    if (!clocks.contains(source.session)) found = &source.session;
  });
  return found;
}

struct ChunkLimits {
  std::size_t rows = 65'536;
  std::size_t text_bytes = 64 << 20;
  std::size_t name_bytes = 64 << 20;  // of dictionaries, before new ones are begun
};

// The rows of a batch by (wall time, session key, ring, ticket).
class WallOrder {
 public:
  struct Place {
    std::int64_t ts_ns;
    std::uint32_t row;
    std::uint32_t drain;
  };

  // `clocks` knows all sessions.
  WallOrder(const Batch& batch, const ClockOffsets& clocks) : batch_(batch) {
    places_.reserve(batch.size());
    const auto before = [this](const Place& a, const Place& b) { return is_before(a, b); };
    std::vector<std::size_t> runs;  // where each begins; sorted already, as a rule
    batch.each_drain([&](std::size_t first, std::size_t end, const RowSource& source) {
      runs.push_back(places_.size());
      const std::int64_t offset_ns = clocks.find(source.session)->second;
      const auto drain = static_cast<std::uint32_t>(sources_.size());
      sources_.push_back(&source);
      for (std::size_t row = first; row < end; ++row)
        places_.push_back({wall_ns(time_ns(row), offset_ns), static_cast<std::uint32_t>(row), drain});
      const auto run = places_.begin() + static_cast<std::ptrdiff_t>(runs.back());
      if (!std::is_sorted(run, places_.end(), before)) std::sort(run, places_.end(), before);
    });
    runs.push_back(places_.size());
    while (runs.size() > 2) merge_pairs(runs);
  }

  const std::vector<Place>& places() const { return places_; }
  const RowSource& source(const Place& place) const { return *sources_[place.drain]; }
  // The event's own, monotonic time.
  std::int64_t time_ns(std::size_t row) const { return static_cast<std::int64_t>(batch_.time_ns(row) & INT64_MAX); }

 private:
  // Times of a damaged file stay within 64 bits.
  static std::int64_t wall_ns(std::int64_t time_ns, std::int64_t offset_ns) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(time_ns, offset_ns, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
  }

  bool is_before(const Place& a, const Place& b) const {
    if (a.ts_ns != b.ts_ns) [[likely]] return a.ts_ns < b.ts_ns;
    const RowSource& left = source(a);
    const RowSource& right = source(b);
    if (left.session_key != right.session_key)
      return static_cast<std::int64_t>(left.session_key) < static_cast<std::int64_t>(right.session_key);
    if (left.ring != right.ring) return static_cast<std::int32_t>(left.ring) < static_cast<std::int32_t>(right.ring);
    return static_cast<std::int64_t>(batch_.ticket(a.row)) < static_cast<std::int64_t>(batch_.ticket(b.row));
  }

  void merge_pairs(std::vector<std::size_t>& runs) {
    std::vector<Place> merged(places_.size());
    std::vector<std::size_t> longer;
    const auto at = [](auto& places, std::size_t place) { return places.begin() + static_cast<std::ptrdiff_t>(place); };
    for (std::size_t i = 0; i + 1 < runs.size(); i += 2) {
      const std::size_t middle = runs[i + 1];
      const std::size_t end = i + 2 < runs.size() ? runs[i + 2] : middle;
      std::merge(at(places_, runs[i]), at(places_, middle), at(places_, middle), at(places_, end), at(merged, runs[i]),
                 [this](const Place& a, const Place& b) { return is_before(a, b); });
      longer.push_back(runs[i]);
    }
    longer.push_back(places_.size());
    runs = std::move(longer);
    places_ = std::move(merged);
  }

  const Batch& batch_;
  std::vector<const RowSource*> sources_;  // by drain
  std::vector<Place> places_;
};

class RowEncoder {
 public:
  explicit RowEncoder(const Batch& batch, ChunkLimits limits = {}) : batch_(batch), limits_(limits) {}

  // `clocks` knows all sessions of the batch, which nobody fills meanwhile.
  std::shared_ptr<const Columns> encode(const ClockOffsets& clocks) {
    const WallOrder order(batch_, clocks);
    std::vector<std::shared_ptr<Chunk>> chunks;
    for (std::size_t at = 0; at < order.places().size();) {
      const std::size_t rows = std::min(order.places().size() - at, limits_.rows);
      chunks.push_back(begin(rows));
      at = fill(*chunks.back(), rows, order, at);
    }
    std::vector<std::shared_ptr<const Chunk>> parts;
    for (const std::shared_ptr<Chunk>& each : chunks) {
      each->finish();
      parts.push_back(each);
    }
    return std::make_shared<const Columns>(std::move(parts));
  }

 private:
  struct NamedKind {
    const KnownKind* kind = nullptr;
    std::int32_t event_type = 0;
    std::int32_t component = 0;
  };

  std::shared_ptr<Chunk> begin(std::size_t rows) {
    if (names_ == nullptr || names_->bytes() >= limits_.name_bytes) {
      names_ = std::make_shared<Names>();
      kinds_.fill({});
    }
    return std::make_shared<Chunk>(names_, rows);
  }

  // Appends `rows` rows from place `at` on, less when their texts are long; the place after them.
  std::size_t fill(Chunk& chunk, std::size_t rows, const WallOrder& order, std::size_t at) {
    constexpr std::size_t kTrial = 1024;
    const std::size_t first = at;
    for (; at < first + rows && chunk.text_bytes() < limits_.text_bytes; ++at) {
      if (at - first == kTrial) chunk.expect(rows);
      append(chunk, order.places()[at], order);
    }
    return at;
  }

  void append(Chunk& to, const WallOrder::Place& place, const WallOrder& order) {
    const RowSource& source = order.source(place);
    const DecodedEvent& event = batch_.decode(place.row, source, decoder_);
    std::string_view request = event.request_id;
    if (event.request_lost) request = lost_ = batch_.lost_request(event.request_words);
    const bool known = !event.request_lost || !request.starts_with("lost:");
    to.ts_ns.push(place.ts_ns);
    to.offset_ns.push(place.ts_ns - static_cast<std::int64_t>(event.time_ns));
    to.session.push(static_cast<std::int64_t>(source.session_key));
    to.ring.push(static_cast<std::int32_t>(source.ring));
    to.ticket.push(static_cast<std::int64_t>(batch_.ticket(place.row)));
    append_names(to, event);
    to.request_id.push(request);
    to.decision_chain_id.push(event.chain_id == request ? std::string_view() : event.chain_id);
    append_trace(to, trace_of(event, known ? request : std::string_view(), source.catalogue->run));
    append_span(to, event);
    to.lineage_id.push(static_cast<std::int64_t>(event.lineage_id));
    to.severity.push(std::min<std::int32_t>(event.severity, 4));
    to.duration_ns.push(event.duration_ns);
    to.decision.push(event.decision);
    to.rationale.push(event.rationale);
    to.weight.push(event.threshold == 0 ? 1.0 : weight_of(event.threshold));
    to.event_id.push(event.event_id);
    to.caused_by.push(event.caused_by);
    append_options(to, event);
    to.text_lost.push(event.text_lost);
    to.truncated.push(event.truncated);
    append_attributes(to, event.attributes);
  }

  // Events without a type or component are called "unnamed" everywhere.
  void append_names(Chunk& to, const DecodedEvent& event) {
    const bool declared = event.kind != nullptr && event.event_type.data() == event.kind->schema.name.data() &&
                          event.component.data() == event.kind->schema.component.data();
    NamedKind other;
    NamedKind& named =
        declared ? kinds_[reinterpret_cast<std::uintptr_t>(event.kind) / alignof(std::max_align_t) % kinds_.size()]
                 : other;
    if (!declared || named.kind != event.kind) {
      const auto name = [](std::string_view given) { return given.empty() ? std::string_view("unnamed") : given; };
      named.event_type = names_->event_types.number(name(event.event_type));
      named.component = names_->components.number(name(event.component));
      named.kind = event.kind;
    }
    to.event_type.push(named.event_type);
    to.component.push(named.component);
    to.model_id.push(names_->models.number_of_kept(event.model));
  }

  // The bytes of a trace id are in the order in which they are written.
  static void append_trace(Chunk& to, const TraceId& trace) {
    to.trace_hi.push(static_cast<std::int64_t>(__builtin_bswap64(trace.words[0])));
    to.trace_lo.push(static_cast<std::int64_t>(__builtin_bswap64(trace.words[1])));
  }

  void append_span(Chunk& to, const DecodedEvent& event) {
    to.span_id.push(static_cast<std::int64_t>(event.span_id));
    to.parent_span_id.push(static_cast<std::int64_t>(event.parent_span_id));
    to.span.push(event.span);
    to.status.push(static_cast<std::int32_t>(event.status));
    to.status_message.push(event.status_message);
    text_.clear();
    if (!event.links.empty()) json_.append_links(text_, event.links);
    to.links.push(text_.view());
  }

  void append_options(Chunk& to, const DecodedEvent& event) {
    text_.clear();
    if (!event.options.empty()) JsonParts::append_options(text_, event.options);
    to.options.push(text_.view());
  }

  using Attributes = std::vector<std::pair<std::string_view, Value>>;

  static void append_attributes(Chunk& to, const Attributes& attributes) {
    const bool distinct = are_surely_distinct(attributes);
    for (auto at = attributes.begin(); at != attributes.end(); ++at)
      // in a damaged file two may have one name: the later one counts, as for every reader
      if (distinct || std::none_of(at + 1, attributes.end(), [at](const auto& later) { return same(later.first, at->first); }))
        append_attribute(to, at->first, at->second);
    to.attr_int.end_row();
    to.attr_num.end_row();
    to.attr_str.end_row();
    to.attr_bool.end_row();
    to.attr_uint.end_row();
  }

  static void append_attribute(Chunk& to, std::string_view key, const Value& value) {
    switch (value.type) {
      case ValueType::Int: to.attr_int.add(key, value.integer); return;
      case ValueType::UInt:
        (value.natural > INT64_MAX ? to.attr_uint : to.attr_int).add(key, static_cast<std::int64_t>(value.natural));
        return;
      case ValueType::Float: to.attr_num.add(key, value.real); return;
      case ValueType::Bool: to.attr_bool.add(key, value.truth); return;
      case ValueType::Text: to.attr_str.add(key, value.text); return;
      case ValueType::Lost:
      case ValueType::Absent: return;
    }
  }

  // Names that differ in length or ends; where that does not tell, each is compared.
  static bool are_surely_distinct(const Attributes& attributes) {
    std::uint64_t seen = 0;
    for (const auto& [key, value] : attributes) {
      if (key.empty() || static_cast<unsigned char>(key.front()) >= 0x80) return false;
      const std::size_t mark = key.size() * 31 + static_cast<unsigned char>(key.front()) * 7u +
                               static_cast<unsigned char>(key.back()) + static_cast<unsigned char>(key[key.size() / 2]) * 3u;
      const std::uint64_t bit = std::uint64_t{1} << mark % 64;
      if (seen & bit) return false;
      seen |= bit;
    }
    return true;
  }

  // As they are stored: damaged names may become one.
  static bool same(std::string_view a, std::string_view b) {
    return a == b || (!(is_utf8(a) && is_utf8(b)) && repaired(a) == repaired(b));
  }

  const Batch& batch_;
  const ChunkLimits limits_;
  EventDecoder decoder_;
  std::shared_ptr<Names> names_;
  std::array<NamedKind, 256> kinds_;
  std::string lost_;
  TextOut text_;
  JsonParts json_;
};

}  // namespace whence::arrow
