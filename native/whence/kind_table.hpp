// The kinds of this process and their gates, before there is a session and in it. All slow path.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gate.hpp"
#include "kind.hpp"
#include "no_memory.hpp"
#include "region.hpp"
#include "rules.hpp"
#include "session.hpp"
#include "text_block.hpp"

namespace whence {

// Lookups are for any thread. Whatever changes something is called by one thread at a time, and
// `session` is then the present one, or null.
class KindTable {
 public:
  std::uint32_t count() const { return count_.load(std::memory_order_acquire); }
  // Ids go from 1 to count().
  Kind* at(std::uint32_t id) const { return kinds_[id].load(std::memory_order_acquire); }

  // Null: the table is full. `follower` is kept pointing at the kind's gate.
  Kind* declare(KindSchema schema, std::atomic<GateWord*>* follower, Session* session) {
    const std::uint32_t id = count_.load(std::memory_order_relaxed) + 1;
    if (id >= kMaxKinds) return nullptr;
    auto* kind = new Kind;
    cut_texts(schema);
    schema.place_fields();
    schema.exempt = schema.decision || schema.is_outcome();
    kind->id = static_cast<std::uint16_t>(id);
    kind->follower = follower;
    kind->point_gate_at(&kind->own_gate);
    Gate gate = Gate::make(schema.on, schema.exempt);
    if (session == nullptr && early_rules_ != nullptr) gate = ruled(Rules(early_rules_), schema, gate);
    kind->own_gate.store(gate.word, std::memory_order_relaxed);
    kind->schema = std::move(schema);
    kinds_[id].store(kind, std::memory_order_release);
    count_.store(id, std::memory_order_release);
    if (session == nullptr) return kind;
    publish(*kind, *session);
    // Whoever adds a rule now sees the kind in the dictionary, or we see the rule.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const Gate present = gate_of(*kind);
    const Gate wanted = ruled(session->rules(), kind->schema, present);
    if (wanted.word != present.word) change(*kind, wanted, session);
    return kind;
  }

  void publish_all(Session& session) {
    if (early_rules_ != nullptr) std::memcpy(session.rules_bytes(), early_rules_, Rules::kBytes);
    session.keep_rules();
    for (std::uint32_t id = 1; id <= count(); ++id) publish(*at(id), session);
  }

  static Gate gate_of(const Kind& kind) {
    return Gate{kind.gate.load(std::memory_order_acquire)->load(std::memory_order_relaxed)};
  }

  void change(Kind& kind, Gate wanted, Session* session) {
    GateWord& gate = *kind.gate.load(std::memory_order_acquire);
    const std::uint64_t before = gate.exchange(wanted.word, std::memory_order_relaxed);
    if (before != wanted.word && session != nullptr) session->log_gate(kind.id, before, wanted.word);
  }

  // For all kinds of that name, now and later; "*": those without a rule of their own. False: there
  // is no room for another rule, or the name is none.
  bool set_rule(std::string_view name, Gate gate, Session* session) {
    if (session == nullptr && !own_early_rules()) return false;
    Rules rules = session != nullptr ? session->rules() : Rules(early_rules_);
    if (!rules.set(name, gate)) return false;
    if (session != nullptr) session->keep_rules();
    for (std::uint32_t id = 1; id <= count(); ++id) {
      Kind& kind = *at(id);
      const bool meant = name == Rules::kAny ? !rules.has(kind.schema.name) : kind.schema.name == name;
      if (meant) change(kind, ruled(rules, kind.schema, gate_of(kind)), session);
    }
    return true;
  }

  // In a forked child: gates and rules go on as they were in the parent's session, if it had one.
  void leave(const Session* session) {
    for (std::uint32_t id = 1; id <= count(); ++id) {
      Kind* kind = at(id);
      if (kind == nullptr) continue;
      kind->own_gate.store(gate_of(*kind).word, std::memory_order_relaxed);
      kind->point_gate_at(&kind->own_gate);
    }
    if (session == nullptr) return;
    early_rules_ = session->rules_bytes();  // stays mapped; read, never written from here on
    early_rules_owned_ = false;
  }

 private:
  // Readers refuse a kind whose texts are longer.
  static void cut_texts(KindSchema& schema) {
    for (std::string* name : {&schema.name, &schema.component})
      name->resize(cut_at_code_point(*name, kMaxKindNameBytes));
    for (std::string* text : {&schema.rationale, &schema.otel_name, &schema.source})
      text->resize(cut_at_code_point(*text, kMaxKindTextBytes));
    for (Field& field : schema.fields)
      field.name.resize(cut_at_code_point(field.name, kMaxFieldNameBytes));
  }

  void publish(Kind& kind, Session& session) {
    GateWord* gate = session.gate(kind.id);
    const std::uint64_t word = kind.own_gate.load(std::memory_order_relaxed);
    session.keep_gate(kind.id, word);
    gate->store(word, std::memory_order_release);  // before others can find the kind and change it
    bool added = false;
    WHENCE_TRY {
      KindSchema shown = kind.schema;
      shown.on = word & kGateOn;
      added = session.names().add_kind(kind.id, encode_kind(shown));
    } WHENCE_NO_MEMORY {  // the kind is declared all the same
    }
    if (!added)
      session.count_missing(kUnnamedKindsOffset);
    kind.point_gate_at(gate);
    const std::uint64_t usual = Gate::make(true, kind.schema.exempt).word;
    if (word != usual) session.log_gate(kind.id, usual, word);
  }

  // The gate that the rules give to a kind, else the one it has.
  static Gate ruled(const Rules& rules, const KindSchema& schema, Gate present) {
    const std::optional<Gate> rule = rules.find(schema.name);
    if (!rule) return present;
    return schema.exempt ? rule->of_decision() : Gate{rule->word & ~kGateExempt};
  }

  // Makes the early rules writable: in a child they lie in the parent's control page.
  bool own_early_rules() {
    if (early_rules_owned_) return true;
    const Region region = anonymous_region(Rules::kBytes);
    if (!region) return false;
    if (early_rules_ != nullptr) std::memcpy(region.base, early_rules_, Rules::kBytes);
    early_rules_ = region.base;
    return early_rules_owned_ = true;
  }

  std::array<std::atomic<Kind*>, kMaxKinds> kinds_{};
  std::atomic<std::uint32_t> count_{0};
  std::byte* early_rules_ = nullptr;  // those given before there is a session
  bool early_rules_owned_ = false;
};

}  // namespace whence
