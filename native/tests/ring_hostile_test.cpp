// Ring memory that somebody else wrote: refused where the header is wrong, bounded where slots are.

#include <random>

#include "check.hpp"
#include "fuzz_for.hpp"
#include "ring_fixture.hpp"

using namespace whence;
using namespace whence::testing;

namespace {

std::vector<std::uint64_t> scratch;

void every_damaged_header_byte_is_found() {
  check::scene("a header with any one byte changed is refused");
  TestRing ring(3, 64);
  CHECK(ring.fault() == RingFault::None);
  for (std::size_t at = 0; at < sizeof(RingHeader); ++at)
    for (const int flip : {0x01, 0x80, 0xff}) {
      ring.base()[at] ^= static_cast<std::byte>(flip);
      CHECK(ring.fault() != RingFault::None);
      ring.base()[at] ^= static_cast<std::byte>(flip);
    }
  CHECK(ring.fault() == RingFault::None);
}

template <class Change>
RingFault fault_with(Change&& change) {
  TestRing ring(3, 64);
  RingHeader header{};
  std::memcpy(&header, ring.base(), sizeof header);
  change(header);
  header.crc = crc32(&header, offsetof(RingHeader, crc));
  std::memcpy(ring.base(), &header, sizeof header);
  return ring.fault();
}

void faults_have_names() {
  check::scene("a foreign, newer, unready or impossible ring is told by its own name");
  CHECK(fault_with([](RingHeader&) {}) == RingFault::None);
  CHECK(fault_with([](RingHeader& h) { h.minor = 9; }) == RingFault::None);
  CHECK(fault_with([](RingHeader& h) { h.magic[0] = 'X'; }) == RingFault::Foreign);
  CHECK(fault_with([](RingHeader& h) { h.endian = 0x04030201; }) == RingFault::Endian);
  CHECK(fault_with([](RingHeader& h) { h.major = 2; }) == RingFault::NewerMajor);
  CHECK(fault_with([](RingHeader& h) { h.ready = 0; }) == RingFault::NotReady);
  CHECK(fault_with([](RingHeader& h) { h.capacity = 0; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.capacity = ~0ull; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.text_bytes = 0; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.text_bytes = 63; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.text_bytes = ~7ull; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.slot_bytes = 128; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.slots_offset += 64; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.text_offset -= 64; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) { h.row_count = 1u << 30; }) == RingFault::Corrupt);
  CHECK(fault_with([](RingHeader& h) {
          h.capacity = 1ull << 32;
          h.text_offset = text_offset_of(h.capacity);
        }) == RingFault::TooShort);
}

void a_short_file_is_refused() {
  check::scene("a file shorter than its header says is refused at every length");
  TestRing ring(3, 64);
  RingHeader header{};
  for (std::size_t bytes = 0; bytes < ring.bytes(); ++bytes)
    CHECK(RingView::check(ring.base(), bytes, header) == RingFault::TooShort);
}

// The values are the likely and the unlikely: near-stamps, flags, lengths, noise.
std::uint64_t hostile_word(std::mt19937_64& random) {
  switch (random() % 6) {
    case 0: return random() % 64;
    case 1: return ~0ull - random() % 4;
    case 2: return kTagText | random() % 8;
    case 3: return (random() % 16) * 8;
    case 4: return (random() % 14) * 8 | (random() % 20) << 32;  // a block header
    default: return random();
  }
}

// Never out of bounds (the sanitizers see to that), never endless, never an event out of order.
void any_words_at_all_are_survived(unsigned seed) {
  check::scene("a cursor over arbitrary words ends, in order and within bounds");
  std::mt19937_64 random(seed);
  const std::uint64_t capacity = 1 + random() % 7;
  const std::uint64_t text_words = 1 + random() % 12;
  TestRing ring(capacity, text_words * 8);
  for (std::uint64_t n = random() % 20; n > 0; --n)
    write_event(ring.writer(), n, random() % (text_words + 1), scratch);
  const bool slots_too = random() % 2 == 0;
  auto* words = reinterpret_cast<std::uint64_t*>(ring.base() + kRingHeaderBytes);
  const std::size_t first = slots_too ? 0 : capacity * kSlotWords;
  const std::size_t count = capacity * kSlotWords + text_words - first;
  for (std::uint64_t n = random() % (2 * count); n > 0; --n)
    words[first + random() % count] = hostile_word(random);
  reinterpret_cast<std::uint64_t*>(ring.base())[kTextIntentWord] =
      random() % 2 == 0 ? 0 : hostile_word(random);

  RingCursor cursor(ring.view(), random() % 3 == 0 ? random() : random() % 30);
  for (int round = 0; round < 4; ++round) {
    std::uint64_t last = 0;
    bool begun = false;
    const std::uint64_t handed = cursor.poll(100, [&](const RawEvent& event) {
      CHECK(!begun || event.ticket > last);
      CHECK(event.text_bytes <= kMaxEventTextBytes && event.text_bytes <= text_words * 8);
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < event.text_bytes; ++i)
        sum += static_cast<unsigned>(event.text[i]);
      CHECK(sum <= event.text_bytes * 255);
      last = event.ticket;
      begun = true;
    });
    CHECK(handed <= 100);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (const int seconds = fuzz_seconds(argc, argv))
    return fuzz_for("ring", seconds, [](std::uint64_t seed) {
      any_words_at_all_are_survived(static_cast<unsigned>(seed));
      return 1u;
    });
  every_damaged_header_byte_is_found();
  faults_have_names();
  a_short_file_is_refused();
  for (unsigned seed = 0; seed < 3000; ++seed) any_words_at_all_are_survived(seed);
  return check::finish("ring_hostile_test");
}
