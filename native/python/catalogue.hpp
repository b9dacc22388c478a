// A session's dictionary as a Python object.
#pragma once

#include <memory>

#include "py.hpp"
#include "whence/catalogue.hpp"

namespace whence::py {

struct CatalogueObject {
  PyObject_HEAD
  std::shared_ptr<Catalogue> catalogue;
};

extern PyTypeObject* g_catalogue_type;

bool add_catalogue(PyObject* module);

}  // namespace whence::py
