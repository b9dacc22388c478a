// Gates by number and by name, in this process and, word by word, in another one's control page.
#include "gates.hpp"

#include <sys/mman.h>

#include <cmath>

#include "errors.hpp"
#include "safe.hpp"
#include "whence/fault_guard.hpp"
#include "whence/recorder.hpp"
#include "whence/request.hpp"

namespace whence::py {

namespace {

bool number_from(PyObject* value, const char* what, double& out) {
  if (PyBool_Check(value) || !(PyFloat_Check(value) || PyLong_Check(value))) {
    PyErr_Format(PyExc_TypeError, "%s must be a number, not %s", what, Py_TYPE(value)->tp_name);
    return false;
  }
  out = PyFloat_AsDouble(value);
  return !(out == -1.0 && PyErr_Occurred());
}

// ---------------------------------------------------------------- functions of the module

PyObject* gate_word(PyObject*, PyObject* args) {
  PyObject* rate = nullptr;
  PyObject* minimum = nullptr;
  Gate gate;
  if (!PyArg_ParseTuple(args, "OO", &rate, &minimum) || !gate_from(rate, minimum, gate)) return nullptr;
  return PyLong_FromUnsignedLongLong(gate.word);
}

PyObject* gate_parts(PyObject*, PyObject* argument) {
  const Gate gate{PyLong_AsUnsignedLongLong(argument)};
  if (PyErr_Occurred()) return nullptr;
  return Py_BuildValue("(Odd)", gate.on() ? Py_True : Py_False, gate.rate(),
                       gate.has_minimum() ? static_cast<double>(gate.minimum()) : -HUGE_VAL);
}

PyObject* set_rule(PyObject*, PyObject* args) {
  const char* name = nullptr;
  Py_ssize_t bytes = 0;
  unsigned long long word = 0;
  if (!PyArg_ParseTuple(args, "s#K", &name, &bytes, &word)) return nullptr;
  const std::string_view text(name, static_cast<std::size_t>(bytes));
  return PyBool_FromLong(Recorder::get().set_rule(text, Gate{word}));
}

PyObject* sample_value(PyObject*, PyObject* argument) {
  std::string_view id;
  if (!PyUnicode_Check(argument)) {
    PyErr_SetString(PyExc_TypeError, "a request's id is a str");
    return nullptr;
  }
  if (!strict_utf8_of(argument, id)) return nullptr;
  return PyLong_FromUnsignedLongLong(sample_value_of_key(encode_request(id, 0).key));
}

PyObject* hash64(PyObject*, PyObject* argument) {
  std::string_view text;
  if (!PyUnicode_Check(argument)) {
    PyErr_SetString(PyExc_TypeError, "hash64() takes a str");
    return nullptr;
  }
  Ref owner;
  if (!utf8_of(argument, text, owner)) return nullptr;
  return PyLong_FromUnsignedLongLong(XXH3_64bits(text.data(), text.size()));
}

// Runs `change` on the aligned word at `offset` of a file. False with an exception set: it is gone.
template <class Change>
bool at_word(int fd, std::size_t offset, Change&& change) {
  const std::size_t page = offset / 4096 * 4096;
  void* at = offset % 8 == 0 ? mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                                    static_cast<off_t>(page))
                             : MAP_FAILED;
  if (at == MAP_FAILED) {
    if (offset % 8 != 0) errno = EINVAL;
    PyErr_SetFromErrno(PyExc_OSError);
    return false;
  }
  auto* word = reinterpret_cast<std::atomic<std::uint64_t>*>(static_cast<std::byte*>(at) + offset - page);
  install_fault_guard();
  const bool survived = guarded([&] { change(*word); });
  munmap(at, 4096);
  if (!survived) raise_error("CorruptFile", "control file: truncated while it was changed");
  return survived;
}

PyObject* swap_word(PyObject*, PyObject* args) {
  int fd = -1;
  Py_ssize_t offset = 0;
  unsigned long long word = 0;
  if (!PyArg_ParseTuple(args, "inK", &fd, &offset, &word)) return nullptr;
  std::uint64_t before = 0;
  if (!at_word(fd, static_cast<std::size_t>(offset), [&](auto& at) { before = at.exchange(word); }))
    return nullptr;
  return PyLong_FromUnsignedLongLong(before);
}

PyObject* replace_word(PyObject*, PyObject* args) {
  int fd = -1;
  Py_ssize_t offset = 0;
  unsigned long long expected = 0;
  unsigned long long word = 0;
  if (!PyArg_ParseTuple(args, "inKK", &fd, &offset, &expected, &word)) return nullptr;
  bool done = false;
  std::uint64_t before = expected;
  if (!at_word(fd, static_cast<std::size_t>(offset),
               [&](auto& at) { done = at.compare_exchange_strong(before, word); }))
    return nullptr;
  return PyBool_FromLong(done);
}

PyMethodDef kFunctions[] = {
    {"gate_word", safe<gate_word>, METH_VARARGS, "gate_word(sample_rate, min_strength or None): a gate that is on."},
    {"gate_parts", safe<gate_parts>, METH_O, "(on, sample rate, minimum or -inf) of a gate word."},
    {"set_rule", safe<set_rule>, METH_VARARGS,
     "set_rule(name, gate word) -> bool\n\nFor kinds of that name, now and later. False: no room, or no name."},
    {"sample_value", safe<sample_value>, METH_O,
     "What a request's id is sampled by: kept by gates whose threshold it reaches (30 bits)."},
    {"hash64", safe<hash64>, METH_O, "XXH3-64, seed 0, of a text's UTF-8."},
    {"swap_word", safe<swap_word>, METH_VARARGS,
     "swap_word(fd, offset, word) -> the word before\n\nAtomic, in a file that others have mapped."},
    {"replace_word", safe<replace_word>, METH_VARARGS,
     "replace_word(fd, offset, expected, word) -> bool\n\nAtomic; False: another word was there."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool gate_from(PyObject* rate, PyObject* minimum, Gate& gate) {
  double share = 1.0;
  if (rate != nullptr && !number_from(rate, "sample_rate", share)) return false;
  if (share == 0.0) {
    PyErr_SetString(PyExc_ValueError, "a sample_rate of 0 records nothing: use disable()");
    return false;
  }
  if (!(share > 0.0 && share <= 1.0)) {
    PyErr_Format(PyExc_ValueError, "sample_rate must be above 0 and at most 1, not %R", rate);
    return false;
  }
  gate = Gate::sampling(share);
  if (minimum == nullptr || minimum == Py_None) return true;
  double least = 0.0;
  if (!number_from(minimum, "min_strength", least)) return false;
  if (std::isnan(least)) {
    PyErr_SetString(PyExc_ValueError, "min_strength must be a number, not nan");
    return false;
  }
  if (!std::isfinite(static_cast<float>(least))) {
    PyErr_Format(PyExc_ValueError, "min_strength is kept as 32 bits, up to 3.4e38: not %R", minimum);
    return false;
  }
  gate = gate.with_minimum(static_cast<float>(least));
  return true;
}

bool add_gates(PyObject* module) { return PyModule_AddFunctions(module, kFunctions) == 0; }

}  // namespace whence::py
