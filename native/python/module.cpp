// whence._native: the module, and the process-wide functions that need no object.
#include <atomic>
#include <exception>

#include "arrow.hpp"
#include "batch.hpp"
#include "catalogue.hpp"
#include "context.hpp"
#include "dynamic_kinds.hpp"
#include "gates.hpp"
#include "kind.hpp"
#include "otlp_in.hpp"
#include "py.hpp"
#include "reader.hpp"
#include "ring_object.hpp"
#include "safe.hpp"
#include "shared_ring.hpp"
#include "snowflake_object.hpp"
#include "span.hpp"
#include "whence/event_id.hpp"
#include "whence/rationale.hpp"
#include "whence/recorder.hpp"

namespace whence::py {

namespace {

PyObject* g_on_session = nullptr;  // called with no argument after a session appeared on disk
PyObject* g_on_full = nullptr;     // called with the folder that has no room for a session

void call_hook(PyObject* hook, const char* path) {
  if (hook == nullptr || hook == Py_None || Py_IsInitialized() == 0) return;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  const Ref argument(path != nullptr ? PyUnicode_DecodeFSDefault(path) : nullptr);
  const Ref result(path == nullptr ? PyObject_CallNoArgs(hook)
                   : argument      ? PyObject_CallOneArg(hook, argument.get())
                                   : nullptr);
  if (!result) PyErr_WriteUnraisable(hook);
  PyErr_Restore(type, value, trace);
}

PyObject* now_ns(PyObject*, PyObject*) {
  return PyLong_FromUnsignedLongLong(t_clock.now_ns());
}

PyObject* empty_call(PyObject*, PyObject* const*, Py_ssize_t) { Py_RETURN_NONE; }

PyObject* configure(PyObject*, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"description", "ring_slots", "text_bytes", "run", nullptr};
  RecorderSettings settings = Recorder::get().settings();
  const char* description = nullptr;
  unsigned long long slots = settings.ring_slots;
  unsigned long long text = settings.text_bytes;
  unsigned long long run = settings.run;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zKKK", const_cast<char**>(names), &description, &slots,
                                   &text, &run))
    return nullptr;
  if (description != nullptr) settings.description = description;
  settings.ring_slots = slots;
  settings.text_bytes = text;
  settings.run = run;
  return PyBool_FromLong(Recorder::get().configure(settings));
}

PyObject* describe(const Session& session) {
  const SessionIdentity& identity = session.identity();
  std::uint8_t uuid[16];
  std::memcpy(uuid, identity.uuid, sizeof uuid);
  return Py_BuildValue("{s:N,s:N,s:N,s:K,s:K,s:O,s:N,s:K,s:I,s:I}", "name", to_str(identity.name), "path",
                       to_str(session.path()), "uuid", to_str(format_uuid(uuid)), "key",
                       static_cast<unsigned long long>(identity.key), "run",
                       static_cast<unsigned long long>(identity.run), "on_disk",
                       session.on_disk() ? Py_True : Py_False, "trouble", to_str(session.trouble().empty() ? Recorder::loss_of(session) : session.trouble()),
                       "unrecorded", static_cast<unsigned long long>(session.unrecorded.load()), "unnamed_kinds",
                       session.count_of(kUnnamedKindsOffset), "memory_rings",
                       session.count_of(kMemoryRingsOffset));
}

PyObject* session(PyObject*, PyObject*) {
  const Session* present = Recorder::get().session();
  if (present == nullptr) Py_RETURN_NONE;
  return describe(*present);
}

PyObject* start(PyObject*, PyObject*) { return describe(*Recorder::get().start()); }

PyObject* session_bytes(PyObject*, PyObject*) {
  const Session* present = Recorder::get().session();
  if (present == nullptr) Py_RETURN_NONE;
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(present->file()), kSessionBytes);
}

PyObject* set_hooks(PyObject*, PyObject* args) {
  PyObject* on_session = nullptr;
  PyObject* on_full = nullptr;
  PyObject* decision_types = nullptr;
  if (!PyArg_ParseTuple(args, "OOO!", &on_session, &on_full, &PyFrozenSet_Type, &decision_types)) return nullptr;
  Py_XSETREF(g_on_session, Py_NewRef(on_session));
  Py_XSETREF(g_on_full, Py_NewRef(on_full));
  set_decision_types(decision_types);
  Recorder::get().on_created = [] {
    begin_pending_spans();
    call_hook(g_on_session, nullptr);
  };
  Recorder::get().on_full = [](const char* folder) { call_hook(g_on_full, folder); };
  Py_RETURN_NONE;
}

PyObject* strict(PyObject*, PyObject* argument) {
  const int wanted = PyObject_IsTrue(argument);
  if (wanted < 0) return nullptr;
  set_strict(wanted != 0);
  Py_RETURN_NONE;
}

// What is wrong with a template, or None; and the fields one of which must hold text, as bits.
PyObject* check_rationale(PyObject*, PyObject* args) {
  const char* text = nullptr;
  PyObject* fields = nullptr;
  if (!PyArg_ParseTuple(args, "sO!", &text, &PyTuple_Type, &fields)) return nullptr;
  KindSchema schema;
  schema.rationale = text;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(fields); ++i) {
    const char* name = nullptr;
    int type = 0;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(fields, i), "si", &name, &type)) return nullptr;
    schema.fields.push_back({name, static_cast<FieldType>(type), FieldRole::Plain, 0});
  }
  std::string problem;
  Rationale rationale;
  if (!rationale.compile(schema, problem)) return Py_BuildValue("(NK)", to_str(problem), 0ull);
  return Py_BuildValue("(OK)", Py_None, static_cast<unsigned long long>(rationale.must_say(schema)));
}

PyObject* at_exit(PyObject*, PyObject*) {
  note_ending();
  Py_RETURN_NONE;
}

// Ends of threads are told from other ends from here on: before that none is forced.
bool hear_of_exit(PyObject* module) {
  Ref function(PyObject_GetAttrString(module, "_at_exit"));
  Ref atexit(function ? PyImport_ImportModule("atexit") : nullptr);
  return atexit && Ref(PyObject_CallMethod(atexit.get(), "register", "O", function.get()));
}

PyObject* crc32_of(PyObject*, PyObject* argument) {
  Py_buffer buffer;
  if (PyObject_GetBuffer(argument, &buffer, PyBUF_SIMPLE) < 0) return nullptr;
  const std::uint32_t value = crc32(buffer.buf, static_cast<std::size_t>(buffer.len));
  PyBuffer_Release(&buffer);
  return PyLong_FromUnsignedLong(value);
}

PyMethodDef kFunctions[] = {
    {"now_ns", safe<now_ns>, METH_NOARGS, "CLOCK_MONOTONIC in nanoseconds, by the clock that stamps events."},
    {"empty_call", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<empty_call>)), METH_FASTCALL,
     "Does nothing: the yardstick of the benchmarks."},
    {"configure", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(safe<configure>)),
     METH_VARARGS | METH_KEYWORDS,
     "configure(description, ring_slots, text_bytes, run) -> bool\n\nFor sessions to come; False: one exists."},
    {"session", safe<session>, METH_NOARGS, "This process's session as a dict, or None before its first event."},
    {"start", safe<start>, METH_NOARGS, "Makes the session if there is none yet; the same dict."},
    {"session_bytes", safe<session_bytes>, METH_NOARGS, "The bytes of this process's session file, or None."},
    {"set_hooks", safe<set_hooks>, METH_VARARGS, "set_hooks(on_session, on_full, decision_types)"},
    {"set_strict", safe<strict>, METH_O, "False: refused events are only counted, and never raise."},
    {"check_rationale", safe<check_rationale>, METH_VARARGS, "(what is wrong with a template or None, bits of the fields that must not all be blank)"},
    {"crc32", safe<crc32_of>, METH_O, "CRC-32 as the files have it."},
    {"_at_exit", safe<at_exit>, METH_NOARGS, "Called when the interpreter is about to end."},
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject* module) {
  // The C++ library's own memory of the main thread: at the first throw it may be had no more.
  (void)std::uncaught_exceptions();
  static std::atomic<bool> executed{false};  // types and the context variable are the process's
  if (executed.exchange(true)) {
    PyErr_SetString(PyExc_ImportError, "whence serves one interpreter of a process: the first");
    return -1;
  }
  const bool added = PyModule_AddFunctions(module, kFunctions) == 0 && add_context(module) &&
                     add_kind(module) && add_span(module) && add_shared_ring(module) && add_catalogue(module) && add_reader(module) && add_batch(module) && add_arrow(module) && add_otlp_in(module) &&
                     add_gates(module) && add_ring_object(module) && add_snowflake(module) && hear_of_exit(module);
  return added ? 0 : -1;
}

PyModuleDef_Slot kModuleSlots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef kModule = {PyModuleDef_HEAD_INIT, "whence._native",
                       "The recording core. Use whence; this module may change without notice.",
                       0, nullptr, kModuleSlots, nullptr, nullptr, nullptr};

}  // namespace

}  // namespace whence::py

PyMODINIT_FUNC PyInit__native() { return PyModuleDef_Init(&whence::py::kModule); }
