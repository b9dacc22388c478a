// Batch.json and Batch.write_json: a batch's events as JSON text, in memory or in a file.
#include "whence/json.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "batch.hpp"
#include "safe.hpp"

namespace whence::py {

namespace {

constexpr std::size_t kJsonChunkBytes = 256 * 1024;
constexpr std::size_t kJsonPieceBytes = 64 * 1024;  // each in the place of the last, which the cache has

// {session: [(monotonic ns, wall ns), ...]}, as SessionInfo.anchors has them.
bool read_clocks(PyObject* given, WallClocks& clocks) {
  PyObject *session, *anchors;
  for (Py_ssize_t at = 0; PyDict_Next(given, &at, &session, &anchors);) {
    std::string_view name;
    Ref owner;
    Ref items(PySequence_Fast(anchors, "anchors are a sequence of pairs"));
    if (!items || !utf8_of(session, name, owner)) return false;
    auto& list = clocks[std::string(name)];
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
      WallAnchor anchor;
      PyObject* pair = PySequence_Fast_GET_ITEM(items.get(), i);
      if (!PyTuple_Check(pair) || !PyArg_ParseTuple(pair, "LL", &anchor.monotonic_ns, &anchor.wall_ns)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "an anchor is a pair of ints");
        return false;
      }
      list.push_back(anchor);
    }
  }
  return true;
}

// The events of a batch in order of time, joined by commas or one a line.
class JsonPieces {
 public:
  JsonPieces(const whence::Batch& batch, bool lines, const WallClocks& clocks)
      : events_(batch, &clocks), order_(batch.in_time_order()), lines_(lines), before_(lines ? "" : "\n") {}

  // The next of at least so many bytes, unless it is the last one; empty: there is no more.
  std::string_view next(std::size_t bytes) {
    out_.clear_down_to(4 * bytes);
    while (at_ < order_.size() && out_.size() < bytes) {
      out_.put(before_);
      events_.append(out_, order_[at_++]);
      if (lines_)
        out_.put('\n');
      else
        before_ = ",\n";
    }
    return out_.view();
  }

 private:
  TextOut out_;
  JsonEvents events_;
  std::vector<std::uint32_t> order_;
  std::size_t at_ = 0;
  bool lines_;
  std::string_view before_;
};

// To the place `to` of a file, or, if that is negative, where it is. An errno, or 0.
int write_all(int file, std::string_view text, std::int64_t to) {
  while (!text.empty()) {
    const ssize_t written = to < 0 ? ::write(file, text.data(), text.size())
                                   : ::pwrite(file, text.data(), text.size(), to);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    text.remove_prefix(static_cast<std::size_t>(written));
    if (to >= 0) to += written;
  }
  return 0;
}

// The disk works on what is there while more is encoded: whoever waits for it then waits less.
constexpr std::size_t kDiskBytes = 1 << 20;
void begin_writeback([[maybe_unused]] int file, [[maybe_unused]] std::int64_t from) {
#ifdef SYNC_FILE_RANGE_WRITE
  sync_file_range(file, from, 0, SYNC_FILE_RANGE_WRITE);  // a hint: on what has no disk it fails
#endif
}

}  // namespace

PyObject* batch_json(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"lines", "clocks", nullptr};
  int lines = 0;
  PyObject* given = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|pO!", const_cast<char**>(names), &lines, &PyDict_Type,
                                   &given))
    return nullptr;
  WallClocks clocks;
  if (given != nullptr && !read_clocks(given, clocks)) return nullptr;
  const Reading claim(object);
  if (!claim) return nullptr;
  Ref chunks(PyList_New(0));
  if (!chunks) return nullptr;
  std::optional<JsonPieces> pieces;
  std::string_view text;
  const auto fill = [&] {
    if (!pieces) pieces.emplace(as_batch(object)->batch, lines, clocks);
    text = pieces->next(kJsonChunkBytes);
  };
  while (without_gil(fill)) {
    if (text.empty()) return chunks.release();
    const Ref chunk(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
    if (!chunk || PyList_Append(chunks.get(), chunk.get()) < 0) return nullptr;
  }
  return nullptr;
}

// All of it without the GIL: each time it is taken, a busy thread keeps us waiting for milliseconds.
PyObject* batch_write_json(PyObject* object, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"file", "to", "most_bytes", "lines", "clocks", nullptr};
  int file = -1;
  long long to = -1;
  Py_ssize_t most = 0;
  int lines = 0;
  PyObject* given = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|$LnpO!", const_cast<char**>(names), &file, &to, &most, &lines,
                                   &PyDict_Type, &given))
    return nullptr;
  WallClocks clocks;
  if (given != nullptr && !read_clocks(given, clocks)) return nullptr;
  const Reading claim(object);
  if (!claim) return nullptr;
  std::size_t written = 0;
  std::size_t begun = 0;  // to be put on disk
  int error = 0;
  bool fits = true;
  const bool done = without_gil([&] {
    JsonPieces pieces(as_batch(object)->batch, lines, clocks);
    for (std::string_view text; error == 0 && !(text = pieces.next(kJsonPieceBytes)).empty(); written += text.size()) {
      fits = most <= 0 || written + text.size() <= static_cast<std::size_t>(most);
      if (!fits) return;
      error = write_all(file, text, to < 0 ? to : to + static_cast<std::int64_t>(written));
      if (written - begun < kDiskBytes) continue;
      begin_writeback(file, std::max(to, 0ll));
      begun = written;
    }
  });
  if (!done) return nullptr;
  if (error != 0) {
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  return fits ? PyLong_FromSize_t(written) : Py_NewRef(Py_None);
}

}  // namespace whence::py
