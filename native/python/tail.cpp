// Entry payloads of options and attributes; layout.hpp says how they look.
#include "tail.hpp"

#include <cstring>
#include <string>

namespace whence::py {

namespace {

constexpr std::size_t kMaxKeyBytes = 0xffff;

// Text whose length is a u16 beside it.
void append_short(std::string& out, std::string_view text) {
  const auto length = static_cast<std::uint16_t>(cut_at_code_point(text, kMaxKeyBytes));
  out.append(reinterpret_cast<const char*>(&length), 2);
  out.append(text.data(), length);
}

std::string_view view(PyObject* text, Ref& owner) {
  std::string_view out;
  if (!utf8_of(text, out, owner)) PyErr_Clear();
  return out;
}

void put_option(TextBlock& block, PyObject* option) {
  std::string payload;
  Ref owner;
  append_short(payload, view(PyTuple_GET_ITEM(option, 0), owner));
  append_short(payload, view(PyTuple_GET_ITEM(option, 3), owner));
  PyObject* scores = PyTuple_GET_ITEM(option, 1);
  const Py_ssize_t count = PyDict_GET_SIZE(scores);
  payload.push_back(static_cast<char>(count));
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  Py_ssize_t at = 0;
  while (PyDict_Next(scores, &at, &key, &value)) {  // at most 255: convert_scores() saw to it
    append_short(payload, view(key, owner));
    const double score = PyFloat_AS_DOUBLE(value);
    payload.append(reinterpret_cast<const char*>(&score), 8);
  }
  const bool chosen = PyTuple_GET_ITEM(option, 2) == Py_True;
  block.whole(Entry::Option, chosen ? 1 : 0, payload.data(), payload.size());
}

std::size_t utf8_bytes(PyObject* text) {
  Ref owner;
  return view(text, owner).size();
}

std::size_t attribute_bytes(PyObject* pair) {
  PyObject* value = PyTuple_GET_ITEM(pair, 1);
  return kEntryHeaderBytes + 2 + utf8_bytes(PyTuple_GET_ITEM(pair, 0)) +
         (PyUnicode_Check(value) ? utf8_bytes(value) : 8);
}

AttributeType append_value(std::string& out, PyObject* value) {
  if (PyBool_Check(value)) {
    out.push_back(value == Py_True ? 1 : 0);
    return AttributeType::Bool;
  }
  if (PyFloat_CheckExact(value)) {
    const double number = PyFloat_AS_DOUBLE(value);
    out.append(reinterpret_cast<const char*>(&number), 8);
    return AttributeType::Float;
  }
  if (PyLong_CheckExact(value)) {
    const std::int64_t number = PyLong_AsLongLong(value);  // convert_attributes() saw that it fits
    out.append(reinterpret_cast<const char*>(&number), 8);
    return AttributeType::Int;
  }
  Ref owner;
  out.append(view(value, owner));
  return AttributeType::Text;
}

// `rest()` tells how many bytes the attributes after it take.
template <class Rest>
void put_attribute(TextBlock& block, PyObject* key, PyObject* value, Rest&& rest) {
  std::string payload;
  Ref owner;
  append_short(payload, view(key, owner));
  const std::size_t key_bytes = payload.size();
  const AttributeType type = append_value(payload, value);
  if (type == AttributeType::Text && key_bytes < block.share(rest, payload.size()))
    block.text_before(rest, Entry::Attribute, static_cast<std::uint8_t>(type), payload);
  else
    block.whole(Entry::Attribute, static_cast<std::uint8_t>(type), payload.data(), payload.size());
}

}  // namespace

void put_options(TextBlock& block, PyObject* options) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(options); ++i)
    put_option(block, PyTuple_GET_ITEM(options, i));
}

std::size_t options_bytes(PyObject* options) {
  std::size_t bytes = 0;
  for (Py_ssize_t i = 0; options != nullptr && i < PyTuple_GET_SIZE(options); ++i) {
    PyObject* option = PyTuple_GET_ITEM(options, i);
    bytes += kEntryHeaderBytes + 5 + utf8_bytes(PyTuple_GET_ITEM(option, 0)) +
             utf8_bytes(PyTuple_GET_ITEM(option, 3));
    PyObject* key = nullptr;
    Py_ssize_t at = 0;
    while (PyDict_Next(PyTuple_GET_ITEM(option, 1), &at, &key, nullptr)) bytes += 10 + utf8_bytes(key);
  }
  return bytes;
}

void put_attributes(TextBlock& block, PyObject* attributes) {
  std::size_t left = attributes_bytes(attributes, 0);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(attributes); ++i) {
    PyObject* pair = PyTuple_GET_ITEM(attributes, i);
    left -= attribute_bytes(pair);
    put_attribute(block, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1), [=] { return left; });
  }
}

void append_attributes(std::string& out, PyObject* attributes) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(attributes); ++i) {
    PyObject* pair = PyTuple_GET_ITEM(attributes, i);
    std::string value;
    Ref owner;
    const AttributeType type = append_value(value, PyTuple_GET_ITEM(pair, 1));
    const std::string_view key = view(PyTuple_GET_ITEM(pair, 0), owner);
    const auto key_bytes = static_cast<std::uint16_t>(cut_at_code_point(key, kMaxKeyBytes));
    const auto value_bytes = static_cast<std::uint32_t>(value.size());
    out.push_back(static_cast<char>(type));
    out.append(reinterpret_cast<const char*>(&key_bytes), 2);
    out.append(reinterpret_cast<const char*>(&value_bytes), 4);
    out.append(key.substr(0, key_bytes));
    out.append(value);
  }
}

std::size_t attributes_bytes(PyObject* attributes, Py_ssize_t first) {
  std::size_t bytes = 0;
  for (Py_ssize_t i = first; attributes != nullptr && i < PyTuple_GET_SIZE(attributes); ++i) {
    bytes += attribute_bytes(PyTuple_GET_ITEM(attributes, i));
  }
  return bytes;
}

}  // namespace whence::py
