// For C++ programs that record: declare a kind once, call it for every event. See docs/cpp.md.
#pragma once

#include <cstdlib>
#include <cstring>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include "producer_fields.hpp"
#include "rationale.hpp"
#include "recorder.hpp"
#include "request.hpp"

namespace whence {

// How this process is called and how much its threads keep; effective before the first event.
struct StartSettings {
  std::string_view service = {};  // else $WHENCE_SERVICE, $OTEL_SERVICE_NAME, the program's name
  std::uint64_t ring_slots = kDefaultSlots;
  std::uint64_t text_bytes = kDefaultTextBytes;
};

// Optional: the first event starts with the defaults. False: a session exists already.
bool start(const StartSettings& settings);

namespace detail {
// A field that lies in the image as it is.
template <class A>
consteval bool is_number() {
  return !A::optional && A::stored != FieldType::None && A::stored != FieldType::Name;
}

// Once in a process, before its first kind: what a session says of itself.
void prepare_recorder();
}  // namespace detail

// Events recorded by this thread while the scope lives belong to the request. Scopes nest; another
// thread opens one of its own with the same id. UTF-8; an empty id means no request.
class RequestScope {
 public:
  explicit RequestScope(std::string_view id, std::string_view chain_id = {},
                        std::uint64_t lineage_id = 0)
      : request_(encode_request(id, Recorder::get().request_seed())),
        id_(id),
        chain_id_(chain_id == id ? std::string_view() : chain_id),
        lineage_id_(lineage_id),
        outer_(std::exchange(t_scope, this)) {}
  ~RequestScope() { t_scope = outer_; }
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

  // Whether this thread is in any scope.
  static bool is_open() { return t_scope != nullptr; }

 private:
  friend class EventDraft;
  static inline thread_local constinit const RequestScope* t_scope = nullptr;

  RequestId request_;
  std::string id_;
  std::string chain_id_;
  std::uint64_t lineage_id_;
  const RequestScope* outer_;
};

// An event between its arguments and its slot. Emitter's inner part.
class EventDraft {
 public:
  EventDraft(const Kind& kind, WriterState& state) : kind_(kind), state_(state) {
    std::memset(image_, 0, kInlineFieldBytes);
  }

  template <class A>
  void add(std::size_t index, std::size_t offset, const typename A::type& value) {
    if constexpr (A::optional) {
      if (value.has_value()) return add_plain<A>(index, offset, *value);
      absent_ |= 1ull << index;
      blank_ |= 1ull << index;
      if constexpr (A::stored != FieldType::None)
        std::memset(image_ + offset, 0, field_bytes(A::stored));
    } else {
      add_plain<A>(index, offset, value);
    }
  }
  // False: counted, because the gate leaves it out or a decision's rationale would come out empty.
  bool write(std::uint64_t must_say, std::size_t image_bytes, Gate gate);

 private:
  template <class A>
  void add_plain(std::size_t index, std::size_t offset, const typename A::plain& value) {
    if constexpr (A::role == FieldRole::Severity)
      tag_ |= (static_cast<std::uint64_t>(value) + 1) << kTagSeverityShift;
    else if constexpr (A::role == FieldRole::Options)
      options_ = value;
    else if constexpr (A::role == FieldRole::CausedBy)
      caused_by_ = value;
    else if constexpr (A::role == FieldRole::Request)
      request_text_ = value, request_ = encode_request(value, Recorder::get().request_seed());
    else if constexpr (A::stored == FieldType::Name)
      add_text(index, offset, value);
    else
      std::memcpy(image_ + offset, &value, sizeof value);
  }
  void add_text(std::size_t index, std::size_t offset, std::string_view text);
  bool passes(Gate gate, const RequestId* request);
  bool is_too_weak(Gate gate) const;
  std::size_t bytes_after(std::uint64_t fields) const;
  void put_text_block(TextBlock& block, const RequestScope* scope) const;
  static void put_option(TextBlock& block, const Option& option);

  const Kind& kind_;
  WriterState& state_;
  alignas(8) std::byte image_[kMaxImageBytes];
  struct {
    const char* data;
    std::size_t bytes;
  } texts_[kMaxFields];            // set where text_fields_ says so
  std::uint64_t text_fields_ = 0;  // fields whose text goes to the text block
  std::uint64_t absent_ = 0;
  std::uint64_t blank_ = 0;
  std::uint64_t tag_ = 0;
  std::string_view caused_by_;
  std::string_view request_text_;
  RequestId request_;
  Options options_;
};

// Records one kind: `const Emitter<Arg<"model", std::string_view>> loaded("model_loaded", "Pool");`
// then `loaded("ocr_rec")`. Declare each once, at namespace scope or as a static, not per event.
// Calling it: any thread, not a signal handler; no lock, no allocation and no system call after a
// thread's first event, but for options of an unusual size. Nothing it does can throw or end the
// program. Text is UTF-8 and is copied.
template <class... Args>
class Emitter {
 public:
  static_assert(sizeof...(Args) <= kMaxFields, "a kind has at most 64 fields");
  static_assert(detail::names_differ<Args...>(), "two fields have the same name");

  Emitter(DeclaredName type, DeclaredName component, RationaleOf<Args...> rationale = {},
          Severity severity = Severity::Info,
          std::source_location at = std::source_location::current())
      : Emitter(type, component, rationale, severity, at, false) {}

  // Is it recorded at present? Ask before preparing costly arguments.
  explicit operator bool() const { return kind_ != nullptr && gate_on(); }
  void enable() const { if (kind_ != nullptr) Recorder::get().set_gate(*kind_, Gate{kGateOn}); }
  // For a share of the requests, above 0 and up to 1; other rates and decisions are left as they are.
  void sample(double rate) const {
    if (kind_ != nullptr && !kind_->schema.exempt && rate > 0 && rate <= 1)
      Recorder::get().set_gate(*kind_, Gate::sampling(rate));
  }
  void disable() const { if (kind_ != nullptr) Recorder::get().set_on(*kind_, false); }

  // True: recorded. False: off, sampled out, too weak, refused or without memory; all but off is
  // counted.
  bool operator()(typename Args::type... values) const {
    if (kind_ == nullptr) return false;
    const Gate gate = KindTable::gate_of(*kind_);
    if (!gate.on()) return false;
    WriterState* state = thread_writer();
    if (state == nullptr) [[unlikely]] return false;
    if constexpr (kOnlyNumbers)
      if (gate.plain() && !RequestScope::is_open()) [[likely]]
        return record_numbers(*state, values...);
    EventDraft draft(*kind_, *state);
    [[maybe_unused]] std::size_t index = 0;
    [[maybe_unused]] std::size_t offset = 0;  // as KindSchema::place_fields() has it
    ((draft.template add<Args>(index++, offset, values), offset += field_bytes(Args::stored)), ...);
    return draft.write(must_say_, kImageBytes, gate);
  }

 protected:
  Emitter(DeclaredName type, DeclaredName component, RationaleOf<Args...> rationale,
          Severity severity, std::source_location at, bool decision) {
    KindSchema schema;
    schema.name = type.text;
    schema.component = component.text;
    schema.rationale = rationale.text;
    schema.severity = static_cast<std::uint8_t>(severity);
    schema.decision = decision;
    schema.source = std::string(at.file_name()) + ":" + std::to_string(at.line());
    (schema.fields.push_back(
         {std::string(Args::name), Args::stored, Args::role, 0, Args::optional}),
     ...);
    Rationale compiled;
    std::string problem;
    if (decision && compiled.compile(schema, problem)) must_say_ = compiled.must_say(schema);
    detail::prepare_recorder();
    kind_ = Recorder::get().declare(std::move(schema));
    if (kind_ == nullptr)
      std::fprintf(stderr, "whence: too many kinds: %s is not recorded\n", type.text.data());
  }

 private:
  bool gate_on() const { return KindTable::gate_of(*kind_).on(); }

  // Most events of a hot loop: a few numbers, outside of any request.
  bool record_numbers(WriterState& state, typename Args::type... values) const {
    std::byte image[kInlineFieldBytes] = {};
    [[maybe_unused]] std::size_t offset = 0;
    ((std::memcpy(image + offset, &values, sizeof values), offset += sizeof values), ...);
    SlotImage slot;
    slot.set_fields(image, sizeof image);
    slot.words[kTagWord] = kind_->id;
    slot.words[kTimeWord] = event_time_ns(state);
    return state.writer.write_inline(slot);
  }

  static constexpr std::size_t kImageBytes = (field_bytes(Args::stored) + ... + 0);

  static constexpr bool kOnlyNumbers =
      kImageBytes <= kInlineFieldBytes && (detail::is_number<Args>() && ...);

  Kind* kind_ = nullptr;  // never freed
  std::uint64_t must_say_ = 0;
};

// Records a kind of decision: exempt from sampling, and its rationale is never empty.
template <class... Args>
class Decision : public Emitter<Args...> {
 public:
  Decision(DeclaredName type, DeclaredName component, DecisionRationaleOf<Args...> rationale,
           Severity severity = Severity::Info,
           std::source_location at = std::source_location::current())
      : Emitter<Args...>(type, component, rationale, severity, at, true) {}
};

}  // namespace whence

#include "producer_write.hpp"
