// SnowflakeGenerator: mints ids for any number of threads, by the machine's clock or a given one.
#include "snowflake_object.hpp"

#include <pthread.h>

#include <climits>
#include <new>

#include "safe.hpp"
#include "whence/recorder.hpp"
#include "whence/snowflake.hpp"

namespace whence::py {

namespace {

std::atomic<std::uint32_t> g_forks{0};  // how often this process is the child of one that had the module

struct SnowflakeObject {
  PyObject_HEAD
  Snowflake* flakes;  // apart: it is aligned to its cache lines
  PyObject* clock;    // null: the machine's
  std::uint32_t forks;
};

SnowflakeObject& as_generator(PyObject* object) { return *reinterpret_cast<SnowflakeObject*>(object); }

// Asks a Python callable; waits let other threads run.
struct CallableClock : MachineMilliseconds {
  explicit CallableClock(PyObject* callable) : callable(callable) {}
  PyObject* callable;

  bool now_ms(std::int64_t& now) {
    const Ref answer(PyObject_CallNoArgs(callable));
    if (!answer) return false;
    if (!PyLong_Check(answer.get())) {
      PyErr_Format(PyExc_TypeError, "the clock must return milliseconds as int, not %s", Py_TYPE(answer.get())->tp_name);
      return false;
    }
    now = PyLong_AsLongLong(answer.get());
    return now != -1 || !PyErr_Occurred();
  }
  void pause() {
    Py_BEGIN_ALLOW_THREADS
    sched_yield();
    Py_END_ALLOW_THREADS
  }
};

bool integer(PyObject* given, const char* name, std::int64_t& value) {
  if (given == nullptr) return true;
  if (PyBool_Check(given) || !PyIndex_Check(given)) {
    PyErr_Format(PyExc_TypeError, "%s must be int, not %s", name, Py_TYPE(given)->tp_name);
    return false;
  }
  const Ref number(PyNumber_Index(given));
  if (!number) return false;
  int overflow = 0;
  value = PyLong_AsLongLongAndOverflow(number.get(), &overflow);
  if (overflow != 0) PyErr_Format(PyExc_ValueError, "%s=%S is beyond 64 bits", name, number.get());
  return !PyErr_Occurred();
}

int bits_of(std::int64_t wide) { return static_cast<int>(wide < INT_MIN ? INT_MIN : wide > INT_MAX ? INT_MAX : wide); }

PyObject* snowflake_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"node_id", "node_bits", "seq_bits", "offset_ms", "clock", nullptr};
  PyObject *node = nullptr, *node_bits = nullptr, *sequence_bits = nullptr, *offset = nullptr, *clock = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|OOOO:SnowflakeGenerator", const_cast<char**>(names), &node,
                                   &node_bits, &sequence_bits, &offset, &clock))
    return nullptr;
  (void)Recorder::get();  // finds out whether the cycle counter may be trusted
  SnowflakeSettings settings;
  std::int64_t of_node = settings.layout.node_bits, of_sequence = settings.layout.sequence_bits;
  if (!integer(node, "node_id", settings.node_id) || !integer(node_bits, "node_bits", of_node) ||
      !integer(sequence_bits, "seq_bits", of_sequence) || !integer(offset, "offset_ms", settings.offset_ms))
    return nullptr;
  settings.layout = {bits_of(of_node), bits_of(of_sequence)};
  if (clock != Py_None && PyCallable_Check(clock) == 0) {
    PyErr_SetString(PyExc_TypeError, "clock must be callable and return milliseconds since 1970");
    return nullptr;
  }
  std::string trouble = settings.trouble(settings.offset_ms);  // before the clock is asked for anything
  if (trouble.empty() && settings.offset_ms > 0) {
    std::int64_t now_ms = 0;
    if (clock == Py_None) MachineMilliseconds{}.now_ms(now_ms);
    else if (!CallableClock(clock).now_ms(now_ms)) return nullptr;
    trouble = settings.trouble(now_ms);
  }
  if (!trouble.empty()) {
    PyErr_SetString(PyExc_ValueError, trouble.c_str());
    return nullptr;
  }
  Ref object(type->tp_alloc(type, 0));
  if (!object) return nullptr;
  SnowflakeObject& self = as_generator(object.get());
  self.flakes = new Snowflake(settings);
  self.clock = clock == Py_None ? nullptr : Py_NewRef(clock);
  self.forks = g_forks.load(std::memory_order_relaxed);
  return object.release();
}

int snowflake_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(as_generator(object).clock);
  return 0;
}

int snowflake_clear(PyObject* object) {
  Py_CLEAR(as_generator(object).clock);
  return 0;
}

void snowflake_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  snowflake_clear(object);
  delete as_generator(object).flakes;
  type->tp_free(object);
  Py_DECREF(type);
}

[[gnu::noinline]] PyObject* refuse(Minted minted) {
  if (minted == Minted::TooLate)
    PyErr_SetString(PyExc_OverflowError,
                    "the clock is beyond the 41 bits of milliseconds that ids hold: use a later offset_ms");
  return nullptr;  // NoClock: what the clock raised is set
}

PyObject* snowflake_next(PyObject* object, PyObject*) {
  SnowflakeObject& self = as_generator(object);
  if (self.forks != g_forks.load(std::memory_order_relaxed)) [[unlikely]] {
    PyErr_SetString(PyExc_RuntimeError,
                    "the process was forked: make a generator with a node id of its own here, or both mint the same ids");
    return nullptr;
  }
  std::uint64_t id = 0;
  if (self.clock != nullptr) {
    CallableClock clock(self.clock);
    const Minted minted = self.flakes->next(clock, id);
    return minted == Minted::Yes ? PyLong_FromUnsignedLongLong(id) : refuse(minted);
  }
  MachineMilliseconds clock;
  Minted minted = self.flakes->try_next(clock, id);
  if (minted == Minted::UsedUp) [[unlikely]] {
    if (!without_gil([&] { minted = self.flakes->wait(clock, id); })) return nullptr;
  }
  return minted == Minted::Yes ? PyLong_FromUnsignedLongLong(id) : refuse(minted);
}

const SnowflakeSettings& settings_of(PyObject* object) { return as_generator(object).flakes->settings(); }

PyObject* snowflake_node_id(PyObject* object, PyObject*) { return PyLong_FromLongLong(settings_of(object).node_id); }
PyObject* snowflake_max_node_id(PyObject* object, PyObject*) {
  return PyLong_FromLongLong(settings_of(object).layout.max_node());
}
PyObject* snowflake_max_sequence(PyObject* object, PyObject*) {
  return PyLong_FromLongLong(settings_of(object).layout.max_sequence());
}
PyObject* snowflake_offset(PyObject* object, PyObject*) { return PyLong_FromLongLong(settings_of(object).offset_ms); }

template <std::uint64_t (SnowflakeLayout::*Part)(std::uint64_t) const>
PyObject* snowflake_part(PyObject* object, PyObject* given) {
  if (!PyLong_Check(given)) {
    PyErr_Format(PyExc_TypeError, "an id must be int, not %s", Py_TYPE(given)->tp_name);
    return nullptr;
  }
  const unsigned long long id = PyLong_AsUnsignedLongLong(given);
  if (id == ~0ull && PyErr_Occurred()) return nullptr;
  return PyLong_FromUnsignedLongLong((settings_of(object).layout.*Part)(id));
}

PyMethodDef kMethods[] = {
    {"next", safe<snowflake_next>, METH_NOARGS,
     "next($self)\n--\n\n"
     "A new id: int, never 0, larger than every id this thread had from here. Any thread may call.\n\n"
     "Raises OverflowError at a time beyond 41 bits, RuntimeError in a forked process, and what the\n"
     "clock raises."},
    {"node_id", safe<snowflake_node_id>, METH_NOARGS, "node_id($self)\n--\n\nThe node in every id (int)."},
    {"max_node_id", safe<snowflake_max_node_id>, METH_NOARGS,
     "max_node_id($self)\n--\n\nThe largest node id that fits (int)."},
    {"max_sequence", safe<snowflake_max_sequence>, METH_NOARGS,
     "max_sequence($self)\n--\n\nThe last sequence number of a millisecond (int)."},
    {"offset", safe<snowflake_offset>, METH_NOARGS,
     "offset($self)\n--\n\nMilliseconds since 1970 at which ids count as 0 (int)."},
    {"timestamp", safe<snowflake_part<&SnowflakeLayout::timestamp_of>>, METH_O,
     "timestamp($self, id, /)\n--\n\nMilliseconds since offset() at which an id was minted (int)."},
    {"node", safe<snowflake_part<&SnowflakeLayout::node_of>>, METH_O,
     "node($self, id, /)\n--\n\nThe node that minted an id (int)."},
    {"sequence", safe<snowflake_part<&SnowflakeLayout::sequence_of>>, METH_O,
     "sequence($self, id, /)\n--\n\nThe place of an id within its millisecond (int)."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<snowflake_new>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<snowflake_dealloc>)},
    {Py_tp_traverse, reinterpret_cast<void*>(snowflake_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(snowflake_clear)},
    {Py_tp_methods, kMethods},
    {Py_tp_doc, const_cast<char*>(
                    "SnowflakeGenerator(node_id, node_bits=10, seq_bits=12, offset_ms=0, clock=None)\n--\n\n"
                    "Mints 64-bit ids: 41 bits of milliseconds since offset_ms, the node, a sequence.\n\n"
                    "The layout is that of Agrona's generator. `clock` returns milliseconds since 1970 as\n"
                    "int; None is the machine's. Any number of threads may share one generator, without a\n"
                    "lock. Where a millisecond's sequence is used up, next() waits for the next one; under a\n"
                    "clock that was set back it waits 1 ms at most and counts time on. Raises ValueError for\n"
                    "settings that do not fit each other, TypeError for those that are no int.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence.lineage.SnowflakeGenerator", sizeof(SnowflakeObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, kSlots};

}  // namespace

bool add_snowflake(PyObject* module) {
  pthread_atfork(nullptr, nullptr, [] { g_forks.fetch_add(1, std::memory_order_relaxed); });
  const Ref type(PyType_FromSpec(&kSpec));
  return type && PyModule_AddObjectRef(module, "SnowflakeGenerator", type.get()) == 0;
}

}  // namespace whence::py
