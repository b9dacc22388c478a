// Encodes an event's variable parts (options, attributes, ids) from exact Python values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "context.hpp"
#include "py.hpp"
#include "whence/text_block.hpp"

namespace whence::py {

// The full id of a Long request: whole or not at all, since two ids cut short could be taken for
// one another. Left out, it shows as the id's 128-bit fingerprint.
inline void put_request(TextBlock& block, std::string_view id) {
  block.whole(Entry::Request, 0, id.data(), id.size());
}

// What the ambient context adds: the full id of a Long request, chain and lineage.
inline void put_context(TextBlock& block, const ContextObject& context) {
  if (context.request.form == RequestForm::Long) put_request(block, context.request_id);
  if (!context.chain_id.empty()) block.id(Entry::Chain, 0, context.chain_id);
  if (context.lineage_id != 0) block.whole(Entry::Lineage, 0, &context.lineage_id, 8);
}

inline bool context_needs_text(const ContextObject* context) {
  return context != nullptr && (context->request.form == RequestForm::Long ||
                                !context->chain_id.empty() || context->lineage_id != 0);
}

// `options` as convert_options() made them; and the bytes that they, or null, take.
void put_options(TextBlock& block, PyObject* options);
std::size_t options_bytes(PyObject* options);

// `attributes` as convert_attributes() made them; and the bytes that they, or null, take from
// `first` on.
void put_attributes(TextBlock& block, PyObject* attributes);
std::size_t attributes_bytes(PyObject* attributes, Py_ssize_t first = 0);

}  // namespace whence::py
