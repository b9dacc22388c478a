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
  std::uint16_t offset = 0;
  // The last string seen and its name id: most fields repeat. Only where the GIL guards them.
  PyObject* last_text = nullptr;
  Session* last_session = nullptr;
  std::uint16_t last_id = 0;
};

struct KindObject {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  std::atomic<GateWord*> gate;
  whence::Kind* kind;
  std::size_t fields;  // plans.size(), at hand
  std::vector<FieldPlan> plans;
  PyObject* emit;
  PyObject* wrapped;  // the stub, or None
  PyMethodDef method;
  // Fields of which one must hold text, because the rationale consists of nothing else.
  std::uint64_t must_say;
  // Records kinds of up to three ints and floats, compiled for just these types; or null.
  bool (*quick)(const KindObject& self, PyObject* const* values);
};

inline KindObject* as_kind(PyObject* object) { return reinterpret_cast<KindObject*>(object); }

inline bool gate_is_on(const KindObject& self) {
  return self.gate.load(std::memory_order_relaxed)->load(std::memory_order_relaxed) & kGateOn;
}

using QuickRecord = bool (*)(const KindObject& self, PyObject* const* values);

// The quick way for fields of these types, or null where there is none.
QuickRecord quick_record(const std::vector<FieldPlan>& plans);

// Records one event of a kind that is on; the arguments are a vectorcall's.
PyObject* record_call(KindObject& self, PyObject* const* args, std::size_t given, PyObject* keywords);

}  // namespace whence::py
