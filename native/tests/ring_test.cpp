// One thread, one ring: words in place, exact capacity, exact loss, text that is overtaken.

#include <algorithm>
#include <deque>
#include <random>

#include "check.hpp"
#include "ring_fixture.hpp"

using namespace whence;
using namespace whence::testing;

namespace {

std::vector<std::uint64_t> scratch;

// R1.7: an event is one cache line.
static_assert(kSlotBytes == 64 && kSlotWords * 8 == kSlotBytes);

void a_slot_holds_the_words_as_given() {
  check::scene("a slot holds its eight words in order, and only its own slot changes");
  TestRing ring(3, 64);
  CHECK(ring.fault() == RingFault::None);
  SlotImage image;
  for (std::size_t i = 1; i < kSlotWords; ++i) image.words[i] = 100 + i;
  image.words[kTagWord] = 7;
  CHECK(ring.writer().write(image));
  const RingView view = ring.view();
  CHECK_EQ(view.slot(0)[kStampWord].load(), final_stamp(0));
  for (std::size_t i = 1; i < kSlotWords; ++i)
    CHECK_EQ(view.slot(0)[i].load(), i == kTagWord ? 7u : 100 + i);
  for (std::size_t slot = 1; slot < 3; ++slot)
    for (std::size_t i = 0; i < kSlotWords; ++i) CHECK_EQ(view.slot(slot)[i].load(), 0u);
  CHECK_EQ(ring.bytes(), 16u * 1024 + 3 * 64 + 64);
  CHECK_EQ(counted(view, 7, kRecorded), 1u);
}

// R0.37 R0.39 R0.57 R1.21 R1.25: exactly the capacity is kept, the oldest go, one by one.
void capacity_is_exact(std::uint64_t capacity) {
  check::scene("a ring of n keeps exactly the newest n events");
  TestRing ring(capacity, 64);
  for (const std::uint64_t written : {capacity - 1, capacity, capacity + 1, 2 * capacity + 100}) {
    while (ring.writer().next_ticket() < written)
      CHECK(write_event(ring.writer(), ring.writer().next_ticket(), 0, scratch));
    const std::uint64_t kept = std::min(written, capacity);
    RingCursor cursor(ring.view());
    std::uint64_t expected = written - kept;
    cursor.poll(~0ull, [&](const RawEvent& event) {
      CHECK_EQ(event.ticket, expected);
      CHECK(is_whole(event, expected, 0));
      ++expected;
    });
    CHECK_EQ(expected, written);
    CHECK_EQ(cursor.delivered(), kept);
    CHECK_EQ(cursor.lost(), written - kept);
    CHECK_EQ(cursor.corrupt(), 0u);
    CHECK(!cursor.in_flight());
  }
  CHECK_EQ(recorded(ring.view()), 2 * capacity + 100);
}

void a_reader_that_keeps_up_loses_nothing() {
  check::scene("a cursor hands out at most what is asked for and goes on where it was");
  TestRing ring(4, 64);
  RingCursor cursor(ring.view());
  CHECK_EQ(cursor.poll(10, [](const RawEvent&) { CHECK(false); }), 0u);
  for (std::uint64_t n = 0; n < 40; n += 4) {
    for (std::uint64_t i = n; i < n + 4; ++i) write_event(ring.writer(), i, 0, scratch);
    std::uint64_t expected = n;
    const auto take = [&](const RawEvent& event) { CHECK_EQ(event.ticket, expected++); };
    CHECK_EQ(cursor.poll(1, take), 1u);
    CHECK_EQ(cursor.poll(2, take), 2u);
    CHECK_EQ(cursor.poll(9, take), 1u);
  }
  CHECK_EQ(cursor.lost(), 0u);
  CHECK_EQ(cursor.delivered(), 40u);
  cursor.seek(38);
  CHECK_EQ(cursor.poll(9, [](const RawEvent&) {}), 2u);
  CHECK_EQ(cursor.lost(), 0u);
}

struct Written {
  std::uint64_t number;
  std::size_t text_words;
  std::uint64_t text_end;  // bytes of text written so far, its own included
};

// R1.21: random bursts and polls against a plain list of what was written; two readers at once.
void agrees_with_a_plain_list(unsigned seed) {
  check::scene("what is read, lost and text lost is what a plain list of the events says");
  std::mt19937 random(seed);
  const std::uint64_t capacity = 1 + random() % 9;
  const std::uint64_t ring_words = 1 + random() % 24;
  TestRing ring(capacity, ring_words * 8);
  std::vector<Written> log;
  RingCursor cursors[2] = {RingCursor(ring.view()), RingCursor(ring.view())};
  std::uint64_t positions[2] = {}, lost[2] = {}, text_lost[2] = {};
  std::uint64_t text_end = 0;
  for (int round = 0; round < 60; ++round) {
    for (std::uint64_t burst = random() % (2 * capacity + 2); burst > 0; --burst) {
      const std::size_t words = random() % 3 == 0 ? 0 : 1 + random() % ring_words;
      text_end += words * 8;
      log.push_back({log.size() * 1000 + seed, words, text_end});
      CHECK(write_event(ring.writer(), log.back().number, words, scratch));
    }
    const std::size_t who = random() % 2;
    const std::size_t most = random() % (capacity + 2);
    std::uint64_t& position = positions[who];
    const std::uint64_t oldest = log.size() - std::min<std::size_t>(log.size(), capacity);
    if (most > 0 && position < oldest) {
      lost[who] += oldest - position;
      position = oldest;
    }
    cursors[who].poll(most, [&](const RawEvent& event) {
      CHECK_EQ(event.ticket, position);
      const Written& expected = log[event.ticket];
      CHECK(is_whole(event, expected.number, expected.text_words));
      const std::uint64_t start = expected.text_end - expected.text_words * 8;
      const bool overtaken = expected.text_words > 0 && text_end > start + ring_words * 8;
      CHECK_EQ(event.text_state == TextState::Lost, overtaken);
      text_lost[who] += overtaken;
      ++position;
    });
    CHECK_EQ(cursors[who].next(), position);
    CHECK_EQ(cursors[who].lost(), lost[who]);
    CHECK_EQ(cursors[who].text_lost(), text_lost[who]);
    CHECK_EQ(cursors[who].delivered() + cursors[who].lost(), cursors[who].next());
  }
}

void overtaken_text_leaves_its_event() {
  check::scene("an event whose text was overtaken keeps its fields and its place");
  TestRing ring(8, 32);  // four words of text for eight slots
  for (std::uint64_t n = 0; n < 8; ++n) write_event(ring.writer(), n, 2, scratch);
  RingCursor cursor(ring.view());
  cursor.poll(9, [](const RawEvent& event) {
    CHECK(is_whole(event, event.ticket, 2));
    CHECK_EQ(event.text_state == TextState::Lost, event.ticket < 6);
  });
  CHECK_EQ(cursor.delivered(), 8u);
  CHECK_EQ(cursor.lost(), 0u);
  CHECK_EQ(cursor.text_lost(), 6u);
}

// Words of text that look like the header of the block they overtake, for every extent of it.
void a_forged_block_header_does_not_save_overtaken_text() {
  check::scene("text that looks like the overtaken block's header is not taken for it");
  for (std::size_t words = 1; words <= 8; ++words) {
    TestRing ring(8, 64);
    write_event(ring.writer(), 0, 4, scratch);
    const std::vector<std::uint64_t> forged(words, 32);  // "32 bytes, ticket 0", over and over
    SlotImage image = image_of(1, true);
    ring.writer().write(image, reinterpret_cast<const std::byte*>(forged.data()), words * 8);
    RingCursor cursor(ring.view());
    std::vector<TextState> states;
    cursor.poll(9, [&](const RawEvent& event) { states.push_back(event.text_state); });
    const TextState first = words <= 4 ? TextState::Whole : TextState::Lost;
    CHECK(states == std::vector<TextState>{first, TextState::Whole});
  }
}

void counters_tell_kinds_apart() {
  check::scene("each kind has its own counts; kinds beyond the rows share the last one");
  constexpr std::uint16_t kinds = 200;
  TestRing ring(4, 64);
  for (std::uint16_t kind = 1; kind <= kinds; ++kind)
    for (int n = 0; n < 1 + kind % 2; ++n) {
      SlotImage image;
      image.words[kTagWord] = kind;
      ring.writer().write(image);
      ring.writer().count(kind, kSampledOut);
    }
  const RingView view = ring.view();
  std::uint64_t rest = 0;
  for (std::uint16_t kind = 1; kind <= kinds; ++kind) {
    const std::uint64_t calls = 1 + kind % 2;
    if (kind < kRowCount) {
      CHECK_EQ(counted(view, kind, kRecorded), calls);
      CHECK_EQ(counted(view, kind, kSampledOut), calls);
    } else {
      rest += calls;
    }
  }
  CHECK_EQ(counted(view, kOtherKinds, kRecorded), rest);
  CHECK_EQ(recorded(view), 300u);
}

void the_header_remembers_the_last_owners() {
  check::scene("a ring keeps its last 128 owners, each with the first ticket it wrote");
  TestRing ring(4, 64);
  for (std::uint32_t owner = 0; owner < kOwnerCount + 50; ++owner) {
    ring.writer().set_owner(5000 + owner);
    write_event(ring.writer(), owner, 0, scratch);
  }
  const RingView view = ring.view();
  CHECK_EQ(view.owner_word(kOwnersWord), kOwnerCount + 50u);
  for (std::uint64_t owner = 50; owner < kOwnerCount + 50; ++owner) {
    CHECK_EQ(view.owner(owner).thread_id, 5000 + owner);
    CHECK_EQ(view.owner(owner).first_ticket, owner);
  }
  ring.writer().set_watermark();
  CHECK_EQ(view.owner_word(kWatermarkWord), ring.writer().next_ticket());
}

void one_event_never_takes_more_than_a_quarter_of_the_text() {
  check::scene("an event's text is bounded by 64 KiB and a quarter of the text ring");
  CHECK_EQ(TestRing(1, 448).writer().max_text_bytes(), 112u);
  CHECK_EQ(TestRing(1, 100 * 8).writer().max_text_bytes(), 200u);
  CHECK_EQ(TestRing(1, 256 * 1024).writer().max_text_bytes(), 64u * 1024);
  CHECK_EQ(TestRing(1, 4 << 20).writer().max_text_bytes(), 64u * 1024);
}

}  // namespace

int main() {
  a_slot_holds_the_words_as_given();
  for (const std::uint64_t capacity : {1u, 2u, 3u, 10'000u}) capacity_is_exact(capacity);
  a_reader_that_keeps_up_loses_nothing();
  for (unsigned seed = 0; seed < 400; ++seed) agrees_with_a_plain_list(seed);
  overtaken_text_leaves_its_event();
  a_forged_block_header_does_not_save_overtaken_text();
  counters_tell_kinds_apart();
  the_header_remembers_the_last_owners();
  one_event_never_takes_more_than_a_quarter_of_the_text();
  return check::finish("ring_test");
}
