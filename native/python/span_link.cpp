// Reads whom a link leads to.
#include "span_link.hpp"

#include <string>

namespace whence::py {

bool read_link(PyObject* to, SpanLinkTo& link) {
  if (Py_TYPE(to) == g_context_type) {
    link.trace = trace_of_context(*as_context(to));
    link.span_id = as_context(to)->span_id;
    return true;
  }
  std::string_view text;
  if (PyUnicode_Check(to)) {
    if (!strict_utf8_of(to, text)) return false;
    TraceId span;  // 00-<32>-<16>-..: the span's id is read as half of one
    if (text.size() >= 55 && parse_trace_id(text.substr(3, 32), link.trace) &&
        parse_trace_id("0000000000000000" + std::string(text.substr(36, 16)), span)) {
      link.span_id = __builtin_bswap64(span.words[1]);
      return true;
    }
  } else if (PyTuple_Check(to) && PyTuple_GET_SIZE(to) == 2 && PyUnicode_Check(PyTuple_GET_ITEM(to, 0)) &&
             PyLong_Check(PyTuple_GET_ITEM(to, 1))) {
    if (!strict_utf8_of(PyTuple_GET_ITEM(to, 0), text)) return false;
    link.span_id = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(to, 1));
    if (PyErr_Occurred()) return false;
    if (text.empty() || parse_trace_id(text, link.trace)) return true;
  }
  PyErr_SetString(PyExc_TypeError, "link() takes a Context, a span, a traceparent, or (trace id, span id)");
  return false;
}

}  // namespace whence::py
