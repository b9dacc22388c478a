// Events as Arrow columns: whole, in order, and alive for as long as anybody holds a part of them.

#include <cstdlib>
#include <new>
#include <random>
#include <thread>

#include "arrow_fixture.hpp"
#include "check.hpp"
#include "ring_fixture.hpp"
#include "whence/arrow_rows.hpp"
#include "whence/names.hpp"
#include "whence/text_block.hpp"

using namespace whence;
using namespace whence::testing;

namespace {

std::atomic<long> allocations_left{-1};  // negative: any number

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (allocations_left.load() >= 0 && allocations_left.fetch_sub(1) == 0) {
    allocations_left.store(-1);
    throw std::bad_alloc();
  }
  void* place = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (place == nullptr) throw std::bad_alloc();
  return place;
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* place) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::align_val_t) noexcept { std::free(place); }
[[gnu::noinline]] void operator delete(void* place, std::size_t, std::align_val_t) noexcept { std::free(place); }

namespace {

constexpr std::uint16_t kMoves = 7;
constexpr std::uint8_t kUuid[16] = {1, 2, 3};

// A kind with a field of every sort, and a text for each event.
KindSchema moves() {
  KindSchema kind;
  kind.name = "move";
  kind.component = "Mover";
  kind.rationale = "{steps} steps to {where}";
  kind.fields = {{"steps", FieldType::I64, FieldRole::Plain, 0, false},
                 {"where", FieldType::Name, FieldRole::Plain, 0, false},
                 {"large", FieldType::U64, FieldRole::Plain, 0, false},
                 {"share", FieldType::F32, FieldRole::Plain, 0, false},
                 {"sure", FieldType::Bool, FieldRole::Plain, 0, false}};
  kind.place_fields();
  return kind;
}

class TestCatalogue {
 public:
  TestCatalogue() : region_(anonymous_region(kNamesMaxBytes)), catalogue_(std::make_shared<Catalogue>()) {
    Region file = region_;
    file.bytes = kNamesBytes;
    NameTable table(file, kUuid);
    table.add_kind(kMoves, encode_kind(moves()));
    catalogue_->update(region_.base, kNamesBytes);
    munmap(region_.base, region_.bytes);
  }
  std::shared_ptr<const Catalogue> get() const { return catalogue_; }

 private:
  Region region_;
  std::shared_ptr<Catalogue> catalogue_;
};

struct Move {
  std::uint64_t time_ns;
  std::int64_t steps;
  std::string where;
};

void write_move(RingWriter& writer, const Move& move) {
  const KindSchema kind = moves();
  std::byte image[64] = {};
  const std::uint16_t in_text = kNameInText;
  const std::uint64_t large = ~0ull - static_cast<std::uint64_t>(move.steps);
  const float share = 0.5f;
  std::memcpy(image + kind.fields[0].offset, &move.steps, 8);
  std::memcpy(image + kind.fields[1].offset, &in_text, 2);
  std::memcpy(image + kind.fields[2].offset, &large, 8);
  std::memcpy(image + kind.fields[3].offset, &share, 4);
  image[kind.fields[4].offset] = std::byte{1};
  SlotImage slot;
  slot.words.fill(0);
  slot.words[kTimeWord] = move.time_ns;
  slot.words[kTagWord] = kMoves | kTagText | static_cast<std::uint64_t>(RequestForm::Short) << kTagRequestShift;
  std::memcpy(&slot.words[kRequestWord], "req", 3);
  std::memcpy(&slot.words[kFieldWord], image, kFieldBytesWithText);
  alignas(8) std::byte scratch[4096];
  TextBlock block(scratch, sizeof scratch);
  block.image_rest(image, kind.image_bytes);
  block.text(Entry::FieldText, 1, move.where);
  CHECK(writer.write(slot, block.data(), block.finish()));
}

// A batch of the moves of one ring.
void drain_moves(Batch& batch, const std::vector<Move>& all, const char* session, std::uint64_t key, std::uint32_t ring) {
  TestRing test_ring(all.size() + 1, 1 << 16);
  for (const Move& move : all) write_move(test_ring.writer(), move);
  RingCursor cursor(test_ring.view());
  auto source = std::make_shared<RowSource>();
  source->catalogue = TestCatalogue().get();
  source->session = session;
  source->session_key = key;
  source->ring = ring;
  CHECK_EQ(batch.drain(cursor, source, ~std::size_t{0}), all.size());
}

Batch two_sessions() {
  Batch batch;
  drain_moves(batch, {{100, 1, "a"}, {300, 2, "b\xc3\xa9"}, {200, 3, "c"}}, "one", 5, 0);
  drain_moves(batch, {{90, 4, "d"}, {290, 5, "bad \xff\xc3"}}, "two", 4, 0);
  drain_moves(batch, {{100, 6, "f"}}, "one", 5, 1);
  return batch;
}

const arrow::ClockOffsets kClocks = {{"one", 1000}, {"two", 1010}};

ArrowArrayStream stream_of(const Batch& batch, arrow::ChunkLimits limits = {}) {
  ArrowArrayStream stream{};
  arrow::Stream<arrow::Columns>::give(arrow::RowEncoder(batch, limits).encode(kClocks), &stream);
  return stream;
}

void columns_hold_the_events_in_order_of_wall_time() {
  check::scene("rows come by wall time, session, ring and ticket, with all that was recorded");
  ArrowArrayStream stream;
  {
    const Batch batch = two_sessions();
    stream = stream_of(batch);
  }  // the columns do not need it
  const std::vector<Row> rows = read_stream(stream);
  std::string order;
  for (const Row& row : rows) order += row.at("session") + "/" + row.at("ring") + "@" + row.at("ts_ns") + " ";
  CHECK_EQ(order, "4/0@1100 5/0@1100 5/1@1100 5/0@1200 4/0@1300 5/0@1300 ");
  if (!CHECK_EQ(rows.size(), 6u)) return;
  const Row& row = rows[5];
  CHECK_EQ(row.at("offset_ns"), "1000");
  CHECK_EQ(row.at("ticket"), "1");
  CHECK_EQ(row.at("event_type") + row.at("component") + row.at("model_id"), "moveMover");
  CHECK_EQ(row.at("request_id"), "req");
  CHECK_EQ(row.at("decision_chain_id") + row.at("event_id") + row.at("options"), "nullnullnull");
  CHECK_EQ(row.at("rationale"), "2 steps to b\xc3\xa9");
  CHECK_EQ(row.at("attr_int"), "steps=2");
  CHECK_EQ(row.at("attr_uint"), "large=-3");
  CHECK_EQ(row.at("attr_num"), "share=0.500000");
  CHECK_EQ(row.at("attr_bool"), "sure=true");
  CHECK_EQ(row.at("attr_str"), "where=b\xc3\xa9");
  CHECK_EQ(row.at("severity") + row.at("weight") + row.at("text_lost"), "11.000000false");
  CHECK_EQ(rows[4].at("attr_str"), "where=bad \xef\xbf\xbd\xef\xbf\xbd");
  CHECK_EQ(rows[3].at("attr_str"), "where=c");
}

void limits_cut_record_batches_and_dictionaries() {
  check::scene("few rows, much text or many names begin another record batch, and nothing is lost");
  const Batch batch = two_sessions();
  ArrowArrayStream whole = stream_of(batch);
  const std::vector<Row> wanted = read_stream(whole);
  for (const auto& [limits, expected] :
       {std::pair{arrow::ChunkLimits{1, 1 << 20, 1 << 20}, 6}, std::pair{arrow::ChunkLimits{4, 1 << 20, 1 << 20}, 2},
        std::pair{arrow::ChunkLimits{100, 1, 1 << 20}, 6}, std::pair{arrow::ChunkLimits{2, 1 << 20, 1}, 3}}) {
    int batches = 0;
    ArrowArrayStream stream = stream_of(batch, limits);
    CHECK(read_stream(stream, &batches) == wanted);
    CHECK_EQ(batches, expected);
  }
  Batch empty;
  int batches = 0;
  ArrowArrayStream stream = stream_of(empty);
  CHECK(read_stream(stream, &batches).empty());
  CHECK_EQ(batches, 0);
}

void parts_live_without_what_they_came_from() {
  check::scene("a column that was moved out lives on without its record batch and stream");
  ArrowArrayStream stream = stream_of(two_sessions(), {2, 1 << 20, 1 << 20});
  ArrowSchema schema{};
  ArrowArray first{};
  CHECK_EQ(stream.get_schema(&stream, &schema), 0);
  CHECK_EQ(stream.get_next(&stream, &first), 0);
  stream.release(&stream);  // half read
  std::vector<ArrowArray> columns;
  std::vector<ArrowSchema> types;
  for (std::int64_t i = 0; i < first.n_children; ++i) {
    columns.push_back(*first.children[i]);
    first.children[i]->release = nullptr;
    types.push_back(*schema.children[i]);
    schema.children[i]->release = nullptr;
  }
  first.release(&first);
  schema.release(&schema);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const ArrayReader reader(types[i], columns[i]);
    for (std::int64_t row = 0; row < columns[i].length; ++row)
      if (std::string_view(types[i].name) == "event_type") CHECK_EQ(reader.text(row), "move");
    columns[i].release(&columns[i]);
    types[i].release(&types[i]);
  }
}

// Lets the first, second, third... allocation fail until the work needs no more of them.
template <class Work>
long with_each_allocation_failing(Work&& work) {
  for (long allowed = 0;; ++allowed) {
    allocations_left.store(allowed);
    const bool failed = work();
    allocations_left.store(-1);
    if (!failed) return allowed;
  }
}

void want_of_memory_is_an_error_and_leaks_nothing() {
  check::scene("whichever allocation fails, there is an error and nothing is left behind");
  const Batch batch = two_sessions();
  const long steps = with_each_allocation_failing([&] {
    try {
      arrow::RowEncoder(batch, {2, 1 << 20, 1 << 20}).encode(kClocks);
      return false;
    } catch (const std::bad_alloc&) {
      return true;
    }
  });
  CHECK(steps > 100);
  ArrowArrayStream stream = stream_of(batch);
  ArrowSchema schema{};
  with_each_allocation_failing([&] {
    const int error = stream.get_schema(&stream, &schema);
    CHECK(error == 0 || (error == ENOMEM && schema.release == nullptr && stream.get_last_error(&stream) != nullptr));
    return error != 0;
  });
  ArrowArray array{};
  with_each_allocation_failing([&] {
    const int error = stream.get_next(&stream, &array);
    CHECK(error == 0 || (error == ENOMEM && array.release == nullptr));
    return error != 0;
  });
  CHECK_EQ(array.length, 6);  // none was passed over
  std::vector<Row> rows;
  read_rows(schema, array, rows);
  array.release(&array);
  schema.release(&schema);
  stream.release(&stream);
}

void threads_share_batches_and_columns() {
  check::scene("threads that encode one batch, and read one set of columns, do not disturb each other");
  const Batch batch = two_sessions();
  const auto columns = arrow::RowEncoder(batch).encode(kClocks);
  ArrowArrayStream whole = stream_of(batch);
  const std::vector<Row> wanted = read_stream(whole);
  std::vector<std::thread> threads(3);
  for (std::thread& thread : threads)
    thread = std::thread([&] {
      check::scene("threads that encode one batch, and read one set of columns, do not disturb each other");
      for (int n = 0; n < 20; ++n) {
        ArrowArrayStream shared{};
        arrow::Stream<arrow::Columns>::give(columns, &shared);
        CHECK(read_stream(shared) == wanted);
        ArrowArrayStream own = stream_of(batch);
        CHECK(read_stream(own) == wanted);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

// Slots and texts of nobody's writing: random, but for parts that lead the decoder on.
void whatever_a_ring_holds_columns_are_valid() {
  check::scene("random slots and texts make valid columns, one row for each");
  std::mt19937_64 random(20240607);
  for (int round = 0; round < 300; ++round) {
    TestRing ring(8, 1 << 14);
    for (int n = 0; n < 8; ++n) {
      SlotImage slot;
      for (std::uint64_t& word : slot.words) word = random();
      if (random() % 2) slot.words[kTagWord] = (slot.words[kTagWord] & ~kTagKindMask) | kMoves;
      std::vector<std::uint64_t> text(4 + random() % 40);
      for (std::uint64_t& word : text) word = random();
      auto* entry = reinterpret_cast<unsigned char*>(text.data()) + kTextHeaderBytes + (random() % 2 ? 7 : 0);
      entry[0] = static_cast<unsigned char>(random() % 20);
      const auto length = static_cast<std::uint32_t>(random() % (text.size() * 8));
      std::memcpy(entry + 2, &length, 4);
      if (random() % 2) {
        slot.words[kTagWord] |= kTagText;
        ring.writer().write(slot, reinterpret_cast<const std::byte*>(text.data()), text.size() * 8);
      } else {
        slot.words[kTagWord] &= ~kTagText;
        ring.writer().write(slot);
      }
    }
    Batch batch;
    RingCursor cursor(ring.view());
    auto source = std::make_shared<RowSource>();
    source->catalogue = TestCatalogue().get();
    source->session = "one";
    source->session_key = random();
    const std::size_t taken = batch.drain(cursor, source, 100);
    ArrowArrayStream stream = stream_of(batch);
    CHECK_EQ(read_stream(stream).size(), taken);
  }
}

}  // namespace

int main() {
  columns_hold_the_events_in_order_of_wall_time();
  limits_cut_record_batches_and_dictionaries();
  parts_live_without_what_they_came_from();
  want_of_memory_is_an_error_and_leaks_nothing();
  threads_share_batches_and_columns();
  whatever_a_ring_holds_columns_are_valid();
  return check::finish("arrow_test");
}
