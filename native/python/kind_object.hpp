// What a Kind holds, for its type (kind.cpp) and its recording (kind_record.cpp).
#pragma once

#include <cstdint>
#include <vector>

#include "py.hpp"
#include "whence/recorder.hpp"

namespace whence::py {

struct FieldPlan {
  PyObject* name = nullptr;      // interned
  PyObject* fallback = nullptr;  // default value, or null
  FieldType type = FieldType::I64;
  FieldRole role = FieldRole::Plain;
  bool optional = false;         // None means absent
  bool limited = false;          // what is not from `least` to `most` is refused
  double least = 0;
  double most = 0;
  std::uint16_t offset = 0;
  // The last string seen and its name id: most fields repeat. Only where the GIL guards them.
  PyObject* last_text = nullptr;
  Session* last_session = nullptr;
  std::uint16_t last_id = 0;
};

constexpr std::size_t kNoField = ~std::size_t{0};

struct KindObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  std::atomic<GateWord*> gate;
  whence::Kind* kind;
  std::size_t positional;  // how many of the fields may be given by their place
  std::size_t all_fields;  // the number of fields where all may, else more than any call gives
  std::uint64_t kind_id;  // kind->id, at hand
  // Records what the fields are given, in order; compiled for just these types where they are few.
  PyObject* (*record)(KindObject& self, PyObject* const* values);
  std::vector<FieldPlan> plans;
  PyObject* emit;
  PyObject* wrapped;  // the stub, or None
  PyMethodDef method;
  // Fields of which one must hold text, because the rationale consists of nothing else.
  std::uint64_t must_say;
  bool limited;             // some field is
  std::size_t request_at;   // the parameter that is the event's request, or kNoField
  std::size_t strength_at;  // the one that is compared with the gate's minimum
};

inline KindObject* as_kind(PyObject* object) { return reinterpret_cast<KindObject*>(object); }

inline Gate gate_of(const KindObject& self) {
  return Gate{self.gate.load(std::memory_order_relaxed)->load(std::memory_order_relaxed)};
}
inline bool gate_is_on(const KindObject& self) { return gate_of(self).on(); }

using RecordValues = PyObject* (*)(KindObject& self, PyObject* const* values);

// How events with these fields are recorded: the quick way for a few numbers, else the general one.
RecordValues record_of(const std::vector<FieldPlan>& plans);

// Records an event some of whose arguments are named or left to their defaults.
PyObject* record_named(KindObject& self, PyObject* const* args, std::size_t given, PyObject* keywords);

// Records one event of a kind that is on; the arguments are a vectorcall's.
[[gnu::always_inline]] inline PyObject* record_call(KindObject& self, PyObject* const* args,
                                                    std::size_t given, PyObject* keywords) {
  if (keywords != nullptr || given != self.all_fields) [[unlikely]]
    return record_named(self, args, given, keywords);
  return self.record(self, args);
}

// The same where the gate says more than on: the event may be sampled out or too weak.
PyObject* record_gated(KindObject& self, Gate gate, PyObject* const* args, std::size_t given,
                       PyObject* keywords);

}  // namespace whence::py
