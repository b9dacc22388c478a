// Ring: the slot ring as a plain queue of Python objects, for one thread and for tests.
#include "ring_object.hpp"
#include "safe.hpp"

#include <new>

#include "whence/ring_reader.hpp"
#include "whence/ring_writer.hpp"
#include "whence/session_files.hpp"

namespace whence::py {

namespace {

constexpr std::uint64_t kNoTextBytes = 8;  // the least that a ring may have
constexpr std::uint16_t kObjectKind = 1;

struct RingObject {
  PyObject_HEAD
  Region region;
  RingWriter writer;
  RingCursor cursor;
  std::uint64_t dropped;
};

RingObject* as_ring(PyObject* object) { return reinterpret_cast<RingObject*>(object); }

std::uint64_t held(const RingObject& self) { return self.writer.next_ticket() - self.cursor.next(); }

PyObject* object_of(const RawEvent& event) {
  return reinterpret_cast<PyObject*>(static_cast<std::uintptr_t>(event.words[kFieldWord]));
}

// The oldest object, which the caller owns from here on; null where there is none.
PyObject* take_oldest(RingObject& self) {
  PyObject* oldest = nullptr;
  self.cursor.poll(1, [&](const RawEvent& event) { oldest = object_of(event); });
  return oldest;
}

PyObject* ring_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"capacity", nullptr};
  PyObject* given = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Ring", const_cast<char**>(names), &given)) return nullptr;
  long long capacity = 10'000;
  if (given != nullptr) {
    if (!PyLong_Check(given) || PyBool_Check(given)) {
      PyErr_Format(PyExc_TypeError, "capacity must be int, not %s", Py_TYPE(given)->tp_name);
      return nullptr;
    }
    capacity = PyLong_AsLongLong(given);
    if (PyErr_Occurred()) PyErr_Clear();
    if (capacity <= 0 || capacity > (1ll << 30)) {
      PyErr_SetString(PyExc_ValueError, "capacity must be from 1 to 1,073,741,824");
      return nullptr;
    }
  }
  const auto slots = static_cast<std::uint64_t>(capacity);
  const Region region = anonymous_region(ring_file_bytes(slots, kNoTextBytes));
  if (!region) return PyErr_NoMemory();
  auto* self = as_ring(type->tp_alloc(type, 0));
  if (self == nullptr) {
    munmap(region.base, region.bytes);
    return nullptr;
  }
  new (&self->region) Region(region);
  new (&self->writer) RingWriter();
  fill_ring(region.base, SessionIdentity{}, 0, slots, kNoTextBytes, false);
  self->writer.attach(region.base, slots, kNoTextBytes);
  RingHeader header{};
  RingView::check(region.base, region.bytes, header);
  new (&self->cursor) RingCursor(RingView(region.base, header));
  return reinterpret_cast<PyObject*>(self);
}

int ring_traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(object));
  RingCursor each = as_ring(object)->cursor;  // a copy: nothing is taken
  int result = 0;
  each.poll(~std::size_t{0}, [&](const RawEvent& event) {
    if (result == 0) result = visit(object_of(event), arg);
  });
  return result;
}

int ring_clear(PyObject* object) {
  while (PyObject* oldest = take_oldest(*as_ring(object))) Py_DECREF(oldest);
  return 0;
}

void ring_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  ring_clear(object);
  munmap(as_ring(object)->region.base, as_ring(object)->region.bytes);
  as_ring(object)->cursor.~RingCursor();
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* ring_push(PyObject* object, PyObject* item) {
  RingObject& self = *as_ring(object);
  Ref oldest;
  if (held(self) == self.writer.capacity()) {
    oldest = Ref(take_oldest(self));
    ++self.dropped;
  }
  SlotImage slot;
  slot.words[kTagWord] = kObjectKind;
  slot.words[kFieldWord] = reinterpret_cast<std::uintptr_t>(Py_NewRef(item));
  self.writer.write(slot);
  return PyBool_FromLong(!oldest);  // what `oldest` ends with may push again: all is done
}

PyObject* ring_pop(PyObject* object, PyObject*) {
  if (PyObject* oldest = take_oldest(*as_ring(object))) return oldest;
  Py_RETURN_NONE;
}

Py_ssize_t ring_length(PyObject* object) { return static_cast<Py_ssize_t>(held(*as_ring(object))); }
PyObject* ring_is_empty(PyObject* object, PyObject*) { return PyBool_FromLong(held(*as_ring(object)) == 0); }
PyObject* ring_capacity(PyObject* object, PyObject*) {
  return PyLong_FromUnsignedLongLong(as_ring(object)->writer.capacity());
}
PyObject* ring_dropped(PyObject* object, void*) { return PyLong_FromUnsignedLongLong(as_ring(object)->dropped); }

PyMethodDef kMethods[] = {
    {"push", safe<ring_push>, METH_O,
     "push($self, event, /)\n--\n\n"
     "Adds an event. True: nothing was dropped for it; False: the ring was full and its oldest was."},
    {"pop", safe<ring_pop>, METH_NOARGS, "pop($self)\n--\n\nTakes the oldest event; None where there is none."},
    {"is_empty", safe<ring_is_empty>, METH_NOARGS, "is_empty($self)\n--\n\nWhether nothing is held."},
    {"capacity", safe<ring_capacity>, METH_NOARGS, "capacity($self)\n--\n\nHow many events it holds at most, exactly."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "Ring[T], for annotations."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kGetters[] = {
    {"dropped", safe<ring_dropped>, nullptr, "How many events were dropped so far (int).", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<ring_new>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<ring_dealloc>)},
    {Py_tp_traverse, reinterpret_cast<void*>(ring_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(ring_clear)},
    {Py_sq_length, reinterpret_cast<void*>(safe<ring_length>)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kGetters},
    {Py_tp_doc, const_cast<char*>(
                    "Ring(capacity=10_000)\n--\n\n"
                    "A queue of exactly `capacity` events, the oldest of which make room for new ones.\n\n"
                    "It is the ring that threads record into, written and read by the same code, but in\n"
                    "memory alone and of any objects. One slot of 64 bytes an event, all of it set aside\n"
                    "when the ring is made. For one thread at a time. Raises ValueError for a capacity\n"
                    "that is not from 1 to 2**30, TypeError for one that is no int.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence.ring.Ring", sizeof(RingObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, kSlots};

}  // namespace

bool add_ring_object(PyObject* module) {
  const Ref type(PyType_FromSpec(&kSpec));
  return type && PyModule_AddObjectRef(module, "Ring", type.get()) == 0;
}

}  // namespace whence::py
