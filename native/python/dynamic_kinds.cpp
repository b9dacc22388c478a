// Looks kinds up by the two strings a caller passes, usually by their addresses alone.
#include "dynamic_kinds.hpp"

#include <mutex>

#include "whence/recorder.hpp"

namespace whence::py {

namespace {

constexpr std::size_t kCacheSize = 64;
constexpr Py_ssize_t kMaxDynamicKinds = 2'000;  // half of the table; declared kinds keep the rest

struct CacheEntry {
  PyObject* event_type = nullptr;  // owned, so an address cannot come to mean another string
  PyObject* component = nullptr;
  whence::Kind* kind = nullptr;
  bool decision = false;
};

[[maybe_unused]] std::mutex g_lock;  // taken only where there is no GIL
CacheEntry g_cache[kCacheSize];
PyObject* g_kinds = nullptr;  // {(event type, component, said to be a decision): kind id}
PyObject* g_decision_types = nullptr;
whence::Kind* g_overflow[2] = {};  // of events that are decisions, and of others

std::size_t cache_index(PyObject* event_type, PyObject* component) {
  const auto mixed = reinterpret_cast<std::uintptr_t>(event_type) * 31 +
                     reinterpret_cast<std::uintptr_t>(component);
  return (mixed >> 4) % kCacheSize;
}

bool check_name(PyObject* name, const char* what) {
  if (!PyUnicode_Check(name)) {
    PyErr_Format(PyExc_TypeError, "%s must be str, not %s", what, Py_TYPE(name)->tp_name);
    return false;
  }
  if (PyUnicode_GET_LENGTH(name) > 0) return true;
  PyErr_Format(PyExc_ValueError, "%s must not be empty", what);
  return false;
}

bool is_decision_type(PyObject* event_type, std::string_view name) {
  if (g_decision_types != nullptr && PySet_Contains(g_decision_types, event_type) == 1) return true;
  PyErr_Clear();
  const Recorder& recorder = Recorder::get();
  for (std::uint32_t id = 1; id <= recorder.kind_count(); ++id) {
    const whence::Kind* kind = recorder.kind(id);
    const bool declared = kind != nullptr && !kind->schema.source.empty();  // by whence.kind()
    if (declared && kind->schema.decision && kind->schema.name == name) return true;
  }
  return false;
}

whence::Kind* declare(std::string_view name, std::string_view component, bool decision) {
  KindSchema schema;
  schema.name = name;
  schema.component = component;
  schema.decision = decision;
  return Recorder::get().declare(std::move(schema));
}

whence::Kind* overflow_kind(bool decision) {
  whence::Kind*& kind = g_overflow[decision ? 0 : 1];
  if (kind == nullptr) kind = declare("other", "other", decision);
  return kind;
}

whence::Kind* find_or_declare(PyObject* event_type, PyObject* component, bool decision,
                              bool& overflow) {
  if (!check_name(event_type, "event_type") || !check_name(component, "component")) return nullptr;
  if (g_kinds == nullptr) g_kinds = PyDict_New();
  Ref key(PyTuple_Pack(3, event_type, component, decision ? Py_True : Py_False));
  if (g_kinds == nullptr || !key) return nullptr;
  if (PyObject* id = PyDict_GetItemWithError(g_kinds, key.get()))
    return Recorder::get().kind(static_cast<std::uint32_t>(PyLong_AsUnsignedLong(id)));
  if (PyErr_Occurred()) return nullptr;
  std::string_view name;
  std::string_view who;
  Ref owners[2];
  if (!utf8_of(event_type, name, owners[0]) || !utf8_of(component, who, owners[1])) return nullptr;
  whence::Kind* kind = nullptr;
  const bool decides = decision || is_decision_type(event_type, name);
  const bool short_enough = name.size() + who.size() < 1024;
  if (short_enough && PyDict_GET_SIZE(g_kinds) < kMaxDynamicKinds) kind = declare(name, who, decides);
  if (kind == nullptr) {
    overflow = true;
    return overflow_kind(decides);
  }
  Ref id(PyLong_FromLong(kind->id));
  if (!id || PyDict_SetItem(g_kinds, key.get(), id.get()) < 0) return nullptr;
  return kind;
}

}  // namespace

whence::Kind* dynamic_kind(PyObject* event_type, PyObject* component, bool decision, bool& overflow) {
  overflow = false;
#if defined(Py_GIL_DISABLED)
  const std::lock_guard held(g_lock);
#endif
  CacheEntry& entry = g_cache[cache_index(event_type, component)];
  if (entry.event_type == event_type && entry.component == component && entry.decision == decision)
    return entry.kind;
  whence::Kind* kind = find_or_declare(event_type, component, decision, overflow);
  if (kind == nullptr || overflow) return kind;
  PyObject* old_type = std::exchange(entry.event_type, Py_NewRef(event_type));
  PyObject* old_component = std::exchange(entry.component, Py_NewRef(component));
  entry.kind = kind;
  entry.decision = decision;
  Py_XDECREF(old_type);  // strings: no Python code runs
  Py_XDECREF(old_component);
  return kind;
}

void set_decision_types(PyObject* names) { Py_XSETREF(g_decision_types, Py_NewRef(names)); }

}  // namespace whence::py
