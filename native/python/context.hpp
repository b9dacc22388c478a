// The ambient request: what every event inside `with whence.request(...)` inherits.
#pragma once

#include <atomic>
#include <string>

#include "py.hpp"
#include "whence/recorder.hpp"
#include "whence/request.hpp"

namespace whence::py {

struct ContextObject {
  PyObject_HEAD
  RequestId request;
  std::string request_id;  // UTF-8
  std::string chain_id;    // empty: the request is the chain
  std::uint64_t lineage_id;
};

extern PyTypeObject* g_context_type;
extern PyObject* g_context_var;
// How many contexts were ever entered: while it is 0, emitters need not look for one.
extern std::atomic<bool> g_any_context;

// The ambient context, or null where there is none (no error is set).
inline Ref current_context() {
  if (!g_any_context.load(std::memory_order_relaxed)) [[likely]] return Ref();
  PyObject* value = nullptr;
  if (PyContextVar_Get(g_context_var, Py_None, &value) < 0) {
    PyErr_Clear();
    return Ref();
  }
  Ref found(value);
  if (value == Py_None || Py_TYPE(value) != g_context_type) return Ref();
  return found;
}

// What events are sampled by that name no request of their own.
inline std::uint64_t ambient_sample_value(WriterState& state) {
  if (g_any_context.load(std::memory_order_relaxed)) [[unlikely]] {
    const Ref context = current_context();
    if (context) return sample_value_of_key(reinterpret_cast<ContextObject*>(context.get())->request.key);
  }
  return state.sample_value();
}

bool add_context(PyObject* module);

}  // namespace whence::py
