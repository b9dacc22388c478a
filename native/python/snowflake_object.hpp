// The public SnowflakeGenerator: ids in Agrona's layout.
#pragma once

#include "py.hpp"

namespace whence::py {

bool add_snowflake(PyObject* module);

}  // namespace whence::py
