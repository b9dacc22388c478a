// The few maps that are kept, and how they are exchanged.
#include "context_swap.hpp"

#include <cstdint>
#include <cstring>
#include <utility>

namespace whence::py {

#if PY_VERSION_HEX >= 0x030b0000 && PY_VERSION_HEX < 0x030e0000 && !defined(Py_GIL_DISABLED)

namespace {

// As in CPython's pycore_context.h and pycore_hamt.h, 3.11 to 3.13.
struct ContextLayout {
  PyObject_HEAD
  PyObject* previous;
  PyObject* vars;
};
struct MapLayout {
  PyObject_HEAD
  PyObject* root;
};
struct BitmapLayout {
  PyObject_VAR_HEAD
  std::uint32_t bitmap;
  PyObject* items[1];  // key, value, key, value ...
};

constexpr std::size_t kKept = 8;
ReadyContext g_ready[kKept];
bool g_works = false;

PyObject** vars_now(PyThreadState* state) {
  return state->context != nullptr ? &reinterpret_cast<ContextLayout*>(state->context)->vars : nullptr;
}

ReadyContext& place_of(PyObject* base) { return g_ready[(reinterpret_cast<std::uintptr_t>(base) >> 5) % kKept]; }

void exchange(PyThreadState* state, PyObject* vars) {
  reinterpret_cast<ContextLayout*>(state->context)->vars = vars;
  ++state->context_ver;  // what variables remember of their values is void
}

void forget(ReadyContext& ready) {
  const ReadyContext old = std::exchange(ready, ReadyContext{});
  Py_XDECREF(old.inner);
  Py_XDECREF(old.context);
  Py_XDECREF(old.base);
}

// Nobody but us and what is kept for spans inside refers to it.
bool is_unseen(const ReadyContext& ready) {
  if (Py_REFCNT(ready.context) != 2) return false;
  if (Py_REFCNT(ready.inner) == 1) [[likely]] return true;
  Py_ssize_t ours = 1;
  for (const ReadyContext& each : g_ready) ours += each.base == ready.inner;
  return Py_REFCNT(ready.inner) == ours;
}

// Is the value of our variable in the map's root? Only then does every map made from this one hold a
// reference of its own to the value.
bool holds_directly(PyObject* map, PyObject* value) {
  if (map == nullptr || std::strcmp(Py_TYPE(map)->tp_name, "hamt") != 0) return false;
  PyObject* root = reinterpret_cast<MapLayout*>(map)->root;
  if (root == nullptr || std::strcmp(Py_TYPE(root)->tp_name, "hamt_bitmap_node") != 0) return false;
  const auto* node = reinterpret_cast<BitmapLayout*>(root);
  for (Py_ssize_t i = 0; i + 1 < Py_SIZE(root); i += 2)
    if (node->items[i] == g_context_var) return node->items[i + 1] == value;
  return false;
}

// In a context of its own: set, see the map change, put the old one back, see the old value.
bool try_it() {
  PyThreadState* state = PyThreadState_Get();
  PyObject** vars = vars_now(state);
  if (vars == nullptr) return false;
  Ref token(PyContextVar_Set(g_context_var, Py_False));
  if (!token || !holds_directly(*vars, Py_False)) return false;
  PyObject* const before = Py_NewRef(*vars);
  const Ref kept(before);
  token = Ref(PyContextVar_Set(g_context_var, Py_True));
  PyObject* const after = *vars;
  if (!token || after == before || !holds_directly(after, Py_True) || !holds_directly(before, Py_False))
    return false;
  exchange(state, before);  // the map keeps its count: `kept` has one, the context takes over `after`'s
  PyObject* value = nullptr;
  const bool read = PyContextVar_Get(g_context_var, nullptr, &value) == 0;
  const bool good = read && value == Py_False;
  Py_XDECREF(value);
  exchange(state, after);
  return good;
}

}  // namespace

void check_swapping() {
  Ref context(PyContext_New());
  if (context && PyContext_Enter(context.get()) == 0) {
    g_works = try_it();
    if (PyContext_Exit(context.get()) != 0) g_works = false;
  }
  PyErr_Clear();
}

ReadyContext* find_ready() {
  if (!g_works) return nullptr;
  PyObject** vars = vars_now(PyThreadState_Get());
  if (vars == nullptr || *vars == nullptr) return nullptr;
  ReadyContext& ready = place_of(*vars);
  if (ready.base != *vars || ready.busy) return nullptr;
  if (is_unseen(ready)) return &ready;
  forget(ready);
  return nullptr;
}

void enter_ready(ReadyContext& ready, const ContextObject* parent, const TraceId& trace, std::uint64_t span_id) {
  PyThreadState* state = PyThreadState_Get();
  fill_context(*ready.context, parent, trace, span_id);
  Py_XINCREF(ready.outer);
  ready.context->previous = ready.outer;
  Py_INCREF(ready.inner);
  ready.busy = true;
  exchange(state, ready.inner);  // the context's reference to `base` is ours until it gets it back
}

bool enter_and_keep(ContextObject* context, ReadyContext*& ready) {
  ready = nullptr;
  PyThreadState* state = PyThreadState_Get();
  PyObject** vars = vars_now(state);
  Ref base;
  if (g_works && vars != nullptr && *vars != nullptr) base = Ref::to(*vars);
  if (!enter_context(context)) return false;
  if (!base) return true;
  vars = vars_now(state);
  ReadyContext& place = place_of(base.get());
  if (vars == nullptr || place.busy || !holds_directly(*vars, reinterpret_cast<PyObject*>(context))) return true;
  const ReadyContext old = place;
  place.inner = Py_NewRef(*vars);
  Py_INCREF(context);
  place.context = context;
  place.outer = context->previous;
  place.busy = true;
  Py_INCREF(base.get());  // as if it had been exchanged
  place.base = base.release();
  ready = &place;
  Py_XDECREF(old.inner);  // may run code of others
  Py_XDECREF(old.context);
  Py_XDECREF(old.base);
  return true;
}

void leave_ready(ReadyContext& ready) {
  PyThreadState* state = PyThreadState_Get();
  PyObject** vars = vars_now(state);
  const bool spliced = ready.context->previous != ready.outer;  // what was around is left already
  if (vars != nullptr && *vars == ready.inner && !spliced) [[likely]] {
    exchange(state, ready.base);
    Py_DECREF(ready.inner);
    ready.busy = false;
    const Ref before(reinterpret_cast<PyObject*>(std::exchange(ready.context->previous, nullptr)));
    if (is_unseen(ready)) [[likely]] return;
    forget_ready(ready.context);
    forget(ready);
    return;
  }
  // Variables were set inside, or this is another task.
  const ReadyContext left = std::exchange(ready, ReadyContext{});
  leave_context(left.context);
  Py_DECREF(left.base);
  Py_DECREF(left.base);
  Py_DECREF(left.inner);
  Py_DECREF(left.context);
}

void forget_ready(const ContextObject* outer) {
  for (ReadyContext& ready : g_ready)
    if (ready.outer == outer && outer != nullptr && !ready.busy) [[unlikely]] forget(ready);
}

#else

void check_swapping() {}
ReadyContext* find_ready() { return nullptr; }
void enter_ready(ReadyContext&, const ContextObject*, const TraceId&, std::uint64_t) {}
bool enter_and_keep(ContextObject* context, ReadyContext*& ready) {
  ready = nullptr;
  return enter_context(context);
}
void leave_ready(ReadyContext&) {}
void forget_ready(const ContextObject*) {}

#endif

}  // namespace whence::py
