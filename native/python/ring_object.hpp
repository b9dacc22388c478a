// The public Ring: a queue of objects in a slot ring.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_ring_object(PyObject* module);

}  // namespace whence::py
