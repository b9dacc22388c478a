// What `async with` awaits where nothing has to be waited for.
#include "ready.hpp"
#include "safe.hpp"

namespace whence::py {

namespace {

PyTypeObject* g_ready_type = nullptr;

struct ReadyObject {
  PyObject_HEAD
  PyObject* value;
};

PyObject* ready_next(PyObject* object) {
  PyErr_SetObject(PyExc_StopIteration, reinterpret_cast<ReadyObject*>(object)->value);
  return nullptr;
}

void ready_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  PyObject* value = reinterpret_cast<ReadyObject*>(object)->value;
  PyObject_Free(object);
  Py_DECREF(type);
  Py_DECREF(value);
}

PyType_Slot kReadySlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<ready_dealloc>)},
    {Py_am_await, reinterpret_cast<void*>(static_cast<PyObject* (*)(PyObject*)>([](PyObject* self) {
       return Py_NewRef(self);
     }))},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(safe<ready_next>)},
    {0, nullptr},
};

PyType_Spec kReadySpec = {"whence._native.Ready", sizeof(ReadyObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                          kReadySlots};

}  // namespace

PyObject* ready(PyObject* value) {
  auto* self = PyObject_New(ReadyObject, g_ready_type);
  if (self == nullptr) return nullptr;
  self->value = Py_NewRef(value);
  return reinterpret_cast<PyObject*>(self);
}

bool make_ready_type() {
  g_ready_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kReadySpec));
  return g_ready_type != nullptr;
}

}  // namespace whence::py
