// Records what is easily got wrong; tests/system/test_cpp_producer.py reads it back.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "whence/producer.hpp"

using namespace whence;
using Text = std::string_view;

namespace {

const Emitter<Arg<"truth", bool>, Arg<"small", std::uint8_t>, Arg<"middle", std::uint32_t>,
              Arg<"natural", std::uint64_t>, Arg<"whole", std::int64_t>, Arg<"single", float>,
              Arg<"real", double>, Arg<"text", Text>>
    every_type("every_type", "Edge");
const Emitter<Arg<"n", std::optional<std::int64_t>>, Arg<"word", std::optional<Text>>> maybe(
    "maybe", "Edge");
const Decision<Arg<"why", Text>> spoken("spoken", "Edge", "{why}");
const Decision<Arg<"options", Options>> chosen("chosen", "Edge", "Chose what was best");
const Emitter<Arg<"request_id", Text>, Arg<"caused_by", Text>, Arg<"lineage_id", std::uint64_t>,
              Arg<"rationale", Text>>
    told("told", "Edge");
const Emitter<> bare("bare", "Edge", "Nothing to add", Severity::Error);

// Waits to be told that the gates were changed, then records for a thousand requests and for none.
int record_sampled() {
  bare();
  std::printf("ready\n");
  std::fflush(stdout);
  (void)std::getchar();
  for (int i = 0; i < 1000; ++i) {
    {
      const RequestScope scope("req-" + std::to_string(i));
      bare();
    }
    told("own-" + std::to_string(i), "", 0, "");
    every_type(true, 0, 0, 0, i, 0, 0, "");
    spoken("always");
  }
  return 0;
}

}  // namespace

int main(int count, char**) {
  if (count > 1) return record_sampled();
  every_type(true, 255, 0xffffffff, std::numeric_limits<std::uint64_t>::max(),
             std::numeric_limits<std::int64_t>::min(), 1.5f, 1e300, "héllo \x1b[31m");
  maybe(std::nullopt, std::nullopt);
  maybe(-7, "there");
  {
    const RequestScope outer("11111111-2222-4333-8444-555555555555");
    bare();
    {
      const RequestScope inner("a request whose id is longer than sixteen bytes", "chain-9", 77);
      bare();
      std::thread([] { bare(); }).join();  // no scope of its own: no request
    }
    bare();
    told("told-1", "an-event", 9, "because");
  }
  const bool refused = !spoken(" \t");
  spoken("it said so");
  const std::string huge(5'000, 'x');
  std::vector<Score> scores(300, Score{"s", 1.0});
  chosen({{"first", {{"cost", 2.5}, {"gain", -1}}, true, "cheap"},
          {"second"},
          {huge, {}, false, ""}});
  const std::vector<Option> kept{{"kept", {scores.data(), scores.size()}, true, ""}};
  chosen({kept.data(), kept.size()});
  bare.disable();
  const bool off = !bare && !bare();
  bare.enable();
  maybe(1, std::string(100'000, 'y'));
  const bool late = !start({.service = "too late"});
  if (fork() == 0) {
    bare();
    _exit(0);
  }
  wait(nullptr);
  std::printf("%d %d %d\n", refused, off, late);
}
