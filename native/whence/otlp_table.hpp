// What an OTLP export is told from outside: names of columns, sessions and limits.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "values.hpp"

namespace whence::otlp {

// Our columns, as the table of conventions (src/whence/export/conventions.py) calls them.
enum Column : std::size_t {
  kEventType,
  kComponent,
  kEventId,
  kRequestId,
  kChainId,
  kModelId,
  kGenAiModel,
  kRationale,
  kSeverity,
  kDuration,
  kDecision,
  kChosen,
  kOptions,
  kOptionName,
  kOptionChosen,
  kOptionReason,
  kOptionScores,
  kCausedBy,
  kLineageId,
  kLinks,
  kLinkType,
  kLinkTraceId,
  kLinkSpanId,
  kWeight,
  kTextLost,
  kTruncated,
  kOtelSpanKind,
  kOtelDroppedAttributes,
  kOtelDroppedEvents,
  kOtelDroppedLinks,
  kColumns,
};
inline constexpr std::array<const char*, kColumns> kColumnKeys = {
    "event_type",    "component",      "event_id",      "request_id",    "decision_chain_id",
    "model_id",      "gen_ai_model",   "rationale",     "severity",      "duration_ns",
    "decision",      "chosen",         "options",       "option.name",   "option.chosen",
    "option.reason", "option.scores",  "caused_by",     "lineage_id",    "links",
    "link.type",     "link.trace_id",  "link.span_id",  "weight",        "text_lost",
    "truncated",     "otel.span_kind", "otel.dropped_attributes", "otel.dropped_events",
    "otel.dropped_links",
};

struct Table {
  std::array<std::string, kColumns> columns;
  std::unordered_map<std::string, std::string> attributes;  // by the name that was declared
  std::unordered_map<std::string, std::unordered_map<std::string, std::string>> kinds;  // the same of one kind
  std::unordered_set<std::string> texts;  // names of 64-bit ids: always text, whatever their size
  std::string event_prefix;  // of kinds without a name of their own
  std::string scope_name;
  std::string scope_version;
  std::string schema_url;

  const std::string& operator[](Column column) const { return columns[column]; }
  // Is it the name of an attribute that we write, so that an event's own must not repeat it?
  bool is_column(std::string_view name) const {
    constexpr std::size_t kInner[] = {kGenAiModel,   kOptionName, kOptionChosen, kOptionReason,
                                      kOptionScores, kLinkType,   kLinkTraceId,  kLinkSpanId,
                                      kOtelSpanKind, kOtelDroppedAttributes, kOtelDroppedEvents,
                                      kOtelDroppedLinks};
    for (std::size_t i = 0; i < kColumns; ++i)
      if (columns[i] == name && std::find(std::begin(kInner), std::end(kInner), i) == std::end(kInner)) return true;
    return false;
  }
};

struct ResourceAttribute {
  std::string key;
  std::string text;  // of a Text value
  Value value;
};

struct SessionFacts {
  std::vector<ResourceAttribute> resource;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> anchors;  // (monotonic, wall) in order

  // Wall time by the nearest anchor, the earlier of two as near; 0, which OTLP reads as unknown,
  // without any or when out of range.
  std::uint64_t wall_ns(std::uint64_t monotonic_ns) const {
    if (anchors.empty()) return 0;
    auto after = std::lower_bound(anchors.begin(), anchors.end(), std::pair(monotonic_ns, std::uint64_t{0}));
    if (after == anchors.end() ||
        (after != anchors.begin() && monotonic_ns - (after - 1)->first <= after->first - monotonic_ns))
      --after;
    const __int128 wall = static_cast<__int128>(after->second) + monotonic_ns - after->first;
    const auto narrow = static_cast<std::uint64_t>(wall);
    return narrow == wall ? narrow : 0;
  }
};
using Sessions = std::unordered_map<std::string, SessionFacts>;

// Which events are spans: those with a duration, the others being log records; or none.
enum class Signals : std::uint8_t { Both, Logs, Spans };

struct Limits {
  Signals signals = Signals::Both;
  std::size_t most_bytes = 4 << 20;     // of a request; a single event may be larger
  std::size_t most_events = ~0ull;      // of a request
  std::size_t most_attributes = 128;    // of an event's own
};

}  // namespace whence::otlp
