// Every way from Python into C++ goes through here: no C++ exception gets into the interpreter.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <type_traits>

#include "py.hpp"

namespace whence::py {

// Sets the Python exception for the C++ one that is being handled. What ends a thread passes by.
inline void set_exception_of(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
      dynamic_cast<const std::length_error*>(&error) != nullptr)
    PyErr_NoMemory();
  else
    PyErr_SetString(PyExc_RuntimeError, error.what());
}

template <auto Function>
struct Safe;
template <class Answer, class... Given, Answer (*Function)(Given...)>
struct Safe<Function> {
  static Answer call(Given... given) {
    try {
      return Function(given...);
    } catch (const std::exception& error) {
      if constexpr (!std::is_void_v<Answer>) set_exception_of(error);
    }
    if constexpr (std::is_pointer_v<Answer>)
      return nullptr;
    else if constexpr (!std::is_void_v<Answer>)
      return -1;
  }
};

// `safe<f>` for the tables of methods, getters and slots: f with its C++ exceptions made Python's.
template <auto Function>
inline constexpr auto safe = &Safe<Function>::call;

// Runs `work` without the GIL. False, with the Python exception set, when it threw.
template <class Work>
bool without_gil(Work&& work) {
  bool done = false;
  bool memory = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    work();
    done = true;
  } catch (const std::bad_alloc&) {
    memory = false;
  } catch (const std::length_error&) {
    memory = false;
  } catch (const std::exception&) {
  }
  Py_END_ALLOW_THREADS
  if (!memory) PyErr_NoMemory();
  else if (!done) PyErr_SetString(PyExc_RuntimeError, "whence: an error in the native core");
  return done;
}

}  // namespace whence::py
