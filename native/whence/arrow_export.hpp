// Gives arrays and their schema away as Arrow's C structs, which keep alive what they point to.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "arrow_abi.hpp"

namespace whence::arrow {

// One array as it lies in memory that somebody else owns.
struct Array {
  std::int64_t length = 0;
  std::int64_t null_count = 0;
  std::vector<const void*> buffers;
  std::vector<Array> children;
  const Array* dictionary = nullptr;
};

// One type. Texts are literals.
struct Schema {
  const char* format = "";
  const char* name = "";
  bool nullable = false;
  std::vector<Schema> children;
  const Schema* dictionary = nullptr;
};

namespace detail {

// What a struct that was given away owns: its children, and a share of the memory.
template <class Struct>
struct Given {
  std::shared_ptr<const void> memory;
  std::vector<Struct> children;
  std::vector<Struct*> places;
  Struct dictionary{};

  explicit Given(std::shared_ptr<const void> kept) : memory(std::move(kept)) {}
  Given(const Given&) = delete;
  Given& operator=(const Given&) = delete;
  ~Given() {  // a child that was moved out is released elsewhere
    for (Struct& child : children)
      if (child.release != nullptr) child.release(&child);
    if (dictionary.release != nullptr) dictionary.release(&dictionary);
  }

  // Fills the parts of `out` that are the same for both structs; then it belongs to `out`.
  template <class Described, class Fill>
  static void give(const Described& from, std::shared_ptr<const void> memory, Struct* out, Fill&& fill) {
    auto given = std::make_unique<Given>(std::move(memory));
    given->children.resize(from.children.size());
    for (std::size_t i = 0; i < from.children.size(); ++i) {
      given->places.push_back(&given->children[i]);
      fill(from.children[i], given->memory, &given->children[i]);
    }
    if (from.dictionary != nullptr) fill(*from.dictionary, given->memory, &given->dictionary);
    out->n_children = static_cast<std::int64_t>(from.children.size());
    out->children = given->places.data();
    out->dictionary = from.dictionary != nullptr ? &given->dictionary : nullptr;
    out->private_data = given.release();
    out->release = [](Struct* released) {
      delete static_cast<Given*>(released->private_data);
      released->release = nullptr;
    };
  }
};

}  // namespace detail

// Both throw bad_alloc, and leave `out` released then.
inline void give_schema(const Schema& schema, std::shared_ptr<const void> memory, ArrowSchema* out) {
  *out = {};
  detail::Given<ArrowSchema>::give(schema, std::move(memory), out, give_schema);
  out->format = schema.format;
  out->name = schema.name;
  out->flags = schema.nullable ? kFlagNullable : 0;
}

inline void give_array(const Array& array, std::shared_ptr<const void> memory, ArrowArray* out) {
  *out = {};
  detail::Given<ArrowArray>::give(array, std::move(memory), out, give_array);
  out->length = array.length;
  out->null_count = array.null_count;
  out->n_buffers = static_cast<std::int64_t>(array.buffers.size());
  out->buffers = const_cast<const void**>(array.buffers.data());
}

// What a stream hands out, one part after the other. `Source` has schema() and parts(), whose
// elements are pointers that own what their array() points to.
template <class Source>
class Stream {
 public:
  // Throws bad_alloc.
  static void give(std::shared_ptr<const Source> source, ArrowArrayStream* out) {
    *out = {};
    out->private_data = new Stream(std::move(source));
    out->get_schema = [](ArrowArrayStream* stream, ArrowSchema* schema) {
      return of(stream).answer([&](Stream& self) { give_schema(self.source_->schema(), self.source_, schema); });
    };
    out->get_next = [](ArrowArrayStream* stream, ArrowArray* array) {
      return of(stream).answer([&](Stream& self) { self.next(array); });
    };
    out->get_last_error = [](ArrowArrayStream* stream) { return of(stream).error_; };
    out->release = [](ArrowArrayStream* stream) {
      delete &of(stream);
      stream->release = nullptr;
    };
  }

 private:
  explicit Stream(std::shared_ptr<const Source> source) : source_(std::move(source)) {}

  static Stream& of(ArrowArrayStream* stream) { return *static_cast<Stream*>(stream->private_data); }

  void next(ArrowArray* out) {
    *out = {};
    if (next_ == source_->parts().size()) return;
    const auto& part = source_->parts()[next_];
    give_array(part->array(), part, out);
    ++next_;
  }

  // No exception passes into the consumer.
  template <class Work>
  int answer(Work&& work) noexcept {
    try {
      work(*this);
      error_ = nullptr;
      return 0;
    } catch (const std::exception&) {
      error_ = "out of memory";
      return ENOMEM;
    }
  }

  std::shared_ptr<const Source> source_;
  std::size_t next_ = 0;
  const char* error_ = nullptr;
};

}  // namespace whence::arrow
