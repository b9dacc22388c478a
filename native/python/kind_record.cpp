// The way of a typed event from its arguments to the ring.
#include <bit>
#include <new>
#include <cstring>

#include "context.hpp"
#include "convert.hpp"
#include "kind.hpp"
#include "kind_object.hpp"
#include "tail.hpp"
#include "unbox.hpp"
#include "whence/blank.hpp"

namespace whence::py {

namespace {

// ---------------------------------------------------------------- binding arguments

// Fills `bound` from positional and keyword arguments and defaults, as a Python call would.
bool bind(const KindObject& self, PyObject* const* args, std::size_t given, PyObject* keywords,
          PyObject** bound) {
  const std::size_t fields = self.plans.size();
  const char* name = self.kind->schema.name.c_str();
  if (given > self.positional) {
    PyErr_Format(PyExc_TypeError, "%s() takes %zu%s argument%s but %zu were given", name, self.positional,
                 self.positional < fields ? " positional" : "", self.positional == 1 ? "" : "s", given);
    return false;
  }
  for (std::size_t i = 0; i < fields; ++i) bound[i] = i < given ? args[i] : nullptr;
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t k = 0; k < named; ++k) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, k);
    std::size_t at = 0;
    while (at < fields && self.plans[at].name != keyword) ++at;
    if (at == fields)
      for (at = 0; at < fields && PyUnicode_Compare(self.plans[at].name, keyword) != 0;) ++at;
    if (at == fields || bound[at] != nullptr) {
      PyErr_Format(PyExc_TypeError,
                   at == fields ? "%s() got an unexpected argument '%U'"
                                : "%s() got multiple values for argument '%U'",
                   name, keyword);
      return false;
    }
    bound[at] = args[given + static_cast<std::size_t>(k)];
  }
  for (std::size_t i = 0; i < fields; ++i) {
    if (bound[i] == nullptr) bound[i] = self.plans[i].fallback;
    if (bound[i] != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "%s() is missing the argument '%U'", name, self.plans[i].name);
    return false;
  }
  return true;
}

// ---------------------------------------------------------------- encoding

// An event between its arguments and its slot.
struct Draft {
  alignas(8) std::byte image[kMaxImageBytes];  // the first kInlineFieldBytes are zeroed by the caller
  std::uint64_t text_fields = 0;  // fields whose string goes to the text block
  std::uint64_t absent = 0;
  std::uint64_t blank = 0;  // fields whose string says nothing
  std::uint64_t tag = 0;
  PyObject* options = nullptr;
  std::string_view caused_by;
  std::string_view request_text;
  bool has_request = false;
  RequestId request;
  struct {
    const char* data;
    std::size_t bytes;
  } texts[kMaxFields];  // set where text_fields says so; never cleared, it would cost every event
  std::vector<Ref> owners;  // bytes of strings that UTF-8 cannot hold
};

Unboxed text_of(Draft& draft, PyObject* value, std::string_view& out) {
  if (!PyUnicode_Check(value)) return Unboxed::NeedsConversion;
  Ref owner;
  if (!utf8_of(value, out, owner)) return Unboxed::Error;
  if (owner) [[unlikely]] draft.owners.push_back(std::move(owner));
  return Unboxed::Ok;
}

Unboxed encode_name(Draft& draft, FieldPlan& plan, std::size_t index, WriterState& state,
                    PyObject* value) {
  std::uint16_t id = kNameInText;
  if (kGil && value == plan.last_text && plan.last_session == state.session) {
    id = plan.last_id;
  } else {
    std::string_view text;
    const Unboxed done = text_of(draft, value, text);
    if (done != Unboxed::Ok) return done;
    const bool blank = is_blank(text);
    if (blank) draft.blank |= 1ull << index;
    id = state.session->names().intern(text);
    if (id == kNameInText) {
      draft.text_fields |= 1ull << index;
      draft.texts[index] = {text.data(), text.size()};
    } else if (kGil && !blank && PyUnicode_CheckExact(value)) {  // a subclass may have a __del__
      Py_XSETREF(plan.last_text, Py_NewRef(value));
      plan.last_session = state.session;
      plan.last_id = id;
    }
  }
  store(draft.image + plan.offset, &id, 2);
  return Unboxed::Ok;
}

Unboxed encode_elsewhere(Draft& draft, const FieldPlan& plan, PyObject* value) {
  switch (plan.role) {
    case FieldRole::Severity: {
      std::uint64_t severity = 0;
      const Unboxed done = unbox_u64(value, severity, 4);
      draft.tag |= (severity + 1) << kTagSeverityShift;
      return done;
    }
    case FieldRole::Request:
      if (!PyUnicode_Check(value)) return Unboxed::NeedsConversion;
      if (!strict_utf8_of(value, draft.request_text)) return Unboxed::Error;
      draft.request = encode_request(draft.request_text, Recorder::get().request_seed());
      draft.has_request = !draft.request_text.empty();
      return Unboxed::Ok;
    case FieldRole::CausedBy: return text_of(draft, value, draft.caused_by);
    case FieldRole::Options:  // a tuple only convert_options() makes is safe to encode
      if (PyTuple_CheckExact(value) && PyTuple_GET_SIZE(value) == 0) return Unboxed::Ok;
      return Unboxed::NeedsConversion;
    default: return Unboxed::NeedsConversion;
  }
}

Unboxed encode_field(Draft& draft, FieldPlan& plan, std::size_t index, WriterState& state,
                     PyObject* value) {
  if (value == Py_None && plan.optional) {
    draft.absent |= 1ull << index;
    draft.blank |= 1ull << index;
    std::memset(draft.image + plan.offset, 0, field_bytes(plan.type));
    return Unboxed::Ok;
  }
  if (plan.type == FieldType::Name) return encode_name(draft, plan, index, state, value);
  if (plan.type == FieldType::None) return encode_elsewhere(draft, plan, value);
  return unbox_scalar(plan.type, value, draft.image + plan.offset);
}

// What the texts of these fields take, and all that comes after them.
std::size_t bytes_after(const Draft& draft, std::uint64_t fields) {
  std::size_t bytes = options_bytes(draft.options);
  if (!draft.caused_by.empty()) bytes += kEntryHeaderBytes + draft.caused_by.size();
  for (; fields != 0; fields &= fields - 1)
    bytes += kEntryHeaderBytes + draft.texts[std::countr_zero(fields)].bytes;
  return bytes;
}

// Writes the drafted event. From here on nothing can fail and no Python code runs.
void write_draft(const KindObject& self, WriterState& state, Draft& draft, const ContextObject* context) {
  const whence::Kind& kind = *self.kind;
  const std::size_t image_bytes = kind.schema.image_bytes;
  if (draft.has_request && context != nullptr && is_request_of(*context, draft.request, draft.request_text))
    draft.has_request = false;
  SlotImage slot;
  std::uint64_t tag = draft.tag | kind.id;
  if (draft.has_request) {
    tag |= static_cast<std::uint64_t>(draft.request.form) << kTagRequestShift;
    slot.words[kRequestWord] = draft.request.words[0];
    slot.words[kRequestWord + 1] = draft.request.words[1];
  } else if (context != nullptr) {
    put_request_words(slot, tag, *context);
  }
  const bool long_request = draft.has_request && draft.request.form == RequestForm::Long;
  const ContextObject* inherited = draft.has_request ? nullptr : context;
  const std::uint64_t span_id = context != nullptr ? context->span_id : 0;
  if (span_id != 0) tag |= kTagSpan;
  const bool foreign_span = draft.has_request && span_id != 0;  // another request's, in the span's trace
  const bool needs_text = draft.text_fields != 0 || draft.absent != 0 || draft.options != nullptr ||
                          !draft.caused_by.empty() || long_request || foreign_span ||
                          image_bytes > kInlineFieldBytes || context_needs_text(inherited) ||
                          (span_id != 0 && image_bytes > kFieldBytesWithText);
  if (!needs_text) [[likely]] {
    slot.set_fields(draft.image, std::min(image_bytes, kInlineFieldBytes));
    if (span_id != 0) slot.words[kTextWord] = span_id;  // its image leaves the word free
    slot.words[kTagWord] = tag;
    slot.words[kTimeWord] = event_time_ns(state);
    state.writer.write(slot);
    return;
  }
  std::byte* scratch = state.scratch_bytes();
  if (scratch == nullptr) throw std::bad_alloc();
  TextBlock block(scratch, std::max<std::size_t>(state.writer.max_text_bytes(), 64));
  block.image_rest(draft.image, image_bytes);
  if (draft.absent != 0) block.whole(Entry::Absent, 0, &draft.absent, 8);
  if (long_request) put_request(block, draft.request_text);
  if (inherited != nullptr) put_context(block, *inherited);
  if (foreign_span) block.whole(Entry::Trace, 0, trace_of_context(*context).words.data(), 16);
  if (span_id != 0) block.whole(Entry::Span, 0, &span_id, 8);
  for (std::uint64_t left = draft.text_fields; left != 0; left &= left - 1) {
    const auto index = static_cast<std::uint8_t>(std::countr_zero(left));
    block.text_before([&, left] { return bytes_after(draft, left & (left - 1)); }, Entry::FieldText, index,
                      {draft.texts[index].data, draft.texts[index].bytes});
  }
  if (!draft.caused_by.empty()) block.id(Entry::CausedBy, 0, draft.caused_by);
  if (draft.options != nullptr) put_options(block, draft.options);
  const std::size_t bytes = block.finish();
  if (block.truncated()) {
    tag |= kTagTruncated;
    state.writer.count_truncated();
  }
  slot.set_fields(draft.image, std::min(image_bytes, kFieldBytesWithText));
  slot.words[kTagWord] = tag | kTagText;
  slot.words[kTimeWord] = event_time_ns(state);
  state.writer.write(slot, block.data(), bytes);
}

// ---------------------------------------------------------------- calling

PyObject* reject(const KindObject& self) {
  try {
    if (WriterState* state = thread_writer()) state->writer.count(self.kind->id, kRejected);
  } catch (const std::bad_alloc&) {  // not even a ring to count in
  }
  return refuse();
}

// What an argument that is kept outside of the field image must be.
const char* wanted_type(const FieldPlan& plan) {
  return plan.role == FieldRole::Severity ? "whence.Severity" : "str";
}

// Puts the kind and the argument before what the exception says. One with other members than a
// message, such as UnicodeEncodeError, or from the caller's own code keeps its words and gets a note.
void name_argument(const KindObject& self, std::size_t index) {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  const char* kind = self.kind->schema.name.c_str();
  PyObject* argument = self.plans[index].name;
  const bool plain = type == PyExc_TypeError || type == PyExc_ValueError || type == PyExc_OverflowError;
  Ref done;
  if (plain && trace == nullptr) {
    Ref said(PyUnicode_FromFormat("%s(): argument '%U': %S", kind, argument, value));
    Ref arguments(said ? PyTuple_Pack(1, said.get()) : nullptr);
    if (arguments && PyObject_SetAttrString(value, "args", arguments.get()) == 0) done = Ref::to(value);
  } else {
    done = Ref(PyObject_CallMethod(value, "add_note", "N",
                                   PyUnicode_FromFormat("%s(): argument '%U'", kind, argument)));
  }
  if (!done) PyErr_Clear();  // the exception itself matters more
  PyErr_Restore(type, value, trace);
}

[[gnu::noinline, gnu::cold]] PyObject* reject_argument(const KindObject& self, std::size_t index) {
  if (is_strict()) name_argument(self, index);
  return reject(self);
}

PyObject* record_values(KindObject& self, PyObject* const* values, PyObject* options, Gate gate);

// Converts whatever is not exact, which may run Python code, then records.
PyObject* record_converted(KindObject& self, PyObject* const* values, Gate gate) {
  const std::size_t fields = self.plans.size();
  std::vector<Ref> kept(fields);
  std::vector<PyObject*> exact(fields);
  Ref options;
  for (std::size_t i = 0; i < fields; ++i) {
    const FieldPlan& plan = self.plans[i];
    // NOLINTBEGIN(clang-analyzer-core.UndefinedBinaryOperatorResult): bind() filled as many as plans
    if (plan.role == FieldRole::Options && !(values[i] == Py_None && plan.optional)) {
      options = Ref(convert_options(values[i]));
      if (!options) return reject_argument(self, i);
      kept[i] = Ref(PyTuple_New(0));
    } else if ((values[i] == Py_None && plan.optional) || plan.type == FieldType::None) {
      // NOLINTEND(clang-analyzer-core.UndefinedBinaryOperatorResult)
      kept[i] = Ref::to(values[i]);
    } else {
      std::byte ignored[8];
      const bool fits = plan.type == FieldType::Name
                            ? PyUnicode_Check(values[i])
                            : unbox_scalar(plan.type, values[i], ignored) != Unboxed::NeedsConversion;
      PyErr_Clear();  // a value out of range is found again below
      kept[i] = fits ? Ref::to(values[i]) : Ref(convert_scalar(plan.type, plan.role, values[i]));
    }
    if (!kept[i]) return reject_argument(self, i);
    exact[i] = kept[i].get();
  }
  return record_values(self, exact.data(), options ? options.get() : Py_None, gate);
}

[[gnu::noinline]] bool is_too_weak(const KindObject& self, const Draft& draft, Gate gate) {
  const std::size_t at = self.strength_at;
  return at != kNoField && (draft.absent >> at & 1) == 0 &&
         gate.is_below_minimum(static_cast<float>(number_at(self.plans[at].type, draft.image + self.plans[at].offset)));
}

// The first field that is not within its limits, or kNoField; no NaN is.
[[gnu::noinline]] std::size_t find_unlimited(const KindObject& self, const Draft& draft) {
  for (std::size_t i = 0; i < self.plans.size(); ++i) {
    const FieldPlan& plan = self.plans[i];
    if (!plan.limited || draft.absent >> i & 1) continue;
    const double value = number_at(plan.type, draft.image + plan.offset);
    if (value >= plan.least && value <= plan.most) continue;
    char text[64];
    std::snprintf(text, sizeof text, "must be from %g to %g, not %g", plan.least, plan.most, value);
    PyErr_SetString(PyExc_ValueError, text);
    return i;
  }
  return kNoField;
}

// `options` is null at the first try; then what convert_options() made, or None.
[[gnu::noinline]] PyObject* record_values(KindObject& self, PyObject* const* values, PyObject* options,
                                          Gate gate) {
  WriterState* state = thread_writer();
  if (state == nullptr) [[unlikely]] Py_RETURN_NONE;  // counted as unrecorded
  Draft draft;
  std::memset(draft.image, 0, kInlineFieldBytes);
  draft.tag = gate.threshold() << kTagThresholdShift;
  const std::size_t fields = self.plans.size();
  for (std::size_t i = 0; i < fields; ++i) {
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): bind() filled as many as there are plans
    const Unboxed done = encode_field(draft, self.plans[i], i, *state, values[i]);
    if (done == Unboxed::Ok) [[likely]] continue;
    if (done == Unboxed::NeedsConversion) {
      if (options == nullptr) return record_converted(self, values, gate);
      PyErr_Format(PyExc_TypeError, "expected %s, got %s", wanted_type(self.plans[i]),
                   Py_TYPE(values[i])->tp_name);
    }
    return reject_argument(self, i);
  }
  if (self.limited) [[unlikely]]
    if (const std::size_t bad = find_unlimited(self, draft); bad != kNoField)
      return reject_argument(self, bad);
  if (self.must_say != 0 && (draft.blank & self.must_say) == self.must_say) {
    PyErr_Format(PyExc_ValueError, "%s is a decision: it needs a rationale that is not empty",
                 self.kind->schema.name.c_str());
    return reject(self);
  }
  if (gate.has_minimum() && is_too_weak(self, draft, gate)) [[unlikely]] {
    state->writer.count(self.kind->id, kBelowMinimum);
    Py_RETURN_NONE;
  }
  if (options != nullptr && options != Py_None) draft.options = options;
  const Ref context = current_context();
  write_draft(self, *state, draft, reinterpret_cast<ContextObject*>(context.get()));
  Py_RETURN_NONE;
}

[[gnu::noinline]] PyObject* record_bound(KindObject& self, PyObject* const* args, std::size_t given,
                                         PyObject* keywords, Gate gate) {
  PyObject* bound[kMaxFields];
  if (!bind(self, args, given, keywords, bound)) return reject(self);
  return record_values(self, bound, nullptr, gate);
}

// ---------------------------------------------------------------- sampling

// The argument that names the event's request, before arguments are bound; or null.
PyObject* request_argument(const KindObject& self, PyObject* const* args, std::size_t given,
                           PyObject* keywords) {
  const FieldPlan& plan = self.plans[self.request_at];
  if (self.request_at < given) return args[self.request_at];
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t k = 0; k < named; ++k) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, k);
    if (keyword == plan.name || PyUnicode_Compare(keyword, plan.name) == 0)
      return args[given + static_cast<std::size_t>(k)];
  }
  return plan.fallback;
}

// What the call is sampled by. Nothing is unboxed yet, but for a request of its own.
std::uint64_t sample_value(const KindObject& self, WriterState& state, PyObject* const* args,
                           std::size_t given, PyObject* keywords) {
  if (self.request_at != kNoField) [[unlikely]] {
    PyObject* id = request_argument(self, args, given, keywords);
    std::string_view text;
    if (id != nullptr && PyUnicode_Check(id)) {
      if (!strict_utf8_of(id, text)) {
        PyErr_Clear();
        return kSampleSteps;  // kept, so that it is rejected
      }
      if (!text.empty()) return sample_value_of_key(encode_request(text, 0).key);
    }
  }
  return ambient_sample_value(state);
}

// Every event that the quick way leaves to it.
[[gnu::noinline]] PyObject* record_plain(KindObject& self, PyObject* const* values) try {
  return record_values(self, values, nullptr, Gate{});
} catch (const std::bad_alloc&) {
  PyErr_NoMemory();
  return reject(self);
}

// ---------------------------------------------------------------- the quick way

// Most events of a hot loop: a few numbers, outside of any request. Whatever else there is to do
// ends in a tail call of record_plain(), so that nothing need be kept across a call here.
template <FieldType Type>
[[gnu::always_inline]] inline bool unbox_exact(PyObject* value, std::uint64_t& word) {
  if constexpr (Type == FieldType::F64) {
    if (!PyFloat_CheckExact(value)) [[unlikely]] return false;
    word = std::bit_cast<std::uint64_t>(PyFloat_AS_DOUBLE(value));
    return true;
  } else {
    std::int64_t number = 0;
    if (!unbox_compact(value, number)) [[unlikely]] return false;
    word = static_cast<std::uint64_t>(number);
    return true;
  }
}

template <FieldType... Types>
[[gnu::always_inline]] inline bool write_quick(const KindObject& self, PyObject* const* values) {
  WriterState* state = t_writer;
  if (state == nullptr || !state->writer.attached()) [[unlikely]] return false;
  SlotImage slot;
  std::size_t at = 0;
  std::size_t word = kFieldWord;
  if (!(unbox_exact<Types>(values[at++], slot.words[word++]) && ...)) [[unlikely]] return false;
  slot.words[kTagWord] = self.kind_id;
  return t_clock.quick_ns(slot.words[kTimeWord]) && state->writer.write_known(slot);
}

template <FieldType... Types>
[[gnu::noinline]] PyObject* record_beside_requests(KindObject& self, PyObject* const* values) {
  if (current_context() || !write_quick<Types...>(self, values)) return record_plain(self, values);
  Py_RETURN_NONE;
}

template <FieldType... Types>
PyObject* record_quick(KindObject& self, PyObject* const* values) {
  if (g_any_context.load(std::memory_order_relaxed)) [[unlikely]]
    return record_beside_requests<Types...>(self, values);
  if (!write_quick<Types...>(self, values)) [[unlikely]] return record_plain(self, values);
  Py_RETURN_NONE;
}

template <FieldType... Types>
RecordValues find_quick(const FieldPlan* next, const FieldPlan* end) {
  if (next == end) return record_quick<Types...>;
  if constexpr (sizeof...(Types) < kInlineFieldBytes / 8) {
    if (next->type == FieldType::I64)
      return find_quick<Types..., FieldType::I64>(next + 1, end);
    if (next->type == FieldType::F64)
      return find_quick<Types..., FieldType::F64>(next + 1, end);
  }
  return record_plain;
}

}  // namespace

RecordValues record_of(const std::vector<FieldPlan>& plans) {
  for (const FieldPlan& plan : plans)
    if (plan.optional || plan.limited) return record_plain;
  return find_quick<>(plans.data(), plans.data() + plans.size());
}

PyObject* record_named(KindObject& self, PyObject* const* args, std::size_t given, PyObject* keywords) try {
  return record_bound(self, args, given, keywords, Gate{});
} catch (const std::bad_alloc&) {
  PyErr_NoMemory();
  return reject(self);
}

PyObject* record_gated(KindObject& self, Gate gate, PyObject* const* args, std::size_t given,
                       PyObject* keywords) try {
  if (gate.exempt() || self.kind->schema.exempt) return record_call(self, args, given, keywords);
  if (gate.threshold() != 0) {
    WriterState* state = thread_writer();
    if (state == nullptr) [[unlikely]] Py_RETURN_NONE;  // counted as unrecorded
    if (sample_value(self, *state, args, given, keywords) < gate.threshold()) [[likely]] {
      state->writer.count(self.kind->id, kSampledOut);
      Py_RETURN_NONE;
    }
  }
  return record_bound(self, args, given, keywords, gate);
} catch (const std::bad_alloc&) {
  PyErr_NoMemory();
  return reject(self);
}

}  // namespace whence::py
