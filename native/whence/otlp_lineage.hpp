// The parents that a `lineage_link` names, as the ids that OpenTelemetry's links have.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "decode.hpp"

namespace whence::otlp {

// As OpenTelemetry's own SDKs keep by default; the text of all parents is an attribute beside.
constexpr std::size_t kMostLinks = 128;

// What model/lineage_events.py writes, read by the same rules: decimal ids with one space between.
class LineageParents {
 public:
  // The parents of this event; none of any other event, and none where their text is not whole.
  void read(const DecodedEvent& event) {
    ids_.clear();
    dropped_ = 0;
    if (event.event_type != "lineage_link" || event.text_lost || event.truncated) return;
    for (const auto& [name, value] : event.attributes)
      if (name == "parents" && value.type == ValueType::Text) return split(value.text);
  }
  const std::vector<std::uint64_t>& ids() const { return ids_; }
  std::uint32_t dropped() const { return dropped_; }

 private:
  void split(std::string_view text) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
      std::uint64_t id = 0;
      const auto [stop, error] = std::from_chars(at, end, id);
      if (error != std::errc() || id == 0 || (stop != end && (*stop != ' ' || stop + 1 == end))) {
        ids_.clear();  // others' text: no part of it is believed
        dropped_ = 0;
        return;
      }
      if (ids_.size() < kMostLinks)
        ids_.push_back(id);
      else
        ++dropped_;
      at = stop == end ? end : stop + 1;
    }
  }

  std::vector<std::uint64_t> ids_;
  std::uint32_t dropped_ = 0;
};

}  // namespace whence::otlp
