// The slow halves of producer.hpp: naming the session, and writing an event that needs text.
#pragma once

#include <bit>
#include <cerrno>
#include <mutex>

#include "blank.hpp"
#include "producer.hpp"

namespace whence {

namespace detail {

inline void put_json_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    char escape[8];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  out += '"';
}

inline std::string_view first_set(std::initializer_list<const char*> candidates) {
  for (const char* text : candidates)
    if (text != nullptr && *text != 0) return text;
  return "c++";
}

inline std::string describe_process(std::string_view service) {
#if defined(__GLIBC__)
  const char* program = program_invocation_short_name;
#else
  const char* program = getprogname();
#endif
  if (service.empty())
    service = first_set({std::getenv("WHENCE_SERVICE"), std::getenv("OTEL_SERVICE_NAME"), program});
  std::string out = "{\"service\": ";
  put_json_text(out, service.substr(0, cut_at_code_point(service, 256)));
  out += ", \"language\": \"c++\"}";
  return out;
}

inline bool configure_recorder(const StartSettings& wanted) {
  RecorderSettings settings = Recorder::get().settings();
  settings.description = describe_process(wanted.service);
  settings.ring_slots = wanted.ring_slots;
  settings.text_bytes = wanted.text_bytes;
  if (const char* run = std::getenv("WHENCE_RUN")) settings.run = std::strtoull(run, nullptr, 16);
  return Recorder::get().configure(settings);
}

inline void prepare_recorder() {
  static std::once_flag once;
  std::call_once(once, [] { configure_recorder({}); });
}

}  // namespace detail

inline bool start(const StartSettings& settings) {
  detail::prepare_recorder();
  const bool first = detail::configure_recorder(settings);
  Recorder::get().start();
  return first;
}

inline void EventDraft::add_text(std::size_t index, std::size_t offset, std::string_view text) {
  if (is_blank(text)) blank_ |= 1ull << index;
  const std::uint16_t id = state_.session->names().intern(text);
  if (id == kNameInText) {
    text_fields_ |= 1ull << index;
    texts_[index] = {text.data(), text.size()};
  }
  std::memcpy(image_ + offset, &id, sizeof id);
}

inline bool EventDraft::is_too_weak(Gate gate) const {
  for (std::size_t i = 0; i < kind_.schema.fields.size(); ++i) {
    const Field& field = kind_.schema.fields[i];
    if (field.role == FieldRole::Strength && (absent_ >> i & 1) == 0)
      return gate.is_below_minimum(static_cast<float>(number_at(field.type, image_ + field.offset)));
  }
  return false;
}

// Counts what the gate leaves out.
inline bool EventDraft::passes(Gate gate, const RequestId* request) {
  if (gate.plain() || gate.exempt() || kind_.schema.exempt) return true;
  const std::uint64_t value = gate.threshold() == 0 ? kSampleSteps
                              : request != nullptr && request->form != RequestForm::None
                                  ? sample_value_of_key(request->key)
                                  : state_.sample_value();
  const bool sampled_out = value < gate.threshold();
  if (!sampled_out && !is_too_weak(gate)) {
    tag_ |= gate.threshold() << kTagThresholdShift;
    return true;
  }
  state_.writer.count(kind_.id, sampled_out ? kSampledOut : kBelowMinimum);
  return false;
}

inline bool EventDraft::write(std::uint64_t must_say, std::size_t image_bytes, Gate gate) {
  if (must_say != 0 && (blank_ & must_say) == must_say) [[unlikely]] {
    state_.writer.count(kind_.id, kRejected);
    return false;
  }
  const RequestScope* scope = RequestScope::t_scope;
  const RequestId* request = !request_text_.empty() ? &request_
                             : scope != nullptr     ? &scope->request_
                                                    : nullptr;
  if (!passes(gate, request)) return false;
  SlotImage slot;
  std::uint64_t tag = tag_ | kind_.id;
  if (request != nullptr) {
    tag |= static_cast<std::uint64_t>(request->form) << kTagRequestShift;
    slot.words[kRequestWord] = request->words[0];
    slot.words[kRequestWord + 1] = request->words[1];
  }
  const RequestScope* inherited = request_text_.empty() ? scope : nullptr;
  const bool long_request = request != nullptr && request->form == RequestForm::Long;
  const bool needs_text =
      text_fields_ != 0 || absent_ != 0 || options_.size() > 0 || !caused_by_.empty() ||
      long_request || image_bytes > kInlineFieldBytes ||
      (inherited != nullptr && (!inherited->chain_id_.empty() || inherited->lineage_id_ != 0));
  std::byte* scratch = needs_text ? state_.scratch_bytes() : nullptr;
  if (scratch == nullptr) [[likely]] {
    slot.set_fields(image_, std::min(image_bytes, kInlineFieldBytes));
    slot.words[kTagWord] = tag;
    slot.words[kTimeWord] = event_time_ns(state_);
    return state_.writer.write(slot);
  }
  TextBlock block(scratch, std::max<std::size_t>(state_.writer.max_text_bytes(), 64));
  put_text_block(block, inherited);
  const std::size_t bytes = block.finish();
  if (block.truncated()) {
    tag |= kTagTruncated;
    state_.writer.count_truncated();
  }
  slot.set_fields(image_, std::min(image_bytes, kFieldBytesWithText));
  slot.words[kTagWord] = tag | kTagText;
  slot.words[kTimeWord] = event_time_ns(state_);
  return state_.writer.write(slot, block.data(), bytes);
}

inline void EventDraft::put_text_block(TextBlock& block, const RequestScope* scope) const {
  block.image_rest(image_, kind_.schema.image_bytes);
  if (absent_ != 0) block.whole(Entry::Absent, 0, &absent_, 8);
  const std::string_view long_id = !request_text_.empty() ? request_text_
                                   : scope != nullptr     ? std::string_view(scope->id_)
                                                          : std::string_view();
  if (!long_id.empty() && encode_request(long_id, 0).form == RequestForm::Long)
    block.whole(Entry::Request, 0, long_id.data(), long_id.size());
  if (scope != nullptr && !scope->chain_id_.empty()) block.text(Entry::Chain, 0, scope->chain_id_);
  if (scope != nullptr && scope->lineage_id_ != 0)
    block.whole(Entry::Lineage, 0, &scope->lineage_id_, 8);
  for (std::uint64_t left = text_fields_; left != 0; left &= left - 1) {
    const auto index = static_cast<std::uint8_t>(std::countr_zero(left));
    block.text_before([&, left] { return bytes_after(left & (left - 1)); }, Entry::FieldText, index,
                      {texts_[index].data, texts_[index].bytes});
  }
  if (!caused_by_.empty()) block.text(Entry::CausedBy, 0, caused_by_);
  for (const Option& option : options_) put_option(block, option);
}

// What the texts of these fields take, and all that comes after them.
inline std::size_t EventDraft::bytes_after(std::uint64_t fields) const {
  std::size_t bytes = caused_by_.empty() ? 0 : kEntryHeaderBytes + caused_by_.size();
  for (const Option& option : options_) {
    bytes += kEntryHeaderBytes + 5 + option.name.size() + option.reason.size();
    for (const Score& score : option.scores) bytes += 10 + score.criterion.size();
  }
  for (; fields != 0; fields &= fields - 1)
    bytes += kEntryHeaderBytes + texts_[std::countr_zero(fields)].bytes;
  return bytes;
}

// An option is written whole or, beyond 4 KiB, left out and told of as truncated.
inline void EventDraft::put_option(TextBlock& block, const Option& option) {
  std::byte payload[4096];
  std::size_t used = 0;
  std::size_t wanted = 0;
  const auto append = [&](const void* data, std::size_t bytes) {
    wanted += bytes;
    if (wanted > sizeof payload) return;
    if (bytes > 0) std::memcpy(payload + used, data, bytes);
    used += bytes;
  };
  const auto append_short = [&](std::string_view text) {
    const auto bytes = static_cast<std::uint16_t>(cut_at_code_point(text, 0xffff));
    append(&bytes, sizeof bytes);
    append(text.data(), bytes);
  };
  append_short(option.name);
  append_short(option.reason);
  const auto scores = static_cast<std::uint8_t>(std::min<std::size_t>(option.scores.size(), 255));
  append(&scores, sizeof scores);
  for (std::size_t i = 0; i < scores; ++i) {
    append_short(option.scores.begin()[i].criterion);
    append(&option.scores.begin()[i].value, 8);
  }
  if (wanted <= sizeof payload)
    block.whole(Entry::Option, option.chosen ? 1 : 0, payload, used);
  else
    block.left_out(Entry::Option, wanted);
}

}  // namespace whence
