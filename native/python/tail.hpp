// Encodes an event's variable parts (options, attributes, ids) from exact Python values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "context.hpp"
#include "py.hpp"
#include "whence/ring_writer.hpp"
#include "whence/text_block.hpp"

namespace whence::py {

// The full id of a Long request: whole or not at all, since two ids cut short could be taken for
// one another. Left out, it shows as the id's 128-bit fingerprint.
inline void put_request(TextBlock& block, std::string_view id) {
  block.whole(Entry::Request, 0, id.data(), id.size());
}

// What the ambient context adds: the full id of a Long request, chain, lineage and foreign trace.
inline void put_context(TextBlock& block, const ContextObject& context) {
  if (!context.needs_text) return;
  const ContextTexts& texts = context.texts();
  if (context.request.form == RequestForm::Long) put_request(block, texts.request_id);
  if (!texts.chain_id.empty()) block.id(Entry::Chain, 0, texts.chain_id);
  if (context.lineage_id != 0) block.whole(Entry::Lineage, 0, &context.lineage_id, 8);
  if (context.has_request() && context.trace) block.whole(Entry::Trace, 0, context.trace.words.data(), 16);
}

// Puts the ambient request, or the trace where there is none, into the slot.
inline void put_request_words(SlotImage& slot, std::uint64_t& tag, const ContextObject& context) {
  const bool bare_trace = !context.has_request() && context.trace;
  tag |= static_cast<std::uint64_t>(context.request.form) << kTagRequestShift | (bare_trace ? kTagTrace : 0);
  const auto& words = bare_trace ? context.trace.words : context.request.words;
  slot.words[kRequestWord] = words[0];
  slot.words[kRequestWord + 1] = words[1];
}

inline bool context_needs_text(const ContextObject* context) {
  return context != nullptr && context->needs_text;
}

// `options` as convert_options() made them; and the bytes that they, or null, take.
void put_options(TextBlock& block, PyObject* options);
std::size_t options_bytes(PyObject* options);

// `attributes` as convert_attributes() made them; and the bytes that they, or null, take from
// `first` on.
void put_attributes(TextBlock& block, PyObject* attributes);
std::size_t attributes_bytes(PyObject* attributes, Py_ssize_t first = 0);

// The same `attributes` as a link has them.
void append_attributes(std::string& out, PyObject* attributes);

}  // namespace whence::py
