// The table of open spans: readers copy whole entries or none, whoever opens and closes. R5.1

#include <thread>
#include <vector>

#include "check.hpp"
#include "whence/span_table.hpp"

using namespace whence;

namespace {

// An entry whose words all follow from its id: a copy of two halves shows.
SpanEntry entry_of(std::uint64_t id) { return {id, id * 3, id * 5, id * 7, id * 11, id * 13}; }

struct Header {
  alignas(8) std::byte bytes[kRingHeaderBytes] = {};
  SpanTable table() { return SpanTable(bytes); }
  std::size_t copy(SpanEntry (&out)[kSpanCount]) const { return copy_open_spans(bytes, out); }
  std::uint64_t overflow() const {
    return reinterpret_cast<const std::atomic<std::uint64_t>*>(bytes)[kSpanOverflowWord].load();
  }
};

void what_was_opened_is_read_until_it_is_closed() {
  check::scene("a span is read while it is open, and closed once, by its own id");
  Header header;
  std::uint32_t hint = 0;
  SpanEntry found[kSpanCount];
  const std::uint32_t at = header.table().open(entry_of(42), hint);
  CHECK_EQ(header.copy(found), 1u);
  CHECK(found[0] == entry_of(42));
  CHECK(!header.table().close(at, 43));
  CHECK(!header.table().close(SpanTable::kNone, 42));
  CHECK(header.table().close(at, 42));
  CHECK(!header.table().close(at, 42));
  CHECK_EQ(header.copy(found), 0u);
}

void a_full_table_counts() {
  check::scene("the 129th open span is counted, and a freed entry is found again");
  Header header;
  std::uint32_t hint = 0;
  SpanEntry found[kSpanCount];
  std::vector<std::uint32_t> places;
  for (std::uint64_t id = 1; id <= kSpanCount; ++id) places.push_back(header.table().open(entry_of(id), hint));
  CHECK_EQ(header.table().open(entry_of(1000), hint), SpanTable::kNone);
  CHECK_EQ(header.overflow(), 1u);
  CHECK(header.table().close(places[77], 78));
  CHECK_EQ(header.table().open(entry_of(1001), hint), places[77]);
  CHECK_EQ(header.copy(found), std::size_t{kSpanCount});
}

void readers_see_whole_entries() {
  check::scene("a copy is of one span, though others open and close meanwhile");
  Header header;
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> handed{0};  // place << 48 | id, for the thread that closes
  std::thread closer([&] {
    while (!done.load()) {
      const std::uint64_t given = handed.exchange(0);
      if (given != 0) CHECK(header.table().close(given >> 48, given & ((1ull << 48) - 1)));
    }
  });
  std::vector<std::thread> readers;
  readers.reserve(2);
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      SpanEntry found[kSpanCount];
      while (!done.load())
        for (std::size_t n = header.copy(found); n-- > 0;) CHECK(found[n] == entry_of(found[n][kSpanId]));
    });
  std::uint32_t hint = 0;
  for (std::uint64_t id = 1; id < 60'000; ++id) {
    if (id % 4 == 0) hint = 0;  // the same few entries again and again
    const std::uint32_t at = header.table().open(entry_of(id), hint);
    std::uint64_t nobody = 0;
    if (at == SpanTable::kNone) continue;
    if (id % 3 != 0 || !handed.compare_exchange_strong(nobody, static_cast<std::uint64_t>(at) << 48 | id))
      CHECK(header.table().close(at, id));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  closer.join();
}

void ids_are_many_and_never_zero() {
  check::scene("ids of a seed differ, and none is 0");
  std::uint64_t seed = 0;
  std::uint64_t before = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t id = next_span_id(seed);
    CHECK(id != 0 && id != before);
    before = id;
  }
}

}  // namespace

int main() {
  what_was_opened_is_read_until_it_is_closed();
  a_full_table_counts();
  readers_see_whole_entries();
  ids_are_many_and_never_zero();
  return check::finish("span_table_test");
}
