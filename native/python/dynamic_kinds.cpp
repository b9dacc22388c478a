// Looks kinds up by the two strings a caller passes, usually by their addresses alone.
#include "dynamic_kinds.hpp"

#include <atomic>
#include <mutex>

#include "whence/recorder.hpp"

namespace whence::py {

namespace {

constexpr std::size_t kCacheSize = 256;
constexpr Py_ssize_t kMaxDynamicKinds = 2'000;  // half of the table; declared kinds keep the rest

struct CacheEntry {
  PyObject* event_type = nullptr;  // owned, so an address cannot come to mean another string
  PyObject* component = nullptr;
  whence::Kind* kind = nullptr;
  Flavour flavour = Flavour::Plain;
};

[[maybe_unused]] std::mutex g_lock;  // taken only where there is no GIL
CacheEntry g_cache[kCacheSize];
PyObject* g_kinds = nullptr;  // {(event type, component, flavour): kind id}
PyObject* g_decision_types = nullptr;
whence::Kind* g_overflow[4] = {};  // by flavour

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

// Declared decisions so far: events of their names are decisions from then on.
std::atomic<std::uint32_t> g_declared_decisions{0};
// Per kind that is none: how many there were when its name was last looked up among them.
std::uint32_t g_looked_up[kMaxKinds];

whence::Kind* kind_of_inexact(PyObject* event_type, PyObject* component, Flavour flavour, bool& overflow) {
  if (!check_name(event_type, "event_type") || !check_name(component, "component")) return nullptr;
  const Ref exact_type(PyUnicode_FromObject(event_type));
  const Ref exact_component(PyUnicode_FromObject(component));
  if (!exact_type || !exact_component) return nullptr;
  return dynamic_kind(exact_type.get(), exact_component.get(), flavour, overflow);
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

whence::Kind* declare(std::string_view name, std::string_view component, Flavour flavour) {
  KindSchema schema;
  schema.name = name;
  schema.component = component;
  schema.decision = flavour == Flavour::Decision || flavour == Flavour::DecisionSpan;
  if (flavour == Flavour::Span || flavour == Flavour::DecisionSpan) {
    schema.span = true;
    if (component == "__main__") schema.component = "main";
    schema.fields = {{"span_id", FieldType::U64, FieldRole::Span},
                     {"parent_span_id", FieldType::U64, FieldRole::Parent},
                     {"duration_ns", FieldType::I64, FieldRole::Duration}};
  }
  return Recorder::get().declare(std::move(schema));
}

whence::Kind* overflow_kind(Flavour flavour) {
  whence::Kind*& kind = g_overflow[static_cast<std::size_t>(flavour)];
  if (kind == nullptr) kind = declare("other", "other", flavour);
  return kind;
}

bool may_be_decision_by_now(const whence::Kind& kind, Flavour flavour) {
  return flavour == Flavour::Plain && !kind.schema.decision &&
         g_looked_up[kind.id] != g_declared_decisions.load(std::memory_order_relaxed);
}

// Both are exact strings: what a subclass calls its hash, and what it calls equal, is its own affair.
whence::Kind* find_or_declare(PyObject* event_type, PyObject* component, Flavour flavour,
                              bool& overflow) {
  if (!check_name(event_type, "event_type") || !check_name(component, "component")) return nullptr;
  if (g_kinds == nullptr) g_kinds = PyDict_New();
  Ref number(PyLong_FromLong(static_cast<long>(flavour)));
  Ref key(number ? PyTuple_Pack(3, event_type, component, number.get()) : nullptr);
  if (g_kinds == nullptr || !key) return nullptr;
  if (PyObject* id = PyDict_GetItemWithError(g_kinds, key.get())) {
    whence::Kind* known = Recorder::get().kind(static_cast<std::uint32_t>(PyLong_AsUnsignedLong(id)));
    if (!may_be_decision_by_now(*known, flavour)) return known;
    if (!is_decision_type(event_type, known->schema.name)) {
      g_looked_up[known->id] = g_declared_decisions.load();
      return known;
    }
  }
  if (PyErr_Occurred()) return nullptr;
  std::string_view name;
  std::string_view who;
  Ref owners[2];
  if (!utf8_of(event_type, name, owners[0]) || !utf8_of(component, who, owners[1])) return nullptr;
  whence::Kind* kind = nullptr;
  if (flavour == Flavour::Plain && is_decision_type(event_type, name)) flavour = Flavour::Decision;
  const bool short_enough = name.size() + who.size() < 1024;
  if (short_enough && PyDict_GET_SIZE(g_kinds) < kMaxDynamicKinds) kind = declare(name, who, flavour);
  if (kind == nullptr) {
    overflow = true;
    return overflow_kind(flavour);
  }
  g_looked_up[kind->id] = g_declared_decisions.load();
  Ref id(PyLong_FromLong(kind->id));
  if (!id || PyDict_SetItem(g_kinds, key.get(), id.get()) < 0) return nullptr;
  return kind;
}

}  // namespace

whence::Kind* dynamic_kind(PyObject* event_type, PyObject* component, Flavour flavour, bool& overflow) {
  overflow = false;
  if (!PyUnicode_CheckExact(event_type) || !PyUnicode_CheckExact(component)) [[unlikely]]
    return kind_of_inexact(event_type, component, flavour, overflow);
#if defined(Py_GIL_DISABLED)
  const std::lock_guard held(g_lock);
#endif
  CacheEntry& entry = g_cache[cache_index(event_type, component)];
  if (entry.event_type == event_type && entry.component == component && entry.flavour == flavour &&
      !may_be_decision_by_now(*entry.kind, flavour))
    return entry.kind;
  whence::Kind* kind = find_or_declare(event_type, component, flavour, overflow);
  if (kind == nullptr || overflow) return kind;
  PyObject* old_type = std::exchange(entry.event_type, Py_NewRef(event_type));
  PyObject* old_component = std::exchange(entry.component, Py_NewRef(component));
  entry.kind = kind;
  entry.flavour = flavour;
  Py_XDECREF(old_type);  // strings: no Python code runs
  Py_XDECREF(old_component);
  return kind;
}

void note_declared_decision() { g_declared_decisions.fetch_add(1); }

void set_decision_types(PyObject* names) { Py_XSETREF(g_decision_types, Py_NewRef(names)); }

}  // namespace whence::py
