// Which events of a batch are asked for: the same answer as whence.model.query.TraceQuery.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "decode.hpp"
#include "request.hpp"

namespace whence {

// Filters that must all hold; one that is left out does not apply.
struct Selection {
  std::optional<std::uint64_t> start_ns;  // both ends belong to the interval
  std::optional<std::uint64_t> end_ns;
  std::optional<std::vector<std::string>> event_types;  // any of them
  std::optional<std::vector<std::string>> components;
  std::optional<std::string> model;
  std::optional<std::string> request;
  unsigned min_severity = 0;
  // First ticket wanted of a session's ring; of the others all.
  std::map<std::pair<std::string, std::uint32_t>, std::uint64_t, std::less<>> from_tickets;
  std::size_t first_in_time = 0;  // of the rows in order of time
  std::size_t after_in_time = ~std::size_t{0};
};

class Selector {
 public:
  Selector(const Batch& batch, const Selection& wanted) : batch_(batch), wanted_(wanted) {
    if (!wanted.request) return;
    // The name that stands for a request whose id was overtaken is known only after decoding.
    request_known_ = !wanted.request->starts_with("lost:");
    request_ = encode_request(*wanted.request, request_seed_);
  }

  // The numbers of the rows that pass, in rising order.
  std::vector<std::uint32_t> rows() {
    std::vector<std::uint32_t> passed;
    if (wanted_.first_in_time > 0 || wanted_.after_in_time < batch_.size()) {
      const std::vector<std::uint32_t> order = batch_.in_time_order();
      const std::size_t end = std::min(wanted_.after_in_time, order.size());
      for (std::size_t i = wanted_.first_in_time; i < end; ++i)
        if (passes(order[i])) passed.push_back(order[i]);
      std::sort(passed.begin(), passed.end());
      return passed;
    }
    for (std::size_t row = 0; row < batch_.size(); ++row)
      if (passes(row)) passed.push_back(static_cast<std::uint32_t>(row));
    return passed;
  }

 private:
  bool passes(std::size_t row) {
    const std::uint64_t time_ns = batch_.time_ns(row) & INT64_MAX;
    if (wanted_.start_ns && time_ns < *wanted_.start_ns) return false;
    if (wanted_.end_ns && time_ns > *wanted_.end_ns) return false;
    const std::uint64_t tag = batch_.column(kTagWord)[row];
    if (!request_may_match(row, tag) || !is_new(row)) return false;
    const RowSource& source = batch_.source(row);
    const KnownKind* kind = source.catalogue->kind(static_cast<std::uint16_t>(tag & kTagKindMask));
    // Texts may bring another type, the model and the request; and what is unknown has a made-up name.
    const bool texts = tag & kTagText;
    const bool names = wanted_.event_types || wanted_.components;
    const bool long_request = wanted_.request && request_.form == RequestForm::Long;
    if (wanted_.model || (names && (texts || kind == nullptr)) || long_request ||
        (wanted_.request && !request_known_))
      return decoded_passes(row);
    const std::uint64_t severity = (tag & kTagSeverityMask) >> kTagSeverityShift;
    const unsigned least = severity > 0 ? static_cast<unsigned>(severity - 1)
                                        : kind != nullptr ? kind->schema.severity : 1;
    if (least < wanted_.min_severity) return false;
    return !names || (kind == last_kind_ ? last_passed_ : names_pass(kind));
  }

  bool request_may_match(std::size_t row, std::uint64_t tag) {
    if (!wanted_.request || !request_known_) return true;
    const auto form = static_cast<RequestForm>((tag >> kTagRequestShift) & 3);
    if (form != request_.form) return false;
    if (form == RequestForm::Long) {  // its words depend on the session
      const std::uint64_t seed = batch_.source(row).catalogue->request_seed();
      if (seed != request_seed_) request_ = encode_request(*wanted_.request, request_seed_ = seed);
    }
    return form == RequestForm::None || (batch_.column(kRequestWord)[row] == request_.words[0] &&
                                         batch_.column(kRequestWord + 1)[row] == request_.words[1]);
  }

  bool is_new(std::size_t row) {
    if (wanted_.from_tickets.empty()) return true;
    const RowSource& source = batch_.source(row);
    if (&source != last_source_) {
      last_source_ = &source;
      const auto found = wanted_.from_tickets.find(std::pair{source.session, source.ring});
      first_ticket_ = found != wanted_.from_tickets.end() ? found->second : 0;
    }
    return batch_.ticket(row) >= first_ticket_;
  }

  bool names_pass(const KnownKind* kind) {
    last_kind_ = kind;
    last_passed_ = are_wanted(kind->schema.name, kind->schema.component);
    return last_passed_;
  }

  bool decoded_passes(std::size_t row) {
    const DecodedEvent& event = batch_.decode(row, decoder_);
    if (event.severity < wanted_.min_severity) return false;
    if (wanted_.model && event.model != *wanted_.model) return false;
    if (wanted_.request) {
      const std::string id =
          event.request_lost ? batch_.lost_request(event.request_words) : event.request_id;
      if (id != *wanted_.request) return false;
    }
    return are_wanted(event.event_type, event.component);
  }

  // Events without a type or component are called "unnamed" everywhere.
  bool are_wanted(std::string_view event_type, std::string_view component) const {
    return is_one_of(wanted_.event_types, event_type) && is_one_of(wanted_.components, component);
  }
  static bool is_one_of(const std::optional<std::vector<std::string>>& wanted, std::string_view name) {
    if (name.empty()) name = "unnamed";
    return !wanted || std::find(wanted->begin(), wanted->end(), name) != wanted->end();
  }

  const Batch& batch_;
  const Selection& wanted_;
  RequestId request_;
  std::uint64_t request_seed_ = 0;
  bool request_known_ = false;
  EventDecoder decoder_;
  const KnownKind* last_kind_ = nullptr;
  bool last_passed_ = false;
  const RowSource* last_source_ = nullptr;
  std::uint64_t first_ticket_ = 0;
};

}  // namespace whence
