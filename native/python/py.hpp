// Python.h once, and the few things every binding here needs.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <string>
#include <string_view>
#include <utility>

#include "ending.hpp"

namespace whence::py {

// An owned reference. Of a thread that ends with the interpreter it is left as it is (ending.hpp).
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    if (this != &other) drop(std::exchange(object_, std::exchange(other.object_, nullptr)));
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { drop(object_); }

  static Ref to(PyObject* borrowed) { return Ref(Py_XNewRef(borrowed)); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  static void drop(PyObject* object) noexcept {
    if (object == nullptr || (g_ending.load(std::memory_order_relaxed) && is_killed_thread())) return;
    try {
      Py_DECREF(object);
    } catch (abi::__forced_unwind&) {  // by a __del__; no frame above may be left in this way
      stop_thread();
    }
  }

  PyObject* object_ = nullptr;
};

// The UTF-8 of a str. Lone surrogates become backslash escapes; `owner` then holds the bytes.
inline bool utf8_of(PyObject* text, std::string_view& out, Ref& owner) {
  Py_ssize_t bytes = 0;
  if (const char* data = PyUnicode_AsUTF8AndSize(text, &bytes)) [[likely]] {
    out = {data, static_cast<std::size_t>(bytes)};
    return true;
  }
  if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return false;
  PyErr_Clear();
  owner = Ref(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!owner) return false;
  out = {PyBytes_AS_STRING(owner.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(owner.get()))};
  return true;
}

// The same, but a string that UTF-8 cannot hold is an error: ids must never merge.
inline bool strict_utf8_of(PyObject* text, std::string_view& out) {
  Py_ssize_t bytes = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &bytes);
  if (data == nullptr) return false;
  out = {data, static_cast<std::size_t>(bytes)};
  return true;
}

inline PyObject* to_str(std::string_view text) {
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

#if defined(Py_GIL_DISABLED)
inline constexpr bool kGil = false;
#define WHENCE_LOCKED(object) Py_BEGIN_CRITICAL_SECTION(object)
#define WHENCE_UNLOCKED() Py_END_CRITICAL_SECTION()
#else
inline constexpr bool kGil = true;
#define WHENCE_LOCKED(object) {
#define WHENCE_UNLOCKED() }
#endif

}  // namespace whence::py
