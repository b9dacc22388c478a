// What a thread, or a collector, writes its events with; and the calling thread's own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "clock.hpp"
#include "ring_writer.hpp"
#include "session.hpp"
#include "text_block.hpp"

namespace whence {

// What one writer needs for an event. All zero = nothing yet.
struct WriterState {
  RingWriter writer;
  std::byte* scratch;  // max_text_bytes(), made at the first text
  Session* session;
  std::uint64_t next_anchor_ns;
  std::uint64_t sample_counter;
  std::uint64_t span_seed;  // 0 until the first span
  std::uint32_t span_hint;  // where the table of open spans may be free
  std::uint32_t ring;

  // For the next event outside of any request.
  std::uint64_t sample_value() {
    return next_sample_value(sample_counter, session->identity().run + ring);
  }

  std::byte* scratch_bytes() {
    if (scratch == nullptr) [[unlikely]]
      scratch = static_cast<std::byte*>(std::malloc(std::max<std::size_t>(writer.max_text_bytes(), 64)));
    return scratch;
  }
};

// The calling thread's writer; initial-exec, so that reading it is one instruction.
inline thread_local constinit WriterState* t_writer
    __attribute__((tls_model("initial-exec"))) = nullptr;

// The calling thread's clock, whichever ring it writes to: what it reads never goes back.
inline thread_local constinit CycleClock t_clock __attribute__((tls_model("initial-exec")));

}  // namespace whence
