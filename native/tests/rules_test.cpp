// Gates and rules: every word is a gate, values keep whole requests, rules are seen whole.

#include <atomic>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "whence/gate.hpp"
#include "whence/request.hpp"
#include "whence/rules.hpp"

using namespace whence;

namespace {

void any_word_is_a_gate() {  // R1.34
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const Gate gate{random()};
    CHECK(gate.threshold() < kSampleSteps);
    CHECK(gate.rate() > 0 && gate.rate() <= 1);
    CHECK(weight_of(gate.threshold()) >= 1 && weight_of(gate.threshold()) <= double(kSampleSteps));
    CHECK(std::isnan(gate.minimum()) ? !gate.is_below_minimum(0) : true);
    CHECK(!gate.is_below_minimum(std::numeric_limits<float>::quiet_NaN()));
  }
}

void a_rate_becomes_a_threshold() {  // R1.35
  CHECK(Gate::sampling(1.0).word == kGateOn);
  CHECK(Gate::sampling(0.5).threshold() == kSampleSteps / 2);
  CHECK(Gate::sampling(1e-300).threshold() == kSampleSteps - 1);
  CHECK(weight_of(Gate::sampling(0.25).threshold()) == 4.0);
  CHECK(Gate::sampling(0.5).with_minimum(0.0f).is_below_minimum(-1e-30f));
  CHECK(!Gate::sampling(0.5).with_minimum(0.0f).is_below_minimum(0.0f));
  CHECK(!Gate::sampling(0.5).is_below_minimum(-1e30f));
  CHECK(Gate::sampling(0.5).with_minimum(1.0f).of_decision().plain());
}

void values_are_spread_evenly() {  // R1.33
  std::uint64_t counter = 0;
  std::vector<int> buckets(16);
  constexpr int kDraws = 160'000;
  for (int i = 0; i < kDraws; ++i) ++buckets[next_sample_value(counter, 42) >> 26];
  for (const int count : buckets) CHECK(std::abs(count - kDraws / 16) < 6 * 100);
  for (int& count : buckets) count = 0;
  for (int i = 0; i < kDraws; ++i)
    ++buckets[sample_value_of_key(encode_request("req-" + std::to_string(i), 0).key) >> 26];
  for (const int count : buckets) CHECK(std::abs(count - kDraws / 16) < 6 * 100);
  std::uint64_t again = 0;
  std::uint64_t other = 0;
  CHECK(next_sample_value(again, 42) != next_sample_value(other, 43));
}

void rules_are_seen_whole_while_threads_add_them() {  // R1.52 R1.27
  alignas(8) static std::byte page[Rules::kBytes] = {};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t)
    threads.emplace_back([t] {
      Rules rules(page);
      for (int round = 0; round < 200; ++round)
        for (std::uint64_t n = 0; n < 30; ++n)
          CHECK(rules.set("rule-" + std::to_string((n + t * 7) % 30), Gate{((n + t * 7) % 30) << 2 | kGateOn}));
    });
  std::thread reader([&] {
    const Rules rules(page);
    while (!done.load())
      for (std::uint64_t n = 0; n < 31; ++n)
        if (const auto found = rules.find("rule-" + std::to_string(n)))
          CHECK(found->word == (n << 2 | kGateOn));
  });
  for (std::thread& thread : threads) thread.join();
  done.store(true);
  reader.join();
  const Rules rules(page);
  for (std::uint64_t n = 0; n < 30; ++n) CHECK(rules.has("rule-" + std::to_string(n)));
  CHECK(!rules.find("rule-30"));
}

void a_hostile_page_holds_no_rule() {  // R1.52
  alignas(8) static std::byte page[Rules::kBytes];
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    for (std::byte& byte : page) byte = static_cast<std::byte>(random());
    Rules rules(page);
    CHECK(!rules.find("any"));
    CHECK(!rules.set("any", Gate{1}));  // no entry is free
    std::memset(page + 5 * kRuleBytes, 0, kRuleBytes);
    CHECK(rules.set("any", Gate{1}));
    CHECK(rules.find("any")->word == 1);
  }
  CHECK(!Rules(page).set(std::string(kRuleNameBytes + 1, 'x'), Gate{1}));
  CHECK(!Rules(page).set("", Gate{1}));
}

}  // namespace

int main() {
  any_word_is_a_gate();
  a_rate_becomes_a_threshold();
  values_are_spread_evenly();
  rules_are_seen_whole_while_threads_add_them();
  a_hostile_page_holds_no_rule();
  return check::finish("rules_test");
}
