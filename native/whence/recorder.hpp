// The process's recorder: kinds, the session, and who writes which ring. All of it is slow path.
//
// A thread's state lives in a page that is zero in a forked child, so that the child finds "no
// ring yet" and comes here, even after a raw clone(): it then gets a session of its own.
#pragma once

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "clock.hpp"
#include "kept_rings.hpp"
#include "kind_table.hpp"
#include "own_memory.hpp"
#include "session.hpp"
#include "writer_state.hpp"

namespace whence {

constexpr std::uint64_t kDefaultSlots = 10'000;          // x 64 bytes = 640,000 bytes
constexpr std::uint64_t kDefaultTextBytes = 256 * 1024;  // ~26 bytes an event
constexpr std::uint64_t kSharedTextBytesPerSlot = 448;   // a TraceCollector's events are mostly text
constexpr std::uint64_t kMinSharedTextBytes = 64 * 1024;  // so that a small one keeps 16 KiB an event

struct RecorderSettings {
  std::string description = "{}";  // JSON: service, attributes
  std::uint64_t ring_slots = kDefaultSlots;
  std::uint64_t text_bytes = kDefaultTextBytes;
  std::uint64_t run = 0;           // 0: a new one
};

class Recorder {
 public:
  static Recorder& get() {
    static Recorder* recorder = new Recorder;  // never destroyed: threads may emit during exit
    return *recorder;
  }

  // Called without any lock held. `on_created` runs after a session appeared, `on_full` where that
  // folder had no room for one: it may make some.
  void (*on_created)() = nullptr;
  void (*on_full)(const char* folder) = nullptr;
  void (*on_trouble)(const char* message) = nullptr;

  // Null: the table of kinds is full. `follower` is kept pointing at the kind's gate.
  Kind* declare(KindSchema schema, std::atomic<GateWord*>* follower = nullptr) {
    Kind* kind = nullptr;
    Trouble trouble;
    {
      const Guard guard(*this);
      kind = kinds_.declare(std::move(schema), follower, session_);
      if (session_ != nullptr && session_->count_of(kUnnamedKindsOffset) == 1 && !std::exchange(unnamed_told_, true))
        trouble = "no room for more names of kinds; events of further kinds are called unknown-kind-N";
    }
    tell(trouble);
    return kind;
  }
  std::uint32_t kind_count() const { return kinds_.count(); }
  Kind* kind(std::uint32_t id) const { return kinds_.at(id); }

  // Of the fingerprints of long request ids. Forked children have it, too: what they inherit is
  // encoded already.
  std::uint64_t request_seed() const { return request_seed_; }

  void set_gate(Kind& kind, Gate gate) {
    const Guard guard(*this);
    kinds_.change(kind, kind.schema.exempt ? gate.of_decision() : gate, session_);
  }
  void set_on(Kind& kind, bool on) {
    const Guard guard(*this);
    const std::uint64_t word = KindTable::gate_of(kind).word;
    kinds_.change(kind, Gate{on ? word | kGateOn : word & ~kGateOn}, session_);
  }
  // See KindTable::set_rule().
  bool set_rule(std::string_view name, Gate gate) {
    const Guard guard(*this);
    return kinds_.set_rule(name, gate, session_);
  }

  // Effective for sessions made later. False: one exists already.
  bool configure(const RecorderSettings& settings) {
    const Guard guard(*this);
    if (session_ != nullptr) return false;
    settings_ = settings;
    settings_.ring_slots = std::max<std::uint64_t>(settings.ring_slots, 1);
    settings_.text_bytes = std::max(settings.text_bytes, kMinTextBytes) & ~7ull;
    return true;
  }
  RecorderSettings settings() {
    const Guard guard(*this);
    return settings_;
  }

  // The run that this process belongs to: known before its session exists.
  std::uint64_t run() {
    const Guard guard(*this);
    if (session_ != nullptr) return session_->identity().run;
    if (settings_.run == 0) settings_.run = random_u64() | 1;
    return settings_.run;
  }

  // The present session, or null. In a child before its first event: null.
  Session* session() {
    const Guard guard(*this);
    return session_;
  }
  Session* start() {
    begin_session();
    const Guard guard(*this);
    ensure_session();
    return session_;
  }

  // The calling thread's writer, made or given back to life. Null: no memory at all.
  WriterState* attach_thread() {
    Trouble trouble;
    WriterState* state = nullptr;
    begin_session();
    {
      const Guard guard(*this);
      ensure_session();
      state = take_thread_state(trouble);
      if (state == nullptr) count_unrecorded(trouble);
    }
    tell(trouble);
    return state;
  }

  // A ring for many threads that take turns (a TraceCollector's), set in `place` before anybody is
  // told of it: telling runs code that may record. In a child the state found there is used again.
  WriterState* attach_shared(WriterState*& place, std::uint64_t slots) {
    Trouble trouble;
    WriterState* state = nullptr;
    begin_session();
    {
      const Guard guard(*this);
      if (place != nullptr && place->writer.attached()) return place;
      ensure_session();
      shared_.reserve(shared_.size() + 1);  // throws here or not at all
      if (place == nullptr) place = new_state();
      const bool listed = place != nullptr && place->writer.base() != nullptr;
      const std::uint64_t text_bytes = std::max(slots * kSharedTextBytesPerSlot, kMinSharedTextBytes);
      if (place != nullptr && open_ring(*place, slots, text_bytes, true, trouble)) {
        state = place;
        if (!listed) shared_.push_back(state);
      } else {
        count_unrecorded(trouble);
      }
    }
    tell(trouble);
    return state;
  }

  // The collector is gone. Its ring stays readable until newer ones need the room.
  void retire_shared(WriterState* state) {
    const Guard guard(*this);
    if (state->writer.base() == nullptr) {  // never recorded, or a forked child's copy
      munmap(state, sizeof *state);
      return;
    }
    std::erase(shared_, state);
    state->writer.set_state(RingState::Idle);
    OwnMemory::get().forget(state->writer.base());
    const std::uint64_t events = state->writer.next_ticket();
    const std::size_t bytes =
        ring_file_bytes(state->writer.capacity(), state->writer.text_bytes());
    kept_.unmap(state->writer.base(), bytes);
    std::free(state->scratch);
    const std::uint32_t ring = state->ring;
    munmap(state, sizeof *state);
    kept_.keep_file(*session_, ring, bytes, events);
  }

  // All rings of this process's session, for in-process readers. Each one given must be given back
  // by unpin(): until then its memory stays, though its collector may go. `generation` tells a
  // forked child's readers from those it inherited, whose rings it does not have.
  std::vector<Region> pin_rings() {
    const Guard guard(*this);
    std::vector<Region> all;
    for (const auto* list : {&threads_, &shared_})
      for (const WriterState* state : *list) {
        const RingWriter& writer = state->writer;
        if (!writer.attached()) continue;  // its file was cut short; the next event makes another
        all.push_back({writer.base(), ring_file_bytes(writer.capacity(), writer.text_bytes()), -1});
      }
    kept_.pin(all.size());
    return all;
  }
  std::uint32_t generation() const { return generation_; }
  void unpin(std::uint32_t generation) {
    const Guard guard(*this);
    if (generation == generation_) kept_.unpin();
  }

  // What to say when files were cut short; empty: none was.
  static std::string loss_of(const Session& session) {
    if (OwnMemory::get().lost() == 0) return {};
    return "a file in " + session.path() +
           " was cut short by somebody; what was in it is lost, recording goes on";
  }
  // Says so once. About once a second a thread that records asks.
  void tell_of_loss() {
    if (OwnMemory::get().lost() > 0 && !loss_told_.exchange(true)) tell(loss_of(*session_));
  }

 private:
  using Trouble = std::string;  // what to tell the user once no lock is held; mostly empty

  Recorder() {
    static std::atomic<std::uint32_t> unwiped;  // without memory: pthread_atfork() alone must do
    alive_ = static_cast<std::atomic<std::uint32_t>*>(wiped_on_fork(4096));
    if (alive_ == nullptr) alive_ = &unwiped;
    alive_->store(1, std::memory_order_relaxed);
    CycleClock::counter_trusted = clock_source_ == ClockSource::CycleCounter;
    pthread_key_create(&thread_end_, [](void* state) {
      Recorder::get().release_thread(static_cast<WriterState*>(state));
    });
    pthread_atfork(nullptr, nullptr, [] { Recorder::get().reset_in_child(); });
    OwnMemory::get().writer_of_this_thread = [] { return t_writer != nullptr ? &t_writer->writer : nullptr; };
  }

  // Locks; in a forked child it first forgets the parent's session, its lock included.
  class Guard {
   public:
    explicit Guard(Recorder& recorder) : recorder_(recorder) {
      if (recorder.alive_->load(std::memory_order_acquire) == 0) recorder.reset_in_child();
      recorder_.mutex_.lock();
    }
    ~Guard() { recorder_.mutex_.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Recorder& recorder_;
  };

  // Runs in the child, whose only thread is the caller.
  void reset_in_child() {
    new (&mutex_) std::mutex;
    OwnMemory::get().forget_all();
    if (session_ != nullptr) session_->guard_control();
    kinds_.leave(session_);
    if (session_ != nullptr) {
      settings_.run = session_->identity().run;
      session_->abandon();
    }
    session_ = nullptr;
    next_ring_ = 0;
    // Already zero where the kernel wipes the pages; older kernels need it said.
    for (const auto* list : {&threads_, &shared_})
      for (WriterState* state : *list) std::memset(static_cast<void*>(state), 0, sizeof *state);
    new (&threads_) std::vector<WriterState*>;
    new (&shared_) std::vector<WriterState*>;
    new (&idle_) std::deque<WriterState*>;
    new (&kept_) KeptRings;
    lost_rings_ = 0;
    loss_told_ = false;
    unnamed_told_ = ring_trouble_told_ = memory_trouble_told_ = false;
    ++generation_;
    alive_->store(1, std::memory_order_release);
  }

  // Makes the session if there is none, before any ring: whoever hears of it may clear the folder.
  // Where that is full, it is cleared first and the session tried again. No lock is held.
  void begin_session() {
    Session* created = nullptr;
    {
      const Guard guard(*this);
      if (session_ != nullptr) return;
      created = ensure_session(on_full == nullptr);
    }
    if (created == nullptr) {
      on_full(base_folder().c_str());
      const Guard guard(*this);
      created = ensure_session();
    }
    if (created != nullptr) tell_created(*created);
  }

  // The session, if it was made here. A full folder's is made in memory only if `memory_will_do`.
  Session* ensure_session(bool memory_will_do = true) {
    if (session_ != nullptr) return nullptr;
    session_ = Session::create(settings_.run, request_seed_, settings_.description, clock_source_, memory_will_do);
    if (session_ != nullptr) kinds_.publish_all(*session_);
    return session_;
  }

  void tell_created(const Session& session) {
    if (!session.trouble().empty())
      tell("cannot record to " + session.trouble() +
           "; events stay in memory and end with this process");
    if (on_created != nullptr && session.on_disk()) on_created();
  }

  void count_unrecorded(Trouble& trouble) {
    session_->unrecorded.fetch_add(1, std::memory_order_relaxed);
    if (!memory_trouble_told_) trouble = "no memory for a ring; events are counted, not recorded";
    memory_trouble_told_ = true;
  }

  void tell(const Trouble& trouble) const {
    if (trouble.empty()) return;
    const std::string message = "whence: " + trouble;
    if (on_trouble != nullptr)
      on_trouble(message.c_str());
    else
      std::fprintf(stderr, "%s\n", message.c_str());
  }

  WriterState* take_thread_state(Trouble& trouble) {
    threads_.reserve(threads_.size() + 1);  // throws here or not at all
    WriterState* state = t_writer;
    if (state == nullptr && !idle_.empty()) {
      state = idle_.front();
      idle_.pop_front();
      state->writer.set_state(RingState::Recording);
    }
    if (state == nullptr) state = new_state();
    if (state == nullptr) return nullptr;
    if (!state->writer.attached()) {
      const bool listed = state->writer.base() != nullptr;
      if (!open_ring(*state, settings_.ring_slots, settings_.text_bytes, false, trouble)) {
        if (state != t_writer && !listed) munmap(state, sizeof *state);
        return nullptr;
      }
      if (!listed) threads_.push_back(state);
    }
    state->writer.set_owner(static_cast<std::uint32_t>(syscall(SYS_gettid)));
    t_writer = state;
    pthread_setspecific(thread_end_, state);
    return state;
  }

  // A finished thread's ring is continued by the next thread: files = peak of concurrent threads.
  void release_thread(WriterState* state) {
    const Guard guard(*this);
    t_writer = nullptr;
    if (state->writer.base() == nullptr) return;
    state->writer.set_state(RingState::Idle);
    WHENCE_TRY {
      idle_.push_back(state);
    } WHENCE_NO_MEMORY {  // its ring is read as before, and never continued
    }
  }

  static WriterState* new_state() {
    return static_cast<WriterState*>(wiped_on_fork(sizeof(WriterState)));
  }

  // Full size, else a small file, else plain memory; the first such reason is told.
  bool open_ring(WriterState& state, std::uint64_t slots, std::uint64_t text_bytes, bool shared,
                 Trouble& trouble) {
    const std::uint32_t ring = next_ring_++;
    Region region;
    if (state.writer.base() != nullptr) leave_lost_ring(state, trouble);
    if (session_->on_disk() && lost_rings_ < kMostLostRings) {
      const int folder = session_->folder();
      region = create_ring_file(folder, session_->identity(), ring, slots, text_bytes, shared);
      if (!region && !ring_trouble_told_) {
        ring_trouble_told_ = true;
        trouble = "no room for a whole ring in " + session_->path() + ": " + std::strerror(errno) +
                  "; rings made from now on are smaller, or in memory alone";
      }
      if (!region && !shared && slots > kSmallSlots) {
        slots = kSmallSlots;
        text_bytes = std::min(text_bytes, kSmallTextBytes);
        region = create_ring_file(folder, session_->identity(), ring, slots, text_bytes, shared);
      }
    }
    const bool on_disk = static_cast<bool>(region);
    if (!region) {
      region = anonymous_region(ring_file_bytes(slots, text_bytes));
      if (!region) return false;
      fill_ring(region.base, session_->identity(), ring, slots, text_bytes, shared);
      keep_from_children(region);
      session_->count_missing(kMemoryRingsOffset);
    }
    state.ring = ring;
    state.session = session_;
    state.writer.attach(region.base, slots, text_bytes);
    if (on_disk) OwnMemory::get().add(region, nullptr, &state.writer, shared);
    state.writer.set_state(RingState::Recording);
    if (shared) state.writer.set_owner(static_cast<std::uint32_t>(getpid()));
    return true;
  }

  // Its file was cut short: what was in it is gone, the next events go to another.
  void leave_lost_ring(WriterState& state, Trouble& trouble) {
    const RingWriter& writer = state.writer;
    const std::size_t bytes = ring_file_bytes(writer.capacity(), writer.text_bytes());
    OwnMemory::get().forget(writer.base());
    WHENCE_TRY {
      if (!loss_told_.exchange(true)) trouble = loss_of(*session_);
      kept_.unmap(writer.base(), bytes);
    } WHENCE_NO_MEMORY {
    }
    std::free(state.scratch);  // the next ring may take longer texts
    state.scratch = nullptr;
    ++lost_rings_;
  }

  static constexpr std::uint32_t kMostLostRings = 16;  // then memory alone: somebody means it
  static constexpr std::uint64_t kSmallSlots = 1'000;
  static constexpr std::uint64_t kSmallTextBytes = 32 * 1024;

  std::mutex mutex_;
  std::atomic<std::uint32_t>* alive_ = nullptr;  // 0 in a forked child until it was reset
  KindTable kinds_;
  RecorderSettings settings_;
  Session* session_ = nullptr;
  const ClockSource clock_source_ = detect_clock_source();
  const std::uint64_t request_seed_ = random_u64();
  std::uint32_t next_ring_ = 0;
  std::vector<WriterState*> threads_;  // every thread ring, idle ones too
  std::vector<WriterState*> shared_;
  std::deque<WriterState*> idle_;
  KeptRings kept_;
  std::uint32_t lost_rings_ = 0;
  std::atomic<bool> loss_told_{false};
  bool unnamed_told_ = false;
  bool ring_trouble_told_ = false;
  bool memory_trouble_told_ = false;
  std::uint32_t generation_ = 1;  // 1 + forks behind this process
  pthread_key_t thread_end_{};
};

inline WriterState* thread_writer() {
  WriterState* state = t_writer;
  if (state != nullptr && state->writer.attached()) [[likely]] return state;
  return Recorder::get().attach_thread();
}

// The time of an event; ~1/s it also looks whether the wall clock was set.
[[gnu::always_inline]] inline std::uint64_t event_time_ns(WriterState& state) {
  return t_clock.now_ns([&state](std::uint64_t now) {
    if (now < state.next_anchor_ns) return;
    state.next_anchor_ns = now + 1'000'000'000;
    state.session->anchor_wall_clock();
    Recorder::get().tell_of_loss();
  });
}

}  // namespace whence
