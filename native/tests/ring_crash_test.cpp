// Stops a writer after every machine instruction: what would be recovered, and what may nest there.
//
// So every instruction of the compiled write() is tried as the last one before a kill.

#include <random>

#include "check.hpp"
#include "ring_fixture.hpp"
#include "single_step.hpp"

using namespace whence;
using namespace whence::testing;

#if defined(WHENCE_CAN_STEP)

namespace {

std::vector<std::uint64_t> scratch;

#if defined(__SANITIZE_ADDRESS__)
constexpr long kStride = 11;  // ten times the instructions, and the square of that below
#else
constexpr long kStride = 1;
#endif

// write_event(), with `callback` after each instruction of write() itself.
bool stepped_event(RingWriter& writer, std::uint64_t number, std::size_t text_words,
                   bool (*callback)()) {
  SlotImage image = image_of(number, text_words > 0);
  fill_text(number, text_words, scratch);
  const auto* text = text_words > 0 ? reinterpret_cast<const std::byte*>(scratch.data()) : nullptr;
  bool written = false;
  single_step::run(callback, [&] { written = writer.write(image, text, text_words * 8); });
  return written;
}

// ---------------------------------------------------------------- a kill at any instruction

struct Scene {
  TestRing* ring = nullptr;
  std::vector<std::size_t> text_words;  // of each event
  std::uint64_t finished = 0;           // write() calls that returned
  std::uint64_t newest = 0;             // most events ever found complete
  long instructions = 0;
  long in_flight = 0;
  long text_lost = 0;
};
Scene* scene = nullptr;

bool recover_now() {
  Scene& s = *scene;
  if (++s.instructions % kStride != 0) return true;
  const RingView view = s.ring->view();
  RingCursor cursor(view);
  std::uint64_t oldest = ~0ull;
  cursor.poll(~0ull, [&](const RawEvent& event) {
    if (oldest == ~0ull) oldest = event.ticket;
    CHECK(is_whole(event, event.ticket, s.text_words[event.ticket]));
  });
  const std::uint64_t complete = cursor.next();
  const bool busy = cursor.in_flight();
  const std::uint64_t evicted = complete + (busy ? 1 : 0);
  const std::uint64_t expected = evicted > view.capacity() ? evicted - view.capacity() : 0;
  CHECK(complete == s.finished || complete == s.finished + 1);
  CHECK(complete >= s.newest);  // a complete event never becomes incomplete
  CHECK_EQ(cursor.lost(), expected);
  CHECK_EQ(cursor.delivered(), complete - expected);
  CHECK(cursor.delivered() == 0 || oldest == expected);
  const std::uint64_t residue = recorded(view) - complete;
  CHECK(residue <= 1);
  s.newest = complete;
  s.in_flight += busy;
  s.text_lost += static_cast<long>(cursor.text_lost());
  return true;
}

// R5.1 R1.21: newest contiguous tickets, at most one in flight, text whole or lost, ledger closed.
void a_kill_at_any_instruction_loses_at_most_one_event(std::uint64_t capacity) {
  check::scene("after any instruction the newest events are whole, all but the one in flight");
  std::mt19937 random(static_cast<unsigned>(capacity));
  TestRing ring(capacity, 64);
  Scene here;
  here.ring = &ring;
  scene = &here;
  for (std::uint64_t number = 0; number < 6 * capacity + 6; ++number) {
    here.text_words.push_back(random() % 5);
    CHECK(stepped_event(ring.writer(), number, here.text_words.back(), recover_now));
    ++here.finished;
  }
  CHECK(here.instructions > 40 * static_cast<long>(here.finished));
  CHECK(here.in_flight > 8 * static_cast<long>(here.finished) / kStride);
  CHECK(here.text_lost > 0 || capacity < 3);
  scene = nullptr;
}

// ---------------------------------------------------------------- an emit inside an emit

struct Nesting {
  TestRing* ring = nullptr;
  long countdown = 0;
  bool fired = false;
  bool accepted = false;
};
Nesting* nesting = nullptr;
constexpr std::uint64_t kNestedNumber = 1000;

bool nest_once() {
  if (--nesting->countdown > 0) return true;
  nesting->fired = true;
  SlotImage image = image_of(kNestedNumber, false);
  nesting->accepted = nesting->ring->writer().write(image);
  return false;
}

// A signal handler that emits after so many instructions of the outer event; false: it was over.
bool nests_after(long instructions, std::uint64_t events_before) {
  TestRing ring(8, 64);
  for (std::uint64_t n = 0; n < events_before; ++n) write_event(ring.writer(), n, 0, scratch);
  if (events_before > 0) write_event(ring.writer(), kNestedNumber, 0, scratch);
  const std::uint64_t before = ring.writer().next_ticket();
  Nesting here{&ring, instructions};
  nesting = &here;
  CHECK(stepped_event(ring.writer(), 2, 3, nest_once));

  const RingView view = ring.view();
  RingCursor cursor(view, before);
  bool outer = false, inner = false;
  cursor.poll(8, [&](const RawEvent& event) {
    const bool is_nested = number_of(event) == kNestedNumber;
    CHECK(is_whole(event, is_nested ? kNestedNumber : 2, is_nested ? 0 : 3));
    CHECK(event.text_state != TextState::Lost);
    (is_nested ? inner : outer) = true;
  });
  const std::uint64_t refused = here.fired && !here.accepted ? 1 : 0;
  CHECK(outer);
  CHECK_EQ(inner, here.accepted);
  CHECK_EQ(cursor.delivered(), 1u + (here.accepted ? 1 : 0));
  CHECK_EQ(recorded(view), before + cursor.delivered());
  CHECK_EQ(view.owner_word(kNestedWord), refused);
  // Rows are handed out unguarded: two kinds new at the same instant may share one.
  if (events_before > 0) CHECK_EQ(counted(view, kind_of(kNestedNumber), kNested), refused);
  return here.fired;
}

void an_emit_inside_an_emit_is_refused_and_counted() {
  check::scene("an event inside another is whole or refused and counted, the outer one is whole");
  for (const std::uint64_t events_before : {6u, 0u}) {
    long instructions = 1;
    while (nests_after(instructions, events_before)) instructions += kStride;
    CHECK(instructions > 40);
  }
}

}  // namespace

int main() {
  for (const std::uint64_t capacity : {1u, 2u, 3u, 5u})
    a_kill_at_any_instruction_loses_at_most_one_event(capacity);
  an_emit_inside_an_emit_is_refused_and_counted();
  return check::finish("ring_crash_test");
}

#else

int main() {
  std::puts("ring_crash_test: SKIPPED (single-stepping needs x86-64 without ThreadSanitizer)");
  return 0;
}

#endif
