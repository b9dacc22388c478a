// The links of a record, on their way into their column: a JSON list, as exports have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "decode.hpp"
#include "json.hpp"
#include "otlp_in_attributes.hpp"
#include "otlp_in_messages.hpp"
#include "otlp_in_names.hpp"

namespace whence::otlp {

class LinksIn {
 public:
  // What is cut is noted with the record's attributes.
  LinksIn(const InNames& names, const InLimits& limits, AttributesIn& attributes)
      : names_(names), limits_(limits), attributes_(attributes) {}

  void begin() {
    links_.clear();
    kept_.clear();
  }

  // A link as OTLP has it; of those we sent ourselves only such as no column tells.
  void add(std::string_view message, bool own) {
    std::string_view trace, span, trace_state;
    DecodedLink link;
    bool derived = false;
    for (ProtoIn in(message); in.next();) {
      switch (in.key()) {
        case bytes_field(1): trace = in.bytes(); break;
        case bytes_field(2): span = in.bytes(); break;
        case bytes_field(3): trace_state = in.bytes(); break;
        case bytes_field(4): {
          const PairIn pair = read_pair(in.bytes());
          derived |= own && pair.key == names_.table()[kLinkType];
          add_attribute(link, pair.key, read_any(pair.value));
          break;
        }
        default: in.skip();
      }
    }
    if (derived) return;  // told by a column of its own
    if (trace.size() != 16 || span.size() != 8) return attributes_.note_cut(1);
    std::memcpy(link.trace.words.data(), trace.data(), 16);
    link.span_id = number(span.data());
    if (!trace_state.empty()) {
      AnyIn value;
      value.type = AnyIn::Text;
      value.bytes = trace_state;
      add_attribute(link, "otel.trace_state", value);
    }
    add(std::move(link));
  }

  // A link that was made already.
  void add(DecodedLink link) {
    if (links_.size() >= limits_.parts) return attributes_.note_cut(1);
    links_.push_back(std::move(link));
  }

  void add_attribute(DecodedLink& link, std::string_view key, const AnyIn& given) {
    if (link.attributes.size() >= limits_.attributes || key.size() > limits_.key_bytes) return attributes_.note_cut(1);
    for (const auto& [other, value] : link.attributes)
      if (other == key) return attributes_.note_cut(1);
    Value value;
    switch (given.type) {
      case AnyIn::Bool:
        value.type = ValueType::Bool;
        value.truth = given.integer != 0;
        break;
      case AnyIn::Int:
        value.type = ValueType::Int;
        value.integer = given.integer;
        break;
      case AnyIn::Real:
        value.type = ValueType::Float;
        value.real = given.real;
        break;
      case AnyIn::Text:
        value.type = ValueType::Text;
        value.text = text_within(given.bytes);
        break;
      default: {
        TextOut text;
        JsonIn json(limits_);
        if (!json.write(text, given)) return attributes_.note_cut(1);
        value.type = ValueType::Text;
        value.text = keep(std::string(text.view()));
      }
    }
    link.attributes.emplace_back(key, value);
  }

  // All of them; empty if there are none. Good until the next record.
  std::string_view text() {
    text_.clear();
    if (!links_.empty()) parts_.append_links(text_, links_);
    return text_.view();
  }

 private:
  std::string_view text_within(std::string_view text) {
    const std::string_view kept = within(text, limits_.value_bytes);
    if (kept.size() != text.size()) attributes_.note_cut(1);
    return kept;
  }
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  const InNames& names_;
  const InLimits& limits_;
  AttributesIn& attributes_;
  std::vector<DecodedLink> links_;
  std::deque<std::string> kept_;
  JsonParts parts_;
  TextOut text_;
};

}  // namespace whence::otlp
