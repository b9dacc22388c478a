// Context: an immutable value in a contextvar, so it follows asyncio tasks and copied contexts.
#include "context.hpp"

#include <new>

#include "whence/recorder.hpp"

namespace whence::py {

PyTypeObject* g_context_type = nullptr;
PyObject* g_context_var = nullptr;
std::atomic<bool> g_any_context{false};

namespace {

ContextObject* as_context(PyObject* object) { return reinterpret_cast<ContextObject*>(object); }

PyObject* context_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"request_id", "chain_id", "lineage_id", nullptr};
  PyObject* request_id = nullptr;
  PyObject* chain_id = nullptr;
  PyObject* lineage = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|UO!", const_cast<char**>(names), &request_id,
                                   &chain_id, &PyLong_Type, &lineage))
    return nullptr;
  std::string_view request;
  std::string_view chain;
  if (!strict_utf8_of(request_id, request)) return nullptr;
  if (chain_id != nullptr && !strict_utf8_of(chain_id, chain)) return nullptr;
  std::uint64_t lineage_id = 0;
  if (lineage != nullptr) {
    lineage_id = PyLong_AsUnsignedLongLong(lineage);
    if (PyErr_Occurred()) return nullptr;
  }
  auto* self = as_context(type->tp_alloc(type, 0));
  if (self == nullptr) return nullptr;
  new (&self->request) RequestId(encode_request(request, Recorder::get().request_seed()));
  new (&self->request_id) std::string(request);
  new (&self->chain_id) std::string(chain == request ? std::string_view() : chain);
  self->lineage_id = lineage_id;
  return reinterpret_cast<PyObject*>(self);
}

void context_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  as_context(object)->request_id.~basic_string();
  as_context(object)->chain_id.~basic_string();
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* context_request_id(PyObject* self, void*) { return to_str(as_context(self)->request_id); }

PyObject* context_chain_id(PyObject* self, void*) {
  const ContextObject* context = as_context(self);
  return to_str(context->chain_id.empty() ? context->request_id : context->chain_id);
}

PyObject* context_lineage_id(PyObject* self, void*) {
  return PyLong_FromUnsignedLongLong(as_context(self)->lineage_id);
}

PyObject* context_repr(PyObject* self) {
  Ref id(context_request_id(self, nullptr));
  return id ? PyUnicode_FromFormat("Context(%R)", id.get()) : nullptr;
}

PyGetSetDef kGetters[] = {
    {"request_id", context_request_id, nullptr, "The request's id (str).", nullptr},
    {"chain_id", context_chain_id, nullptr, "The decision chain's id; the request's by default.", nullptr},
    {"lineage_id", context_lineage_id, nullptr, "The lineage id events inherit, 0 = none.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(context_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(context_dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(context_repr)},
    {Py_tp_getset, kGetters},
    {Py_tp_doc, const_cast<char*>("The ambient request. Immutable; safe to share between threads.")},
    {0, nullptr},
};

PyType_Spec kSpec = {"whence._native.Context", sizeof(ContextObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, kSlots};

}  // namespace

bool add_context(PyObject* module) {
  g_context_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kSpec));
  if (g_context_type == nullptr) return false;
  g_context_var = PyContextVar_New("whence.context", nullptr);
  if (g_context_var == nullptr) return false;
  return PyModule_AddObjectRef(module, "Context", reinterpret_cast<PyObject*>(g_context_type)) == 0 &&
         PyModule_AddObjectRef(module, "context_var", g_context_var) == 0;
}

}  // namespace whence::py
