// Catalogue: what a reader knows of a session's kinds and names.
#include "catalogue.hpp"

#include <cstring>
#include <new>
#include <vector>

#include "errors.hpp"
#include "safe.hpp"
#include "whence/recorder.hpp"

namespace whence::py {

PyTypeObject* g_catalogue_type = nullptr;

namespace {

CatalogueObject* as_catalogue(PyObject* object) { return reinterpret_cast<CatalogueObject*>(object); }

PyObject* catalogue_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"run", "request_seed", nullptr};
  unsigned long long run = 0;
  unsigned long long request_seed = Recorder::get().request_seed();
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|KK", const_cast<char**>(names), &run, &request_seed))
    return nullptr;
  auto catalogue = std::make_shared<Catalogue>();
  catalogue->run = run;
  catalogue->set_request_seed(request_seed);
  PyObject* object = type->tp_alloc(type, 0);
  if (object != nullptr)
    new (&as_catalogue(object)->catalogue) std::shared_ptr<Catalogue>(std::move(catalogue));
  return object;
}

void catalogue_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  as_catalogue(object)->catalogue.~shared_ptr();
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* catalogue_update(PyObject* object, PyObject* argument) {
  Py_buffer buffer;
  if (PyObject_GetBuffer(argument, &buffer, PyBUF_SIMPLE) < 0) return nullptr;
  // A copy at an aligned address: records are read by aligned 64-bit loads.
  std::vector<std::uint64_t> words((static_cast<std::size_t>(buffer.len) + 7) / 8);
  std::memcpy(words.data(), buffer.buf, static_cast<std::size_t>(buffer.len));
  const auto bytes = static_cast<std::size_t>(buffer.len);
  PyBuffer_Release(&buffer);
  const auto* base = reinterpret_cast<const std::byte*>(words.data());
  switch (Catalogue::check(base, bytes)) {
    case Catalogue::Fault::None: break;
    case Catalogue::Fault::TooShort: raise_error("CorruptFile", "names file: cut short"); return nullptr;
    case Catalogue::Fault::Foreign: raise_error("CorruptFile", "names file: not one of whence's"); return nullptr;
    case Catalogue::Fault::Endian:
      raise_error("UnsupportedFormat", "names file: written on a machine of the other byte order");
      return nullptr;
    case Catalogue::Fault::NewerMajor:
      raise_error("UnsupportedFormat", "names file: of another format version; use a matching whence");
      return nullptr;
  }
  as_catalogue(object)->catalogue->update(base, bytes);
  Py_RETURN_NONE;
}

PyObject* catalogue_update_local(PyObject* object, PyObject*) {
  if (Session* session = Recorder::get().session()) {
    as_catalogue(object)->catalogue->run = session->identity().run;
    as_catalogue(object)->catalogue->update(session->names().base(), session->names().bytes());
  }
  Py_RETURN_NONE;
}

PyObject* kind_fields(const KindSchema& schema) {
  Ref fields(PyTuple_New(static_cast<Py_ssize_t>(schema.fields.size())));
  for (std::size_t i = 0; fields && i < schema.fields.size(); ++i) {
    const Field& field = schema.fields[i];
    PyObject* pair = Py_BuildValue("(Nii)", to_str(field.name), static_cast<int>(field.type),
                                   static_cast<int>(field.role));
    if (pair == nullptr) return nullptr;
    PyTuple_SET_ITEM(fields.get(), static_cast<Py_ssize_t>(i), pair);
  }
  return fields.release();
}

PyObject* catalogue_kinds(PyObject* object, PyObject*) {
  const Catalogue& catalogue = *as_catalogue(object)->catalogue;
  Ref kinds(PyList_New(0));
  for (std::size_t id = 0; kinds && id < catalogue.kind_limit(); ++id) {
    const KnownKind* kind = catalogue.kind(static_cast<std::uint16_t>(id));
    if (kind == nullptr) continue;
    const KindSchema& schema = kind->schema;
    Ref row(Py_BuildValue("(iNNOiNNNNOO)", static_cast<int>(id), to_str(schema.name),
                          to_str(schema.component), schema.decision ? Py_True : Py_False,
                          static_cast<int>(schema.severity), to_str(schema.rationale),
                          kind_fields(schema), to_str(schema.otel_name), to_str(schema.source),
                          schema.on ? Py_True : Py_False,
                          schema.span ? Py_True : Py_False));
    if (!row || PyList_Append(kinds.get(), row.get()) < 0) return nullptr;
  }
  return kinds.release();
}

PyObject* catalogue_damaged(PyObject* object, void*) {
  return PyBool_FromLong(as_catalogue(object)->catalogue->damaged());
}

PyMethodDef kCatalogueMethods[] = {
    {"update", safe<catalogue_update>, METH_O, "Reads the records that a names file has gained."},
    {"update_local", safe<catalogue_update_local>, METH_NOARGS, "The same for this process's own session."},
    {"kinds", safe<catalogue_kinds>, METH_NOARGS,
     "[(id, name, component, decision, severity, rationale, fields, otel_name, source, on, span), ...]"},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kCatalogueGetters[] = {
    {"damaged", safe<catalogue_damaged>, nullptr, "Did a record fail its checksum?", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kCatalogueSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(safe<catalogue_new>)},
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<catalogue_dealloc>)},
    {Py_tp_methods, kCatalogueMethods},
    {Py_tp_getset, kCatalogueGetters},
    {Py_tp_doc, const_cast<char*>("The kinds and names of one session, as far as they were read.")},
    {0, nullptr},
};

PyType_Spec kCatalogueSpec = {"whence._native.Catalogue", sizeof(CatalogueObject), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, kCatalogueSlots};

}  // namespace

bool add_catalogue(PyObject* module) {
  g_catalogue_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kCatalogueSpec));
  return g_catalogue_type != nullptr &&
         PyModule_AddObjectRef(module, "Catalogue", reinterpret_cast<PyObject*>(g_catalogue_type)) == 0;
}

}  // namespace whence::py
