// One writer, three readers, one ring, N seconds: nothing torn, delivered + lost = emitted.
//
// usage: ring_stress [SECONDS]     All threads share one mapping: ThreadSanitizer sees no other.

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "check.hpp"
#include "ring_fixture.hpp"

using namespace whence;
using namespace whence::testing;
using Clock = std::chrono::steady_clock;

namespace {

struct Shape {
  std::uint64_t capacity;
  std::uint64_t text_words;
};
// Rings so small that every read is a race, and one of the usual size.
constexpr Shape kShapes[] = {{1, 8}, {2, 5}, {7, 64}, {64, 256}, {1000, 1000}, {10'000, 4'096}};

std::size_t text_words_of(const Shape& shape, std::uint64_t number) {
  const std::uint64_t chosen = mix(number ^ 0x7e47);
  return chosen % 3 != 0 ? 0 : 1 + (chosen >> 8) % (shape.text_words / 4 + 1);
}

// What the writer did, kept by itself, apart from the ring.
struct ProducerLog {
  std::atomic<std::uint64_t> begun{0};
  std::atomic<bool> done{false};
  std::uint64_t emitted = 0;         // read after the join
  std::uint64_t per_kind[kKinds]{};  // the same
  std::uint64_t text_bytes = 0;
};

// What one reader was given: tickets as runs, so that the set can be compared with the log.
struct Delivery {
  struct Run {
    std::uint64_t first, end;
  };
  std::vector<Run> runs;
  std::uint64_t whole_texts = 0;
  std::uint64_t lost = 0;
  std::uint64_t text_lost = 0;

  void add(std::uint64_t ticket) {
    if (!runs.empty() && runs.back().end == ticket)
      ++runs.back().end;
    else
      runs.push_back({ticket, ticket + 1});
  }
};

void write_until(const Shape& shape, RingWriter& writer, ProducerLog& log, Clock::time_point end) {
  std::vector<std::uint64_t> scratch;
  std::uint64_t number = 0;
  for (bool more = true; more;) {
    // Bursts from a part of the ring to several laps; a pause lets the readers catch up.
    const std::uint64_t burst = 1 + mix(number) % (1 + 3 * shape.capacity);
    for (std::uint64_t n = 0; n < burst && more; ++n, ++number) {
      const std::size_t words = text_words_of(shape, number);
      log.begun.store(number + 1, std::memory_order_relaxed);
      CHECK(write_event(writer, number, words, scratch));
      if (number % 32 == 0) more = Clock::now() < end;
      ++log.per_kind[number % kKinds];
      log.text_bytes += words * 8;
    }
    if (mix(number) % 4 == 0) std::this_thread::yield();
  }
  log.emitted = number;
  log.done.store(true, std::memory_order_release);  // pairs with the readers' acquire
}

void read_until_done(const Shape& shape, RingView view, std::size_t batch, const ProducerLog& log,
                     Delivery& delivery) {
  RingCursor cursor(view);
  std::uint64_t expected = 0;
  for (int idle = 0;;) {
    const bool last = log.done.load(std::memory_order_acquire);
    const std::size_t handed = cursor.poll(batch, [&](const RawEvent& event) {
      CHECK_EQ(number_of(event), event.ticket);
      CHECK(is_whole(event, event.ticket, text_words_of(shape, event.ticket)));
#if defined(__x86_64__)  // stores are seen in order: each gap can be held against the log at once
      if (event.ticket > expected)
        CHECK(log.begun.load(std::memory_order_relaxed) >= event.ticket + shape.capacity);
#endif
      expected = event.ticket + 1;
      delivery.add(event.ticket);
      delivery.whole_texts += event.text_state == TextState::Whole;
    });
    if (handed > 0) {
      idle = 0;
    } else {
      if (last) break;
      if (++idle % 100 == 0) std::this_thread::yield();
    }
  }
  delivery.lost = cursor.lost();
  delivery.text_lost = cursor.text_lost();
  CHECK_EQ(cursor.next(), log.emitted);
  CHECK_EQ(cursor.corrupt(), 0u);
  CHECK(!cursor.in_flight());
}

void compare(const Shape& shape, const RingView& view, const ProducerLog& log,
             const Delivery& delivery) {
  check::scene("a reader's tickets and its lost ones are exactly what the producer logged");
  std::uint64_t delivered = 0, missing = 0, next = 0, texts = 0;
  for (const Delivery::Run& run : delivery.runs) {
    CHECK(run.first >= next && run.end > run.first && run.end <= log.emitted);
    missing += run.first - next;
    delivered += run.end - run.first;
    for (std::uint64_t n = run.first; n < run.end; ++n) texts += text_words_of(shape, n) > 0;
    next = run.end;
  }
  missing += log.emitted - next;
  CHECK_EQ(delivery.lost, missing);
  CHECK_EQ(delivered + delivery.lost, log.emitted);
  CHECK_EQ(delivery.whole_texts + delivery.text_lost, texts);
  // At rest the newest events were still there to be read.
  CHECK(!delivery.runs.empty() && delivery.runs.back().end == log.emitted);
  CHECK(delivery.runs.back().end - delivery.runs.back().first >=
        std::min(shape.capacity, log.emitted));
  for (std::uint64_t kind = 0; kind < kKinds; ++kind)
    CHECK_EQ(counted(view, kind_of(kind), kRecorded), log.per_kind[kind]);
  CHECK_EQ(view.text_intent().load(), log.text_bytes);
}

// R1.20 R1.27: one writer, any readers, no lock between them.
void race(const Shape& shape, std::chrono::milliseconds duration) {
  check::scene("whatever a reader accepts is what one write stored");
  TestRing ring(shape.capacity, shape.text_words * 8);
  const RingView view = ring.view();
  ProducerLog log;
  Delivery deliveries[3];
  constexpr std::size_t kBatches[3] = {1, 64, 5000};
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < 3; ++n)
    threads.emplace_back(
        [&, n] { read_until_done(shape, view, kBatches[n], log, deliveries[n]); });
  write_until(shape, ring.writer(), log, Clock::now() + duration);
  for (std::thread& thread : threads) thread.join();
  for (const Delivery& delivery : deliveries) compare(shape, view, log, delivery);
  std::printf("  %5llu slots %5llu words of text: %9llu emitted, lost",
              static_cast<unsigned long long>(shape.capacity),
              static_cast<unsigned long long>(shape.text_words),
              static_cast<unsigned long long>(log.emitted));
  for (const Delivery& delivery : deliveries)
    std::printf(" %llu (%llu texts)", static_cast<unsigned long long>(delivery.lost),
                static_cast<unsigned long long>(delivery.text_lost));
  std::printf("\n");
}

// R0.38 R0.56 R0.2: a shared ring, its writers taking turns; a reader never makes them wait.
void eight_writers_take_turns(std::uint64_t capacity) {
  check::scene("8 threads x 1,000 events: the ring holds exactly the newest, each one whole");
  constexpr std::uint64_t kThreads = 8, kEach = 1000;
  TestRing ring(capacity, capacity * 448);
  const RingView view = ring.view();
  std::mutex turn;
  std::vector<std::uint64_t> log;  // the events' numbers in ticket order; guarded by turn
  std::atomic<bool> done{false};
  const auto size = [&] {
    RingCursor cursor(view);
    std::uint64_t held = 0;
    cursor.poll(capacity, [&](const RawEvent&) { ++held; });
    return held;
  };
  std::thread reader([&] {
    while (!done.load(std::memory_order_acquire)) {
      CHECK(size() <= capacity);
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> writers;
  for (std::uint64_t who = 0; who < kThreads; ++who)
    writers.emplace_back([&, who] {
      std::vector<std::uint64_t> scratch;
      for (std::uint64_t n = 0; n < kEach; ++n) {
        const std::uint64_t number = who * kEach + n;
        const std::lock_guard<std::mutex> mine(turn);
        CHECK(write_event(ring.writer(), number, 1 + number % 6, scratch));
        log.push_back(number);
      }
    });
  for (std::thread& thread : writers) thread.join();
  done.store(true, std::memory_order_release);
  reader.join();

  const std::uint64_t held = std::min(capacity, kThreads * kEach);
  CHECK_EQ(size(), held);
  CHECK_EQ(recorded(view), kThreads * kEach);
  std::vector<std::uint64_t> next_of(kThreads, 0);
  for (const std::uint64_t number : log) CHECK_EQ(number % kEach, next_of[number / kEach]++);
  RingCursor cursor(view);
  cursor.poll(~0ull, [&](const RawEvent& event) {
    CHECK_EQ(number_of(event), log[event.ticket]);
    CHECK(is_whole(event, log[event.ticket], 1 + log[event.ticket] % 6));
    CHECK(event.text_state == TextState::Whole);  // 448 bytes a slot, 48 at most used
  });
  CHECK_EQ(cursor.delivered(), held);
  CHECK_EQ(cursor.lost(), kThreads * kEach - held);
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  for (const std::uint64_t capacity : {1u, 3u, 100u, 5000u, 10'000u})
    eight_writers_take_turns(capacity);
  const std::chrono::milliseconds each(
      static_cast<long>(seconds * 1000 / static_cast<double>(std::size(kShapes))));
  for (const Shape& shape : kShapes) race(shape, each);
  return check::finish("ring_stress");
}
