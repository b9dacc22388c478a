// Batch: events drained from rings, on their way to values or to bytes.
#pragma once

#include <atomic>

#include "py.hpp"
#include "whence/batch.hpp"

namespace whence::py {

struct BatchObject {
  PyObject_HEAD
  whence::Batch batch;
  std::atomic<int> users;  // how many read it without the GIL; -1: one fills it
};

extern PyTypeObject* g_batch_type;

inline BatchObject* as_batch(PyObject* object) { return reinterpret_cast<BatchObject*>(object); }

// Holds a batch for a call that reads it and may release the GIL: many may at once.
class Reading {
 public:
  explicit Reading(PyObject* batch) : users_(as_batch(batch)->users) {
    int users = users_.load(std::memory_order_relaxed);
    while (users >= 0 && !users_.compare_exchange_weak(users, users + 1, std::memory_order_acquire)) {
    }
    good_ = users >= 0;
    if (!good_) PyErr_SetString(PyExc_RuntimeError, "another thread is filling this batch");
  }
  ~Reading() {
    if (good_) users_.fetch_sub(1, std::memory_order_release);
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  explicit operator bool() const { return good_; }

 private:
  std::atomic<int>& users_;
  bool good_;
};

// Holds a batch for a call that changes it.
class Filling {
 public:
  explicit Filling(PyObject* batch) : users_(as_batch(batch)->users) {
    int none = 0;
    good_ = users_.compare_exchange_strong(none, -1, std::memory_order_acquire);
    if (!good_) PyErr_SetString(PyExc_RuntimeError, "another thread is using this batch");
  }
  ~Filling() {
    if (good_) users_.store(0, std::memory_order_release);
  }
  Filling(const Filling&) = delete;
  Filling& operator=(const Filling&) = delete;
  explicit operator bool() const { return good_; }

 private:
  std::atomic<int>& users_;
  bool good_;
};

bool add_batch(PyObject* module);

// Batch.select(...) and Batch.parts(most_events), in select.cpp.
PyObject* batch_select(PyObject* object, PyObject* args, PyObject* kwargs);
PyObject* batch_parts(PyObject* object, PyObject* most);

// Batch.json(...) and Batch.write_json(...), in batch_json.cpp.
PyObject* batch_json(PyObject* object, PyObject* args, PyObject* kwargs);
PyObject* batch_write_json(PyObject* object, PyObject* args, PyObject* kwargs);

}  // namespace whence::py
