// The bytes of a session: every offset, size and bit that writers and readers share.
//
// A session is a folder:  session  control  names  gates  ring-00000 ring-00001 ...
// All integers are little-endian. docs/file-format.md describes the same bytes in words.
#pragma once

#include <cstddef>
#include <cstdint>

namespace whence {

constexpr std::uint16_t kFormatMajor = 1;  // readers refuse another major
constexpr std::uint16_t kFormatMinor = 1;  // readers ignore what a newer minor adds
constexpr std::uint32_t kEndianMark = 0x01020304;

// ---------------------------------------------------------------- slot, 64 bytes = 8 words
//   word 0   stamp: (ticket + 1) << 1 | busy; 0 = never used
//   word 1   CLOCK_MONOTONIC nanoseconds
//   word 2   tag (below)
//   word 3-4 request: 16 bytes whose meaning the tag tells
//   word 5-6 the first 16 bytes of the field image
//   word 7   the next 8 bytes of it; or, with kTagText, the position of the event's text block
constexpr std::size_t kSlotBytes = 64;
constexpr std::size_t kSlotWords = 8;
enum SlotWord : std::size_t {
  kStampWord = 0,
  kTimeWord = 1,
  kTagWord = 2,
  kRequestWord = 3,
  kFieldWord = 5,
  kTextWord = 7,
};
constexpr std::size_t kInlineFieldBytes = 24;     // words 5-7
constexpr std::size_t kFieldBytesWithText = 16;   // words 5-6
constexpr std::size_t kRequestBytes = 16;

constexpr std::uint64_t busy_stamp(std::uint64_t ticket) { return ((ticket + 1) << 1) | 1; }
constexpr std::uint64_t final_stamp(std::uint64_t ticket) { return (ticket + 1) << 1; }

// Tag word. Bits 0-15 kind id.
constexpr std::uint64_t kTagKindMask = 0xffff;
constexpr unsigned kTagRequestShift = 16;  // bits 16-17, RequestForm
constexpr std::uint64_t kTagText = 1ull << 18;       // word 7 is a text position
constexpr std::uint64_t kTagTruncated = 1ull << 19;  // some text was cut or left out
constexpr unsigned kTagSeverityShift = 20;  // bits 20-22: 0 = the kind's own, else severity + 1
constexpr std::uint64_t kTagSeverityMask = 7ull << kTagSeverityShift;
// The request words hold the id of the ambient trace; there is no request then.
constexpr std::uint64_t kTagTrace = 1ull << 23;
// Happened inside a span, whose id is word 7; in the text block if there is one (Entry::Span).
constexpr std::uint64_t kTagSpan = 1ull << 24;
constexpr unsigned kTagThresholdShift = 34;  // bits 34-63: sampling threshold / 2^30

enum class RequestForm : std::uint8_t {
  None = 0,
  Uuid = 1,   // 16 bytes of a canonical lower-case UUID
  Short = 2,  // up to 16 bytes of UTF-8, padded with zeros
  Long = 3,   // XXH3-128 of the id by the session's seed (low word first); the id is in the text
};

// ---------------------------------------------------------------- text block, 8-byte aligned
//   u32 bytes of the whole block, header included   u32 low 32 bits of the ticket
//   the field image from byte 16 on (only when the image is longer than 16)
//   entries: u8 tag  u8 index  u32 length  payload
constexpr std::size_t kTextHeaderBytes = 8;
constexpr std::size_t kEntryHeaderBytes = 6;
constexpr std::size_t kMaxEventTextBytes = 64 * 1024;

enum class Entry : std::uint8_t {
  FieldText = 1,    // index = field; UTF-8
  Request = 2,      // the full id of a Long request
  Chain = 3,        // decision_chain_id, where it is not the request id
  Rationale = 4,    // UTF-8
  Attribute = 5,    // index = AttributeType; u16 key bytes, key, value
  Option = 6,       // index = chosen; u16 name, u16 reason, u8 scores {u16 key, f64}
  CausedBy = 7,     // event id, text
  EventId = 8,      // index 0: 16 bytes of a UUID, 1: text
  Model = 9,        // index 0: u16 name id, 1: text
  Duration = 10,    // i64 nanoseconds
  Lineage = 11,     // u64
  Absent = 12,      // u64 bit set of fields that were None
  Truncated = 13,   // index = Entry that was cut or left out; u64 its length before
  EventType = 14,   // text, for kinds beyond the table
  Component = 15,   // text, for kinds beyond the table
  Trace = 16,       // 16 bytes: the trace's id where it is not the one derived from the request
  Span = 17,        // u64: the span it happened in
  Link = 18,        // 16 bytes trace, u64 span, attributes {u8 type, u16 key, u32 value, key, value}
  Status = 19,      // of a span: index 1 ok, 2 error; a message
  Parent = 20,      // u64: of a built event that is no span, the parent it was given
};

enum class AttributeType : std::uint8_t { Int = 0, Float = 1, Bool = 2, Text = 3 };

// ---------------------------------------------------------------- field image
enum class FieldType : std::uint8_t {
  Bool = 1,  // 1 byte
  U8 = 2,
  U32 = 3,
  F32 = 4,
  I64 = 5,
  U64 = 6,
  F64 = 7,
  Name = 8,   // u16 name id; kNameEmpty or kNameInText are special
  None = 9,   // takes no bytes: lives in the tag, the request words or the text block
};
constexpr std::uint16_t kNameEmpty = 0;
constexpr std::uint16_t kNameInText = 0xffff;

enum class FieldRole : std::uint8_t {
  Plain = 0,
  Model = 1,
  Request = 2,
  Rationale = 3,
  Severity = 4,
  Duration = 5,
  Options = 6,
  CausedBy = 7,
  Lineage = 8,
  Strength = 9,  // compared with the gate's minimum
  Span = 10,     // a span's own id
  Parent = 11,   // the id of the span around it, 0 = none
};
constexpr std::size_t kMaxFields = 64;
constexpr std::size_t kMaxFieldNameBytes = 255;
constexpr std::size_t kMaxKindNameBytes = 1024;      // its name, and its component
constexpr std::size_t kMaxKindTextBytes = 4 * 1024;  // its template, its other name, its source
constexpr std::size_t kMaxImageBytes = 512;  // 64 fields x 8 bytes

constexpr std::size_t field_bytes(FieldType type) {
  switch (type) {
    case FieldType::Bool:
    case FieldType::U8: return 1;
    case FieldType::Name: return 2;
    case FieldType::U32:
    case FieldType::F32: return 4;
    case FieldType::I64:
    case FieldType::U64:
    case FieldType::F64: return 8;
    case FieldType::None: return 0;
  }
  return 0;
}

// ---------------------------------------------------------------- ring file
//   0x0000 immutable header, CRC'd     0x0080 words of the owner
//   0x0100 kind id of each counter row 0x0200 owners
//   0x1000 open spans                  0x2800 counter rows     0x4000 slots, then text
constexpr char kRingMagic[8] = {'W', 'H', 'N', 'C', 'R', 'I', 'N', 'G'};
constexpr std::size_t kRingHeaderBytes = 16 * 1024;
constexpr std::size_t kRowKindsOffset = 0x100;
constexpr std::size_t kOwnersOffset = 0x200;
constexpr std::size_t kSpansOffset = 0x1000;
constexpr std::size_t kRowsOffset = 0x2800;
constexpr std::uint32_t kRowCount = 128;  // 6 KiB / 48 bytes; the last row is "all other kinds"
constexpr std::uint32_t kOwnerCount = 128;
constexpr std::uint16_t kOtherKinds = 0xffff;

// Spans that are open: the owner takes a free entry (span id 0), any thread gives it back.
constexpr std::uint32_t kSpanCount = 128;
enum SpanWord : std::size_t {
  kSpanId = 0,      // 0 = free; stored last
  kSpanParent = 1,  // span id, 0 = none
  kSpanStart = 2,   // CLOCK_MONOTONIC nanoseconds
  kSpanTag = 3,     // kind, RequestForm and kTagTrace as in a slot's tag
  kSpanRequest = 4, // two words, as in a slot
  kSpanWords = 6,
};
constexpr std::size_t kSpanBytes = kSpanWords * 8;
static_assert(kSpansOffset + kSpanCount * kSpanBytes == kRowsOffset);

struct RingHeader {
  char magic[8];
  std::uint32_t endian;
  std::uint16_t major;
  std::uint16_t minor;
  std::uint32_t header_bytes;
  std::uint32_t slot_bytes;
  std::uint64_t capacity;    // slots
  std::uint64_t text_bytes;  // multiple of 8
  std::uint64_t slots_offset;
  std::uint64_t text_offset;
  std::uint64_t file_bytes;
  std::uint8_t session_uuid[16];
  std::uint32_t ring;
  std::uint32_t shared;  // 1: a TraceCollector's ring, written by many threads in turn
  std::uint64_t created_ns;
  std::uint32_t row_count;
  std::uint32_t owner_count;
  std::uint64_t reserved[2];
  std::uint32_t crc;    // CRC-32 of the bytes before it
  std::uint32_t ready;  // 1, stored last
};
static_assert(sizeof(RingHeader) == 128);

// Words that only the ring's owner stores.
enum OwnerWord : std::size_t {
  kTextIntentWord = 16,  // word offset 0x80 / 8: text before (this - text_bytes) is overtaken
  kOwnersWord = 17,      // owners so far; entry = (n - 1) % kOwnerCount
  kStateWord = 18,       // RingState
  kWatermarkWord = 19,   // clear(): tickets below it are not shown
  kTruncatedWord = 20,   // events whose text was cut
  kNestedWord = 21,      // events refused because one was being written in this ring
  kSpanOverflowWord = 22,  // spans that found the table of open spans full
};
enum class RingState : std::uint64_t { Recording = 1, Idle = 2 };

struct OwnerEntry {
  std::uint32_t thread_id;
  std::uint32_t reserved;
  std::uint64_t first_ticket;
};
static_assert(sizeof(OwnerEntry) == 16);

// What became of the calls of one kind in one ring. Stored by the owner only.
enum Count : std::size_t {
  kRecorded = 0,
  kSampledOut = 1,
  kThrottled = 2,
  kBelowMinimum = 3,
  kRejected = 4,
  kNested = 5,
  kCounts = 6,
};
constexpr std::size_t kRowBytes = kCounts * 8;
static_assert(kRowsOffset + kRowCount * kRowBytes == kRingHeaderBytes);

constexpr std::uint64_t text_offset_of(std::uint64_t capacity) {
  return kRingHeaderBytes + capacity * kSlotBytes;
}
constexpr std::uint64_t ring_file_bytes(std::uint64_t capacity, std::uint64_t text_bytes) {
  return text_offset_of(capacity) + text_bytes;
}

// ---------------------------------------------------------------- session file
constexpr char kSessionMagic[8] = {'W', 'H', 'N', 'C', 'S', 'E', 'S', 'S'};
constexpr std::size_t kSessionBytes = 8192;
constexpr std::size_t kSessionTextBytes = 3840;  // JSON: service, attributes, executable
constexpr std::size_t kAnchorsOffset = 4096;
constexpr std::uint32_t kAnchorCount = 255;  // (4096 - 16) / 16

struct SessionHeader {
  char magic[8];
  std::uint32_t endian;
  std::uint16_t major;
  std::uint16_t minor;
  std::uint8_t uuid[16];
  std::uint64_t key;  // 48 bits, in event ids
  std::uint32_t pid;
  std::uint32_t uid;
  std::uint64_t start_ticks;  // /proc/PID/stat field 22
  std::uint8_t boot_id[16];
  std::uint64_t run;
  std::uint64_t created_monotonic_ns;
  std::uint64_t created_wall_ns;
  std::uint32_t clock_source;  // ClockSource
  std::uint32_t text_length;   // bytes of JSON at offset 256
  std::uint64_t request_seed;  // of Long requests' fingerprints; known to nobody who chooses ids
  std::uint64_t reserved[15];
  std::uint32_t crc;  // CRC-32 of the bytes before it, then of the text
  std::uint32_t ready;
};
constexpr std::size_t kSessionTextOffset = 256;
static_assert(sizeof(SessionHeader) <= kSessionTextOffset);

struct Anchor {
  std::uint64_t monotonic_ns;
  std::uint64_t wall_ns;
};

// ---------------------------------------------------------------- control page
constexpr char kControlMagic[8] = {'W', 'H', 'N', 'C', 'C', 'T', 'R', 'L'};
constexpr std::uint32_t kMaxKinds = 4096;
constexpr std::size_t kRemovedRingsOffset = 40;   // u64: ended collectors' rings that made room
constexpr std::size_t kRemovedEventsOffset = 48;  // u64: what had been recorded to them
constexpr std::size_t kUnnamedKindsOffset = 56;   // u32: kinds that the dictionary had no room for
constexpr std::size_t kMemoryRingsOffset = 60;    // u32: rings that no file could be had for
constexpr std::size_t kGatesOffset = 64;
constexpr std::size_t kRulesOffset = kGatesOffset + kMaxKinds * 8;

// Gate word of a kind: bit 0 on, bit 1 exempt, bits 2-31 threshold, bits 32-63 minimum (f32 bits).
constexpr std::uint64_t kGateOn = 1;
constexpr std::uint64_t kGateExempt = 2;
constexpr unsigned kGateThresholdShift = 2;
constexpr std::uint64_t kGateThresholdMask = (1ull << 30) - 1;
constexpr unsigned kGateMinimumShift = 32;
constexpr std::uint64_t kSampleSteps = 1ull << 30;  // a threshold counts in these

// Rules: the gate that a kind of this name gets when it is declared later.
//   u32 bytes of the name, stored last with   u32 CRC-32 of the name   u64 gate   name, zero padded
constexpr std::uint32_t kRuleCount = 128;
constexpr std::size_t kRuleBytes = 128;
constexpr std::size_t kRuleNameBytes = kRuleBytes - 16;
constexpr std::size_t kControlBytes = kRulesOffset + kRuleCount * kRuleBytes;
constexpr std::size_t kControlBytesOfMinor0 = kRulesOffset;  // without rules

// ---------------------------------------------------------------- names file
//   64-byte header, then records, 8-byte aligned, until a zero word:
//   u32 payload bytes + 1   u32 CRC-32 of what follows   u16 record type  u16 id  u32 0  payload
constexpr char kNamesMagic[8] = {'W', 'H', 'N', 'C', 'N', 'A', 'M', 'E'};
constexpr std::size_t kNamesHeaderBytes = 64;
constexpr std::size_t kNamesBytes = 256 * 1024;       // 3,000 names of 32 bytes and 500 kinds of 200
constexpr std::size_t kNamesMaxBytes = 1024 * 1024;   // grows by declarations only, up to this
constexpr std::size_t kNamesKeptForKinds = 64 * 1024;  // interning stops here, declarations go on
constexpr std::size_t kRecordHeaderBytes = 16;
constexpr std::uint32_t kMaxNames = 4096;
constexpr std::size_t kMaxNameBytes = 64;
enum class Record : std::uint16_t { Name = 1, Kind = 2 };

// ---------------------------------------------------------------- gates log, 32 bytes a record
constexpr std::size_t kGateRecordBytes = 32;
struct GateRecord {
  std::uint64_t monotonic_ns;
  std::uint32_t kind;
  std::uint32_t crc;  // CRC-32 of the other fields in order
  std::uint64_t before;
  std::uint64_t after;
};
static_assert(sizeof(GateRecord) == kGateRecordBytes);

struct SmallHeader {  // of control and names
  char magic[8];
  std::uint32_t endian;
  std::uint16_t major;
  std::uint16_t minor;
  std::uint64_t file_bytes;
  std::uint8_t session_uuid[16];
};
static_assert(sizeof(SmallHeader) == 40);

}  // namespace whence
