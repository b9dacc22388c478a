// OTLP on its way in: whatever the bytes are, either they are refused or the columns are valid.

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "arrow_fixture.hpp"
#include "check.hpp"
#include "fuzz_for.hpp"
#include "whence/otlp_in.hpp"

using namespace whence;
using namespace whence::testing;

namespace {

constexpr std::int64_t kReceivedNs = 1'700'000'000'000'000'000;
constexpr int kRequests = 3'000;
constexpr int kSpoiledEach = 8;

std::mt19937_64 random_bits(20);
std::uint64_t below(std::uint64_t end) { return random_bits() % end; }
bool one_in(std::uint64_t many) { return below(many) == 0; }

// ---- a writer of protobuf that knows no schema

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_varint(out, bytes_field(field));
  put_varint(out, bytes.size());
  out += bytes;
}

void put_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  put_varint(out, varint_field(field));
  put_varint(out, value);
}

void put_fixed(std::string& out, std::uint32_t field, std::uint64_t value) {
  put_varint(out, fixed64_field(field));
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string word() {
  static const char* const kWords[] = {"", "name", "gen_ai.request.model", "whence.event_id", "caf\xc3\xa9", "\xff\xfe", "whence.json"};
  return one_in(8) ? std::string(below(400), 'x') : kWords[below(std::size(kWords))];
}

std::string id_of(std::size_t usual) {
  std::string id(one_in(12) ? below(20) : usual, '\0');
  if (!one_in(12))
    for (char& each : id) each = static_cast<char>(random_bits());
  return id;
}

std::string pair_of(int depth);

std::string any_of(int depth) {
  std::string out;
  switch (below(depth > 0 ? 8 : 6)) {
    case 0: break;
    case 1: put_bytes(out, 1, word()); break;
    case 2: put_number(out, 2, below(2)); break;
    case 3: put_number(out, 3, random_bits()); break;
    case 4: put_fixed(out, 4, random_bits()); break;
    case 5: put_bytes(out, 7, word()); break;
    default: {
      std::string inside;
      const bool list = one_in(2);
      for (std::uint64_t left = below(4); left > 0; --left) put_bytes(inside, 1, list ? any_of(depth - 1) : pair_of(depth - 1));
      put_bytes(out, list ? 5 : 6, inside);
    }
  }
  return out;
}

std::string pair_of(int depth) {
  std::string out;
  put_bytes(out, 1, word());
  put_bytes(out, 2, any_of(depth));
  return out;
}

void put_pairs(std::string& out, std::uint32_t field) {
  for (std::uint64_t left = below(6); left > 0; --left) put_bytes(out, field, pair_of(one_in(20) ? 24 : 3));
}

std::string span_of() {
  std::string out, status;
  put_bytes(out, 1, id_of(16));
  put_bytes(out, 2, id_of(8));
  if (one_in(2)) put_bytes(out, 4, id_of(8));
  put_bytes(out, 5, word());
  put_number(out, 6, below(7));
  put_fixed(out, 7, one_in(8) ? random_bits() : kReceivedNs);
  put_fixed(out, 8, one_in(8) ? random_bits() : kReceivedNs + below(1'000'000));
  put_pairs(out, 9);
  for (std::uint64_t left = below(3); left > 0; --left) {
    std::string event;
    put_fixed(event, 1, kReceivedNs);
    put_bytes(event, 2, word());
    put_pairs(event, 3);
    put_bytes(out, 11, event);
  }
  for (std::uint64_t left = below(3); left > 0; --left) {
    std::string link;
    put_bytes(link, 1, id_of(16));
    put_bytes(link, 2, id_of(8));
    put_pairs(link, 4);
    put_bytes(out, 13, link);
  }
  put_bytes(status, 2, word());
  put_number(status, 3, below(4));
  put_bytes(out, 15, status);
  return out;
}

std::string log_of() {
  std::string out;
  put_fixed(out, 1, kReceivedNs);
  put_number(out, 2, below(30));
  put_bytes(out, 3, word());
  put_bytes(out, 5, any_of(3));
  put_pairs(out, 6);
  if (one_in(2)) put_bytes(out, 9, id_of(16));
  if (one_in(2)) put_bytes(out, 10, id_of(8));
  put_fixed(out, 11, kReceivedNs);
  put_bytes(out, 12, word());
  return out;
}

std::string metric_of() {
  std::string out, points, point;
  put_bytes(out, 1, word());
  put_bytes(out, 3, word());
  put_fixed(point, 3, kReceivedNs);
  put_fixed(point, one_in(2) ? 4 : 6, random_bits());
  put_pairs(point, 7);
  put_bytes(points, 1, point);
  const std::uint32_t kinds[] = {5, 7, 9, 10, 11};
  put_bytes(out, kinds[below(std::size(kinds))], points);
  return out;
}

std::string request_of(otlp::InSignal signal) {
  std::string out;
  for (std::uint64_t groups = below(3); groups > 0; --groups) {
    std::string group, resource, scope, names;
    put_pairs(resource, 1);
    put_bytes(group, 1, resource);
    put_bytes(names, 1, one_in(2) ? std::string("whence") : word());
    put_pairs(names, 3);
    put_bytes(scope, 1, names);
    for (std::uint64_t left = below(6); left > 0; --left)
      put_bytes(scope, 2, signal == otlp::InSignal::Traces ? span_of() : signal == otlp::InSignal::Logs ? log_of() : metric_of());
    put_bytes(group, 2, scope);
    put_bytes(out, 1, group);
  }
  return out;
}

// Some bytes changed, put in, taken out, or moved: what damage and malice do.
void spoil(std::string& bytes) {
  for (std::uint64_t left = 1 + below(4); left > 0 && !bytes.empty(); --left) {
    const std::size_t at = below(bytes.size());
    switch (below(5)) {
      case 0: bytes[at] = static_cast<char>(random_bits()); break;
      case 1: bytes[at] = static_cast<char>(bytes[at] ^ 1 << below(8)); break;
      case 2: bytes.resize(at); break;
      case 3: bytes.insert(at, 1 + below(12), static_cast<char>(random_bits())); break;
      default: bytes.erase(at, 1 + below(12)); break;
    }
  }
}

// ---- what is true of every answer

otlp::Table table() {
  otlp::Table made;
  for (std::size_t i = 0; i < otlp::kColumns; ++i) made.columns[i] = std::string("whence.") + otlp::kColumnKeys[i];
  made.scope_name = "whence";
  made.event_prefix = "whence.";
  return made;
}

// Rows, or nothing where the bytes are refused. The bytes lie in a block of their own size, so that
// a sanitizer sees who reads beyond them; they are gone before the columns are looked at.
bool read(otlp::InSignal signal, const std::string& bytes, const otlp::InLimits& limits) {
  static const otlp::Table names_table = table();
  static const std::vector<std::string> models = {"gen_ai.request.model"};
  static const otlp::InNames names(names_table, models);
  otlp::ReceivedRows rows;
  {
    const auto body = std::make_unique<char[]>(bytes.size());
    std::memcpy(body.get(), bytes.data(), bytes.size());
    try {
      rows = otlp::RequestIn(names, limits, kReceivedNs).read(signal, {body.get(), bytes.size()});
    } catch (const BadMessage&) {
      return false;
    }
  }
  std::size_t of_resources = 0;
  for (const otlp::ResourceIn& each : rows.resources) {
    of_resources += each.rows;
    for (const auto& [key, text] : each.attributes) CHECK(arrow::is_utf8(key) && arrow::is_utf8(text));
  }
  CHECK_EQ(of_resources, rows.counts.rows);
  CHECK(rows.counts.rows <= limits.rows);
  CHECK(rows.counts.rejected <= rows.counts.records);
  CHECK((rows.counts.rejected > 0) == (rows.counts.reason != nullptr));
  ArrowArrayStream stream{};
  arrow::Stream<arrow::Columns>::give(rows.columns, &stream);
  const std::vector<Row> read = read_stream(stream);
  CHECK_EQ(read.size(), rows.counts.rows);
  for (const Row& row : read) {
    CHECK(!row.at("event_type").empty() && row.at("event_id") != "null");
    CHECK(std::atoll(row.at("duration_ns").c_str()) >= 0);
  }
  return true;
}

void whatever_is_sent_is_refused_or_becomes_valid_columns() {
  check::scene("bytes of any kind are refused, or become valid columns with a row for each that was counted");
  const otlp::InLimits narrow{.rows = 9, .attributes = 3, .key_bytes = 8, .value_bytes = 16, .depth = 2, .parts = 2};
  long taken = 0;
  for (int i = 0; i < kRequests; ++i) {
    const auto signal = static_cast<otlp::InSignal>(below(3));
    const otlp::InLimits limits = one_in(2) ? narrow : otlp::InLimits{};
    const std::string request = request_of(signal);
    CHECK(read(signal, request, limits));
    for (int spoiled = 0; spoiled < kSpoiledEach; ++spoiled) {
      std::string bytes = request;
      spoil(bytes);
      taken += read(signal, bytes, limits);
    }
  }
  CHECK(taken > 0 && taken < kRequests * kSpoiledEach);
}

// A request, and others that it was spoiled to. How many were read.
std::uint64_t fuzz_one(std::uint64_t seed) {
  random_bits.seed(seed);
  const auto signal = static_cast<otlp::InSignal>(below(3));
  const std::string request = request_of(signal);
  read(signal, request, {});
  for (int spoiled = 0; spoiled < kSpoiledEach; ++spoiled) {
    std::string bytes = request;
    spoil(bytes);
    read(signal, bytes, {});
  }
  std::string noise(below(80), '\0');
  for (char& each : noise) each = static_cast<char>(random_bits());
  read(signal, noise, {});
  return kSpoiledEach + 2;
}

void every_cut_of_a_request_is_refused_or_read() {
  check::scene("a request that ends anywhere is refused, or is what came before");
  const std::string request = request_of(otlp::InSignal::Traces) + request_of(otlp::InSignal::Traces);
  for (std::size_t size = 0; size <= request.size(); ++size) read(otlp::InSignal::Traces, request.substr(0, size), {});
}

void names_may_be_left_out_and_repeated() {
  check::scene("attributes without any name, several of them, are those of one empty name");
  std::string value, pair, span;
  put_bytes(value, 1, "v");
  put_bytes(pair, 2, value);
  put_bytes(span, 1, std::string(16, '\1'));
  put_bytes(span, 2, std::string(8, '\1'));
  for (int i = 0; i < 3; ++i) put_bytes(span, 9, pair);
  std::string scope, resource, request;
  put_bytes(scope, 2, span);
  put_bytes(resource, 2, scope);
  put_bytes(request, 1, resource);
  CHECK(read(otlp::InSignal::Traces, request, {}));
}

}  // namespace

int main(int argc, char** argv) {
  if (const int seconds = fuzz_seconds(argc, argv)) return fuzz_for("otlp", seconds, fuzz_one);
  whatever_is_sent_is_refused_or_becomes_valid_columns();
  every_cut_of_a_request_is_refused_or_read();
  names_may_be_left_out_and_repeated();
  return check::finish("otlp_in_test");
}
