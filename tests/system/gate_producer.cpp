// Records under gates that sample and that leave out what is weak; test_cpp_producer.py reads it.
#include <cstdint>
#include <string>

#include "whence/producer.hpp"

using namespace whence;

namespace {

const Emitter<Arg<"n", std::int64_t>> sampled("sampled", "Gates");
const Emitter<Arg<"n", std::int64_t>> loose("loose", "Gates");
const Emitter<Arg<"strength", float>> felt("felt", "Gates");
const Decision<Arg<"n", std::int64_t>> decided("decided", "Gates", "Took {n}");

}  // namespace

int main() {
  sampled.sample(0.5);
  loose.sample(0.25);
  decided.sample(0.5);
  decided.sample(2.0);
  Recorder::get().set_rule("felt", Gate{kGateOn}.with_minimum(0.5f));
  for (int n = 0; n < 200; ++n) {
    const RequestScope request("req-" + std::to_string(n));
    sampled(n);
    decided(n);
  }
  for (int n = 0; n < 4000; ++n) loose(n);
  for (const float strength : {0.25f, 0.5f, 0.75f}) felt(strength);
}
