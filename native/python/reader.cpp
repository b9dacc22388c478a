// RingReader: a cursor over a ring in a file or in this process.
#include "reader.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "errors.hpp"
#include "safe.hpp"
#include "shared_ring.hpp"
#include "whence/fault_guard.hpp"
#include "whence/recorder.hpp"
#include "whence/request.hpp"
#include "whence/span_table.hpp"

namespace whence::py {

PyTypeObject* g_ring_reader_type = nullptr;

namespace {

RingReaderObject* as_reader(PyObject* object) { return reinterpret_cast<RingReaderObject*>(object); }

// The file's bytes from `at` to `end`; short where the file is. Never a signal, unlike a mapping.
bool read_bytes(int fd, std::byte* out, std::size_t at, std::size_t end) {
  while (at < end) {
    const ssize_t part = pread(fd, out + at, end - at, static_cast<off_t>(at));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) PyErr_SetFromErrno(PyExc_OSError);
    if (part <= 0) return part == 0;
    at += static_cast<std::size_t>(part);
  }
  return true;
}

// The same without holes, into memory of zeros: a file that is mostly hole costs next to nothing.
bool read_data(int fd, std::byte* out, std::size_t end) {
  for (std::size_t at = 0; at < end;) {
    const off_t data = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return true;
    const off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return read_bytes(fd, out, at, end);  // a file system that tells of no holes
    const std::size_t until = std::min(end, static_cast<std::size_t>(hole));
    if (!read_bytes(fd, out, static_cast<std::size_t>(data), until)) return false;
    at = until;
  }
  return true;
}

// ---------------------------------------------------------------- opening a ring

bool check_header(const std::byte* base, std::size_t bytes, RingHeader& header) {
  switch (RingView::check(base, bytes, header)) {
    case RingFault::None: return true;
    case RingFault::TooShort: raise_error("CorruptFile", "ring file: cut short"); return false;
    case RingFault::Foreign: raise_error("CorruptFile", "ring file: not one of whence's"); return false;
    case RingFault::Corrupt: raise_error("CorruptFile", "ring file: its header is damaged"); return false;
    case RingFault::NotReady: raise_error("CorruptFile", "ring file: never completed"); return false;
    case RingFault::Endian:
      raise_error("UnsupportedFormat", "ring file: written on a machine of the other byte order");
      return false;
    case RingFault::NewerMajor:
      raise_error("UnsupportedFormat", "ring file: of another format version; use a matching whence");
      return false;
  }
  return false;
}

bool check_ring(RingReaderObject& self) {
  if (!check_header(self.base, self.bytes, self.header)) return false;
  self.view = RingView(self.base, self.header);
  self.cursor = RingCursor(self.view, self.view.owner_word(kWatermarkWord));
  return true;
}

RingReaderObject* allocate_reader() {
  auto* self = as_reader(g_ring_reader_type->tp_alloc(g_ring_reader_type, 0));
  if (self == nullptr) return nullptr;
  new (&self->view) RingView;
  new (&self->cursor) RingCursor;
  return self;
}

bool map_ring(RingReaderObject& self, std::size_t bytes, int how, int protection, int fd) {
  void* at = mmap(nullptr, bytes, protection, how, fd, 0);
  if (at == MAP_FAILED) {
    PyErr_SetFromErrno(PyExc_OSError);
    return false;
  }
  self.base = static_cast<const std::byte*>(at);
  self.bytes = bytes;
  self.mapped = true;
  return true;
}

// A live ring: its slots change under us.
bool map_live(RingReaderObject& self, int fd, std::size_t file_bytes) {
  if (!map_ring(self, file_bytes, MAP_SHARED, PROT_READ, fd)) return false;
  self.guarded = true;
  install_fault_guard();
  bool good = false;
  RingReaderObject* reader = &self;
  if (guarded([reader, &good] { good = check_ring(*reader); })) return good;
  raise_error("CorruptFile", "ring file: truncated while it was opened");
  return false;
}

// A dead ring, in memory of our own: as much as its header says, once that was found good.
bool copy_dead(RingReaderObject& self, int fd, std::size_t file_bytes) {
  alignas(8) std::byte start[kRingHeaderBytes] = {};
  if (!read_bytes(fd, start, 0, sizeof start) || !check_header(start, file_bytes, self.header))
    return false;
  const std::size_t bytes = ring_file_bytes(self.header.capacity, self.header.text_bytes);
  const int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (!map_ring(self, bytes, how, PROT_READ | PROT_WRITE, -1)) return false;
  auto* memory = const_cast<std::byte*>(self.base);
#ifdef MADV_HUGEPAGE
  madvise(memory, bytes, MADV_HUGEPAGE);  // see WordColumn
#endif
  return read_data(fd, memory, bytes) && check_ring(self);
}

bool load_file(RingReaderObject& self, int fd, bool live) {
  struct stat status;
  if (fstat(fd, &status) != 0) {
    PyErr_SetFromErrno(PyExc_OSError);
    return false;
  }
  const auto file_bytes = static_cast<std::size_t>(status.st_size);
  if (file_bytes >= kRingHeaderBytes)
    return live ? map_live(self, fd, file_bytes) : copy_dead(self, fd, file_bytes);
  raise_error("CorruptFile", "ring file: cut short");
  return false;
}

PyObject* reader_open(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"fd", "live", nullptr};
  int fd = -1;
  int live = 0;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ip", const_cast<char**>(names), &fd, &live)) return nullptr;
  RingReaderObject* self = allocate_reader();
  if (self == nullptr) return nullptr;
  Ref owned(reinterpret_cast<PyObject*>(self));
  return load_file(*self, fd, live != 0) ? owned.release() : nullptr;
}

// A reader of memory that `owner` keeps or, without one, a pin that goes over to the reader.
PyObject* reader_of(const Region& ring, PyObject* owner) {
  RingReaderObject* self = allocate_reader();
  if (self == nullptr) {
    if (owner == nullptr) Recorder::get().unpin(Recorder::get().generation());
    return nullptr;
  }
  Ref owned(reinterpret_cast<PyObject*>(self));
  self->base = ring.base;
  self->bytes = ring.bytes;
  self->owner = Py_XNewRef(owner);
  self->pinned = owner == nullptr ? Recorder::get().generation() : 0;
  self->guarded = true;  // the file may be cut short before its writer comes to notice
  bool good = false;
  if (!guarded([self, &good] { good = check_ring(*self); })) raise_error("CorruptFile", "ring file: cut short");
  return good ? owned.release() : nullptr;
}

// ---------------------------------------------------------------- what a ring says of itself

// Reads words of the ring, which another process may be truncating. False: it did; error set.
template <class Read>
bool look(const RingReaderObject& self, Read&& read) {
  if (!self.guarded) {
    read();
    return true;
  }
  if (guarded(read) || !self.mapped) return true;  // of our own rings: as if nothing were in it
  raise_error("CorruptFile", "ring file: truncated while it was read");
  return false;
}

PyObject* reader_counts(PyObject* object, PyObject*) {
  const RingReaderObject& self = *as_reader(object);
  struct Row {
    std::uint16_t kind;
    std::uint64_t counts[kCounts];
  } rows[kRowCount] = {};
  const bool read = look(self, [&] {
    for (std::uint32_t row = 0; row < kRowCount; ++row) {
      rows[row].kind = self.view.row_kind(row);
      for (std::size_t i = 0; i < kCounts; ++i)
        rows[row].counts[i] = self.view.count(row, static_cast<Count>(i));
    }
  });
  if (!read) return nullptr;
  Ref out(PyList_New(0));
  for (const Row& row : rows) {
    const auto& counts = row.counts;
    if (std::all_of(counts, counts + kCounts, [](std::uint64_t n) { return n == 0; })) continue;
    Ref item(Py_BuildValue("(i(KKKKKK))", static_cast<int>(row.kind), counts[0], counts[1], counts[2],
                           counts[3], counts[4], counts[5]));
    if (!out || !item || PyList_Append(out.get(), item.get()) < 0) return nullptr;
  }
  return out.release();
}

PyObject* reader_owners(PyObject* object, PyObject*) {
  const RingReaderObject& self = *as_reader(object);
  OwnerEntry owners[kOwnerCount];
  std::uint64_t count = 0;
  const bool read = look(self, [&] {
    const std::uint64_t all = self.view.owner_word(kOwnersWord);
    for (std::uint64_t n = all > kOwnerCount ? all - kOwnerCount : 0; n < all; ++n)
      owners[count++] = self.view.owner(n);
  });
  if (!read) return nullptr;
  Ref out(PyList_New(0));
  for (std::uint64_t i = 0; i < count; ++i) {
    Ref item(Py_BuildValue("(IK)", owners[i].thread_id,
                           static_cast<unsigned long long>(owners[i].first_ticket)));
    if (!out || !item || PyList_Append(out.get(), item.get()) < 0) return nullptr;
  }
  return out.release();
}

// (span id, parent id, start, kind, request id or "", trace id or "") of an entry.
PyObject* open_span_row(const SpanEntry& entry) {
  const std::uint64_t tag = entry[kSpanTag];
  const auto form = static_cast<RequestForm>((tag >> kTagRequestShift) & 3);
  std::string request;
  decode_request(form, &entry[kSpanRequest], request);
  char print[48];
  if (form == RequestForm::Long) {  // its text is with the events alone
    std::snprintf(print, sizeof print, "lost:%016llx%016llx", static_cast<unsigned long long>(entry[kSpanRequest + 1]),
                  static_cast<unsigned long long>(entry[kSpanRequest]));
    request = print;
  }
  TraceId trace;
  if (form == RequestForm::None && (tag & kTagTrace))
    trace.words = {entry[kSpanRequest], entry[kSpanRequest + 1]};
  if (form == RequestForm::Uuid) trace.words = {entry[kSpanRequest], entry[kSpanRequest + 1]};
  char digits[32];
  write_trace_id(digits, trace);
  return Py_BuildValue("(KKKINN)", static_cast<unsigned long long>(entry[kSpanId]),
                       static_cast<unsigned long long>(entry[kSpanParent]),
                       static_cast<unsigned long long>(entry[kSpanStart] & INT64_MAX),
                       static_cast<unsigned>(tag & kTagKindMask), to_str(request),
                       to_str(trace ? std::string_view(digits, sizeof digits) : std::string_view()));
}

PyObject* reader_open_spans(PyObject* object, PyObject*) {
  const RingReaderObject& self = *as_reader(object);
  SpanEntry entries[kSpanCount];
  std::size_t count = 0;
  if (!look(self, [&] { count = copy_open_spans(self.base, entries); })) return nullptr;
  Ref out(PyList_New(0));
  for (std::size_t i = 0; i < count; ++i) {
    Ref item(open_span_row(entries[i]));
    if (!out || !item || PyList_Append(out.get(), item.get()) < 0) return nullptr;
  }
  return out.release();
}

PyObject* reader_seek(PyObject* object, PyObject* argument) {
  const unsigned long long ticket = PyLong_AsUnsignedLongLong(argument);
  if (PyErr_Occurred()) return nullptr;
  as_reader(object)->cursor.seek(ticket);
  Py_RETURN_NONE;
}

PyObject* reader_in_flight(PyObject* object, PyObject*) {
  bool busy = false;
  const RingReaderObject& self = *as_reader(object);
  if (!look(self, [&] { busy = self.cursor.in_flight(); })) return nullptr;
  return PyBool_FromLong(busy);
}

void reader_dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  RingReaderObject* self = as_reader(object);
  self->cursor.~RingCursor();
  if (self->mapped) munmap(const_cast<std::byte*>(self->base), self->bytes);
  if (self->pinned != 0) Recorder::get().unpin(self->pinned);
  Py_XDECREF(self->owner);
  type->tp_free(object);
  Py_DECREF(type);
}

template <auto Get>
PyObject* getter(PyObject* object, void*) {
  std::uint64_t value = 0;
  RingReaderObject& self = *as_reader(object);
  if (!look(self, [&] { value = Get(self); })) return nullptr;
  return PyLong_FromUnsignedLongLong(value);
}

PyObject* get_uuid(PyObject* object, void*) {
  return to_str(format_uuid(as_reader(object)->header.session_uuid));
}

PyMethodDef kReaderMethods[] = {
    {"open", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<reader_open>)),
     METH_VARARGS | METH_KEYWORDS | METH_STATIC,
     "open(fd, live)\n--\n\nOpens a ring file. A live ring is mapped, a dead one copied.\n\n"
     "Raises CorruptFile, UnsupportedFormat or OSError. `fd` may be closed afterwards."},
    {"counts", safe<reader_counts>, METH_NOARGS,
     "[(kind id, (recorded, sampled_out, throttled, below_minimum, rejected, nested)), ...]"},
    {"owners", safe<reader_owners>, METH_NOARGS, "[(thread id, first ticket), ...], newest last."},
    {"open_spans", safe<reader_open_spans>, METH_NOARGS,
     "[(span id, parent id, start, kind id, request id, trace id), ...]: those that are open now."},
    {"seek", safe<reader_seek>, METH_O, "Moves the cursor to a ticket and forgets its counts."},
    {"in_flight", safe<reader_in_flight>, METH_NOARGS, "Is the event at the cursor half-written?"},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef kReaderGetters[] = {
    {"ring", getter<[](RingReaderObject& r) { return std::uint64_t{r.header.ring}; }>, nullptr, "Ring number.", nullptr},
    {"capacity", getter<[](RingReaderObject& r) { return r.header.capacity; }>, nullptr, "Slots.", nullptr},
    {"text_bytes", getter<[](RingReaderObject& r) { return r.header.text_bytes; }>, nullptr, "Size of the text ring.", nullptr},
    {"shared", getter<[](RingReaderObject& r) { return std::uint64_t{r.header.shared}; }>, nullptr, "1: a TraceCollector's.", nullptr},
    {"created_ns", getter<[](RingReaderObject& r) { return r.header.created_ns; }>, nullptr, "Monotonic.", nullptr},
    {"next_ticket", getter<[](RingReaderObject& r) { return r.cursor.next(); }>, nullptr, "The cursor's position.", nullptr},
    {"waiting", getter<[](RingReaderObject& r) { return r.cursor.waiting(); }>, nullptr, "About how many events a drain would give.", nullptr},
    {"delivered", getter<[](RingReaderObject& r) { return r.cursor.delivered(); }>, nullptr, "Events handed out.", nullptr},
    {"lost", getter<[](RingReaderObject& r) { return r.cursor.lost(); }>, nullptr, "Events overwritten before they were read.", nullptr},
    {"text_lost", getter<[](RingReaderObject& r) { return r.cursor.text_lost(); }>, nullptr, "Events handed out without their text.", nullptr},
    {"corrupt", getter<[](RingReaderObject& r) { return r.cursor.corrupt(); }>, nullptr, "Slots that no writer of ours wrote.", nullptr},
    {"watermark", getter<[](RingReaderObject& r) { return r.view.owner_word(kWatermarkWord); }>, nullptr, "First ticket after the last clear().", nullptr},
    {"truncated", getter<[](RingReaderObject& r) { return r.view.owner_word(kTruncatedWord); }>, nullptr, "Events whose text was cut.", nullptr},
    {"open_spans_unseen", getter<[](RingReaderObject& r) { return r.view.owner_word(kSpanOverflowWord); }>, nullptr, "Spans that found the table of open ones full.", nullptr},
    {"state", getter<[](RingReaderObject& r) { return r.view.owner_word(kStateWord); }>, nullptr, "1 recording, 2 idle.", nullptr},
    {"session_uuid", safe<get_uuid>, nullptr, "The session's uuid.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot kReaderSlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(safe<reader_dealloc>)},
    {Py_tp_methods, kReaderMethods},
    {Py_tp_getset, kReaderGetters},
    {Py_tp_doc, const_cast<char*>("A cursor over one ring. One thread at a time.")},
    {0, nullptr},
};

PyType_Spec kReaderSpec = {"whence._native.RingReader", sizeof(RingReaderObject), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                               Py_TPFLAGS_DISALLOW_INSTANTIATION,
                           kReaderSlots};

// ---------------------------------------------------------------- this process's own rings

// Is the exception a CorruptFile? Then it is cleared.
bool is_corrupt_file() {
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  const Ref errors(PyImport_ImportModule("whence.model.errors"));
  const Ref corrupt(errors ? PyObject_GetAttrString(errors.get(), "CorruptFile") : nullptr);
  PyErr_Clear();
  const bool found = corrupt && type == corrupt.get();
  PyErr_Restore(type, value, trace);
  if (found) PyErr_Clear();
  return found;
}

PyObject* local_rings(PyObject*, PyObject*) {
  Ref readers(PyList_New(0));
  for (const Region& ring : Recorder::get().pin_rings()) {
    Ref reader(reader_of(ring, nullptr));  // also after a failure: it takes the pin over
    if (!reader && is_corrupt_file()) continue;  // cut short just now
    if (readers && (!reader || PyList_Append(readers.get(), reader.get()) < 0)) readers = Ref();
  }
  return readers.release();
}

PyObject* shared_ring_reader(PyObject*, PyObject* argument) {
  if (!PyObject_TypeCheck(argument, g_shared_ring_type)) {
    PyErr_SetString(PyExc_TypeError, "a SharedRing is wanted");
    return nullptr;
  }
  WriterState* state = shared_writer(argument);
  if (state == nullptr) Py_RETURN_NONE;
  const RingWriter& writer = state->writer;
  PyObject* reader = reader_of({writer.base(), ring_file_bytes(writer.capacity(), writer.text_bytes()), -1}, argument);
  if (reader == nullptr && is_corrupt_file()) Py_RETURN_NONE;  // cut short just now
  return reader;
}

PyMethodDef kFunctions[] = {
    {"local_rings", safe<local_rings>, METH_NOARGS, "A RingReader for every ring of this process."},
    {"shared_ring_reader", safe<shared_ring_reader>, METH_O,
     "A RingReader of a SharedRing, or None before its first event."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_reader(PyObject* module) {
  g_ring_reader_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&kReaderSpec));
  return g_ring_reader_type != nullptr &&
         PyModule_AddObjectRef(module, "RingReader", reinterpret_cast<PyObject*>(g_ring_reader_type)) == 0 &&
         PyModule_AddFunctions(module, kFunctions) == 0;
}

}  // namespace whence::py
