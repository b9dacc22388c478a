// Text of an event: cut between code points, never beyond its limit, and what was cut is noted.

#include <array>
#include <string>
#include <vector>

#include "check.hpp"
#include "whence/text_block.hpp"

using namespace whence;

namespace {

struct Item {
  Entry entry;
  std::uint8_t index;
  std::string payload;
};

// The entries of a finished block, or nothing if they do not fill it exactly.
std::vector<Item> items_of(const TextBlock& block, std::size_t bytes, std::size_t image_rest) {
  std::vector<Item> items;
  std::size_t at = kTextHeaderBytes + image_rest;
  const char* data = reinterpret_cast<const char*>(block.data());
  while (at + kEntryHeaderBytes <= bytes && data[at] != 0) {
    std::uint32_t length = 0;
    std::memcpy(&length, data + at + 2, sizeof length);
    if (!CHECK(at + kEntryHeaderBytes + length <= bytes)) return {};
    items.push_back({static_cast<Entry>(data[at]), static_cast<std::uint8_t>(data[at + 1]),
                     std::string(data + at + kEntryHeaderBytes, length)});
    at += kEntryHeaderBytes + length;
  }
  CHECK(bytes - at < 8);
  return items;
}

bool ends_between_code_points(const std::string& whole, std::size_t cut) {
  return cut == whole.size() || (static_cast<unsigned char>(whole[cut]) & 0xc0) != 0x80;
}

void text_is_cut_between_code_points() {
  check::scene("a cut keeps the longest prefix that ends between two code points");
  const std::string text = "a\u00e9\u20ac\U0001f600z";  // 1, 2, 3, 4 and 1 bytes
  const std::array<std::size_t, 12> kept = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
  for (std::size_t most = 0; most < kept.size(); ++most)
    CHECK_EQ(cut_at_code_point(text, most), kept[most]);
  CHECK_EQ(cut_at_code_point(text, 1000), text.size());
}

// Every limit and every length around it: nothing is written beyond the limit.
void a_block_never_exceeds_its_limit() {
  check::scene("a block stays within its limit, and says what it had to cut");
  std::string text;
  while (text.size() < 400) text += "x\u00e9\u20ac";
  for (std::size_t limit = 64; limit <= 256; limit += 8)
    for (std::size_t length = 0; length <= 300; ++length) {
      const std::size_t whole = cut_at_code_point(text, length);
      const std::string given = text.substr(0, whole);
      std::vector<std::byte> scratch(limit);  // an overrun is the address sanitizer's to find
      TextBlock block(scratch.data(), limit);
      block.text(Entry::Rationale, 0, given);
      const std::size_t bytes = block.finish();
      CHECK(bytes <= limit && bytes % 8 == 0);
      const std::vector<Item> items = items_of(block, bytes, 0);
      std::string kept;
      std::uint64_t noted = 0;
      for (const Item& item : items) {
        if (item.entry == Entry::Rationale) kept = item.payload;
        if (item.entry == Entry::Truncated) {
          CHECK_EQ(item.index, static_cast<int>(Entry::Rationale));
          std::memcpy(&noted, item.payload.data(), sizeof noted);
        }
      }
      CHECK(given.starts_with(kept) && ends_between_code_points(given, kept.size()));
      CHECK_EQ(block.truncated(), kept.size() < given.size());
      CHECK_EQ(noted, block.truncated() ? given.size() : 0);
    }
}

void what_makes_sense_only_whole_is_whole_or_left_out() {
  check::scene("an id is stored whole or left out and noted");
  for (std::size_t bytes = 0; bytes < 120; ++bytes) {
    std::vector<std::byte> scratch(96);
    TextBlock block(scratch.data(), scratch.size());
    const std::string image(24, 'i');
    block.image_rest(reinterpret_cast<const std::byte*>(image.data()), image.size());
    const std::string id(bytes, 'r');
    block.whole(Entry::Request, 0, id.data(), id.size());
    const std::vector<Item> items = items_of(block, block.finish(), 8);
    if (!CHECK_EQ(items.size(), 1u)) continue;
    CHECK(items[0].entry == (block.truncated() ? Entry::Truncated : Entry::Request));
    if (!block.truncated()) CHECK(items[0].payload == id);
  }
}

std::string stored_id(const std::string& id, std::size_t limit) {
  std::vector<std::byte> scratch(limit);
  TextBlock block(scratch.data(), scratch.size());
  block.id(Entry::Chain, 0, id);
  const std::vector<Item> items = items_of(block, block.finish(), 0);
  CHECK(!items.empty());
  CHECK_EQ(block.truncated(), items.size() > 1 || items[0].entry == Entry::Truncated);
  return items.empty() || items[0].entry != Entry::Chain ? std::string() : items[0].payload;
}

void ids_that_begin_alike_stay_two() {
  check::scene("an id without room keeps its beginning and ends in a hash of all of it");
  for (std::size_t bytes = 1; bytes < 400; ++bytes) {
    const std::string one(bytes, 'c');
    const std::string other = std::string(bytes - 1, 'c') + 'd';
    const std::string kept = stored_id(one, 256);
    CHECK(kept == stored_id(one, 256));
    CHECK(kept != stored_id(other, 256));
    CHECK(kept == one || kept.size() == 64 + 33);
  }
}

void many_cuts_still_fit() {
  check::scene("a full block takes any number of further texts without growing");
  std::vector<std::byte> scratch(64);
  TextBlock block(scratch.data(), scratch.size());
  for (int n = 0; n < 100; ++n) {
    block.text(Entry::FieldText, static_cast<std::uint8_t>(n), std::string(50, 'x'));
    block.whole(Entry::Attribute, 0, scratch.data(), 60);
  }
  CHECK(block.finish() <= 64);
  CHECK(block.truncated());
}

}  // namespace

int main() {
  text_is_cut_between_code_points();
  a_block_never_exceeds_its_limit();
  what_makes_sense_only_whole_is_whole_or_left_out();
  ids_that_begin_alike_stay_two();
  many_cuts_still_fit();
  return check::finish("text_block_test");
}
