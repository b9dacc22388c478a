// Reads Arrow's C structs as a strict consumer would: every offset, byte and rule is looked at.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "check.hpp"
#include "whence/arrow_abi.hpp"
#include "whence/arrow_buffers.hpp"

namespace whence::testing {

using arrow::ArrowArray;
using arrow::ArrowArrayStream;
using arrow::ArrowSchema;

// The values of an array as texts; null is "null".
class ArrayReader {
 public:
  ArrayReader(const ArrowSchema& schema, const ArrowArray& array) : schema_(schema), array_(array) {
    CHECK(schema.release != nullptr && array.release != nullptr);
    CHECK(array.offset == 0 && array.length >= 0 && array.null_count >= 0);
    CHECK((schema.dictionary != nullptr) == (array.dictionary != nullptr));
    CHECK_EQ(schema.n_children, array.n_children);
    CHECK_EQ(array.n_buffers, buffers_of(schema.format));
    for (std::int64_t i = 1; i < array.n_buffers; ++i)
      CHECK(array.buffers[i] != nullptr && reinterpret_cast<std::uintptr_t>(array.buffers[i]) % 64 == 0);
    std::int64_t nulls = 0;
    for (std::int64_t i = 0; i < array.length; ++i) nulls += is_null(i);
    CHECK_EQ(nulls, array.null_count);
    CHECK(nulls == 0 || (schema.flags & arrow::kFlagNullable));
    if (is("u") || is("+m")) check_offsets();
  }

  std::string text(std::int64_t i) const {
    if (is_null(i)) return "null";
    if (array_.dictionary != nullptr) {
      const std::int64_t index = at<std::int32_t>(1, i);
      if (!CHECK(index >= 0 && index < array_.dictionary->length)) return "";
      return ArrayReader(*schema_.dictionary, *array_.dictionary).text(index);
    }
    if (is("l")) return std::to_string(at<std::int64_t>(1, i));
    if (is("i")) return std::to_string(at<std::int32_t>(1, i));
    if (is("g")) return std::to_string(at<double>(1, i));
    if (is("b")) return bit(1, i) ? "true" : "false";
    if (is("u")) {
      const std::int32_t begin = at<std::int32_t>(1, i);
      const std::string_view text(static_cast<const char*>(array_.buffers[2]) + begin,
                                  static_cast<std::size_t>(at<std::int32_t>(1, i + 1) - begin));
      CHECK(arrow::is_utf8(text));
      return std::string(text);
    }
    if (is("+m")) return map_text(i);
    CHECK(false);
    return "";
  }

 private:
  static std::int64_t buffers_of(std::string_view format) {
    return format == "+s" ? 1 : format == "u" ? 3 : 2;
  }
  bool is(std::string_view format) const { return schema_.format == format; }

  template <class T>
  T at(std::int64_t buffer, std::int64_t i) const {
    return static_cast<const T*>(array_.buffers[buffer])[i];
  }
  bool bit(std::int64_t buffer, std::int64_t i) const { return at<unsigned char>(buffer, i / 8) >> i % 8 & 1; }
  bool is_null(std::int64_t i) const { return array_.buffers[0] != nullptr && !bit(0, i); }

  void check_offsets() const {
    CHECK_EQ(at<std::int32_t>(1, 0), 0);
    for (std::int64_t i = 0; i < array_.length; ++i) CHECK(at<std::int32_t>(1, i) <= at<std::int32_t>(1, i + 1));
    if (is("+m")) CHECK_EQ(at<std::int32_t>(1, array_.length), array_.children[0]->length);
  }

  std::string map_text(std::int64_t i) const {
    const ArrowSchema& pairs = *schema_.children[0];
    const ArrowArray& entries = *array_.children[0];
    const ArrayReader keys(*pairs.children[0], *entries.children[0]);
    const ArrayReader values(*pairs.children[1], *entries.children[1]);
    CHECK(entries.children[0]->length == entries.length && entries.children[1]->length == entries.length);
    std::map<std::string, std::string> found;
    for (std::int32_t at = this->at<std::int32_t>(1, i); at < this->at<std::int32_t>(1, i + 1); ++at)
      CHECK(found.emplace(keys.text(at), values.text(at)).second);
    std::string out;
    for (const auto& [key, value] : found) out.append(out.empty() ? "" : ",").append(key).append("=").append(value);
    return out;
  }

  const ArrowSchema& schema_;
  const ArrowArray& array_;
};

using Row = std::map<std::string, std::string>;  // by column

inline void read_rows(const ArrowSchema& schema, const ArrowArray& batch, std::vector<Row>& rows) {
  const ArrayReader whole(schema, batch);
  const std::size_t first = rows.size();
  rows.resize(first + static_cast<std::size_t>(batch.length));
  for (std::int64_t column = 0; column < schema.n_children; ++column) {
    CHECK_EQ(batch.children[column]->length, batch.length);
    const ArrayReader reader(*schema.children[column], *batch.children[column]);
    for (std::int64_t i = 0; i < batch.length; ++i)
      rows[first + static_cast<std::size_t>(i)][schema.children[column]->name] = reader.text(i);
  }
}

// All that a stream holds, which is released; `batches` counts the record batches.
inline std::vector<Row> read_stream(ArrowArrayStream& stream, int* batches = nullptr) {
  std::vector<Row> rows;
  ArrowSchema schema{};
  CHECK_EQ(stream.get_schema(&stream, &schema), 0);
  for (;;) {
    ArrowArray batch{};
    CHECK_EQ(stream.get_next(&stream, &batch), 0);
    if (batch.release == nullptr) break;
    if (batches != nullptr) ++*batches;
    read_rows(schema, batch, rows);
    batch.release(&batch);
    CHECK(batch.release == nullptr);
  }
  schema.release(&schema);
  stream.release(&stream);
  CHECK(schema.release == nullptr && stream.release == nullptr);
  return rows;
}

}  // namespace whence::testing
