// A small scheduler that records why it decides what, from several threads and without Python.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "whence/producer.hpp"

using whence::Arg;
using Text = std::string_view;

namespace {

// Declared once. A field that the sentence names and the list does not stops the compiler.
const whence::Decision<Arg<"model", Text>, Arg<"slack_ns", std::int64_t>,
                       Arg<"options", whence::Options>>
    scheduling_decision("scheduling_decision", "Scheduler",
                        "Selected {model}: {slack_ns:ns} to its deadline, the least");

const whence::Decision<Arg<"model", Text>, Arg<"admitted", bool>, Arg<"load", double>>
    intake_decision("intake_decision", "Intake", "{model} at U={load:.3f} of 1.000");

const whence::Emitter<Arg<"model", Text>, Arg<"duration_ns", std::int64_t>,
                      Arg<"deadline_met", bool>, Arg<"severity", whence::Severity>>
    execution_completed("execution_completed", "Worker");

const whence::Emitter<Arg<"prompt", Text>, Arg<"tokens", std::optional<std::uint32_t>>>
    prompt_received("prompt_received", "Gateway");

const whence::Emitter<Arg<"queue", std::int64_t>, Arg<"depth", std::int64_t>, Arg<"load", double>>
    queue_sampled("queue_sampled", "Scheduler");

void serve(int worker, int requests) {
  for (int i = 0; i < requests; ++i) {
    const std::string id = "req-" + std::to_string(worker) + "-" + std::to_string(i);
    const bool late = i % 7 == 6;
    const whence::RequestScope request(id);
    prompt_received("Summarise page " + std::to_string(i) + " for worker " + std::to_string(worker),
                    i % 2 == 0 ? std::optional<std::uint32_t>(i) : std::nullopt);
    intake_decision("ocr_rec", true, 0.742);
    scheduling_decision("ocr_rec", 8'400'000,
                        {{"ocr_rec", {{"slack_ms", 8.4}}, true},
                         {"magika", {{"slack_ms", 68.4}}, false, "later deadline"}});
    execution_completed("ocr_rec", 15'000'000, !late,
                        late ? whence::Severity::Warning : whence::Severity::Info);
  }
}

double nanoseconds_per_event(std::int64_t events) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  for (std::int64_t i = 0; i < events; ++i) queue_sampled(i, i & 15, 0.5);
  const std::chrono::duration<double, std::nano> passed = Clock::now() - begin;
  return passed.count() / static_cast<double>(events);
}

}  // namespace

// usage: scheduler [THREADS [REQUESTS [TIMED_EVENTS]]]
int main(int count, char** words) {
  const auto argument = [&](int at, int fallback) {
    return at < count ? std::atoi(words[at]) : fallback;
  };
  const int threads = argument(1, 3);
  const int requests = argument(2, 20);
  const int timed = argument(3, 200'000);
  whence::start({.service = "cpp-scheduler"});

  if (timed > 0) {
    nanoseconds_per_event(1'000);  // the first event of a thread makes its ring
    std::printf("%.1f ns per event of three numbers\n", nanoseconds_per_event(timed));
    queue_sampled.disable();
    std::printf("%.1f ns while its kind is off\n", nanoseconds_per_event(timed));
    queue_sampled.enable();
  }

  std::vector<std::thread> workers;
  for (int worker = 0; worker < threads; ++worker) workers.emplace_back(serve, worker, requests);
  for (std::thread& worker : workers) worker.join();
  std::printf("%d threads recorded %d requests each\n", threads, requests);
}
