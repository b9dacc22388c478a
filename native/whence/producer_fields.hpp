// What a field of a C++ producer may be, checked while the producer is compiled.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <type_traits>

#include "blank.hpp"
#include "layout.hpp"

namespace whence {

enum class Severity : std::uint8_t { Debug = 0, Info = 1, Warning = 2, Error = 3, Critical = 4 };

// A criterion by which an option was judged.
struct Score {
  std::string_view criterion;
  double value = 0;
};

// A list written in place, `{{"slack_ms", 8.4}}`, or one that the caller keeps.
template <class T>
class ListOf {
 public:
  ListOf() = default;
  ListOf(std::initializer_list<T> items) : count_(items.size()) {
    first_ = items.begin();  // the list lives until the end of the call it is written in
  }
  ListOf(const T* first, std::size_t count) : first_(first), count_(count) {}
  const T* begin() const { return first_; }
  const T* end() const { return first_ + count_; }
  std::size_t size() const { return count_; }

 private:
  const T* first_ = nullptr;
  std::size_t count_ = 0;
};

// What a decision chose among.
struct Option {
  std::string_view name;
  ListOf<Score> scores = {};
  bool chosen = false;
  std::string_view reason = {};
};
using Options = ListOf<Option>;

namespace detail {

// A string literal as a template argument.
template <std::size_t N>
struct Literal {
  char text[N]{};
  consteval Literal(const char (&from)[N]) { std::copy_n(from, N, text); }
  constexpr std::string_view view() const { return {text, N - 1}; }
};

template <class T>
struct Plain {
  using type = T;
  static constexpr bool optional = false;
};
template <class T>
struct Plain<std::optional<T>> {
  using type = T;
  static constexpr bool optional = true;
};

// FieldType::None for what has no place in the field image.
template <class T>
consteval FieldType stored_as() {
  if constexpr (std::is_same_v<T, bool>) return FieldType::Bool;
  else if constexpr (std::is_same_v<T, float>) return FieldType::F32;
  else if constexpr (std::is_same_v<T, double>) return FieldType::F64;
  else if constexpr (std::is_same_v<T, std::string_view>) return FieldType::Name;
  else if constexpr (std::is_same_v<T, std::uint8_t>) return FieldType::U8;
  else if constexpr (std::is_same_v<T, std::uint32_t>) return FieldType::U32;
  else if constexpr (std::is_same_v<T, std::uint64_t>) return FieldType::U64;
  else if constexpr (std::is_same_v<T, std::int64_t>) return FieldType::I64;
  else return FieldType::None;
}

// Names with a column of their own, as in Python.
template <class T>
consteval FieldRole role_of(std::string_view name) {
  if (name == "model" || name == "model_id") return FieldRole::Model;
  if (name == "request_id") return FieldRole::Request;
  if (name == "rationale") return FieldRole::Rationale;
  if (name == "severity") return FieldRole::Severity;
  if (name == "duration_ns") return FieldRole::Duration;
  if (name == "options") return FieldRole::Options;
  if (name == "caused_by") return FieldRole::CausedBy;
  if (name == "lineage_id") return FieldRole::Lineage;
  if (name == "strength" && std::is_arithmetic_v<T>) return FieldRole::Strength;
  return FieldRole::Plain;
}

template <class T>
consteval bool fits_role(FieldRole role) {
  switch (role) {
    case FieldRole::Severity: return std::is_same_v<T, Severity>;
    case FieldRole::Options: return std::is_same_v<T, Options>;
    case FieldRole::Duration: return std::is_same_v<T, std::int64_t>;
    case FieldRole::Lineage: return std::is_same_v<T, std::uint64_t>;
    case FieldRole::Strength:
    case FieldRole::Plain: return stored_as<T>() != FieldType::None;
    default: return std::is_same_v<T, std::string_view>;
  }
}

}  // namespace detail

// One field of an emitter: its name, and the type of the argument that gives it. Types are bool,
// std::uint8_t, uint32_t, uint64_t, int64_t, float, double, std::string_view, and std::optional of
// one of them for what may be absent. The well-known names of docs/python.md have the types
// written there; `severity` is a Severity and `options` is an Options.
template <detail::Literal Name, class T>
struct Arg {
  using type = T;
  using plain = typename detail::Plain<T>::type;
  static constexpr std::string_view name = Name.view();
  static constexpr bool optional = detail::Plain<T>::optional;
  static constexpr FieldRole role = detail::role_of<plain>(name);
  static constexpr bool elsewhere = role == FieldRole::Request || role == FieldRole::Severity ||
                                    role == FieldRole::Options || role == FieldRole::CausedBy;
  static constexpr FieldType stored = elsewhere ? FieldType::None : detail::stored_as<plain>();
  static_assert(!name.empty() && name.size() <= kMaxFieldNameBytes, "a field has a name");
  static_assert(detail::fits_role<plain>(role), "this type cannot be recorded under this name");
  static_assert(!(optional && elsewhere), "a well-known field of this name cannot be absent");
};

namespace detail {

template <class... Args>
consteval bool names_differ() {
  const std::array<std::string_view, sizeof...(Args)> names{Args::name...};
  for (std::size_t i = 0; i < names.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (names[i] == names[j]) return false;
  return true;
}

// Reached only while compiling, to stop it: the function's name is the message.
inline void the_rationale_has_an_unbalanced_brace() {}
inline void the_rationale_names_a_field_that_there_is_not() {}
inline void the_rationale_has_an_unknown_format_or_one_for_numbers() {}
inline void the_rationale_of_a_decision_is_never_empty() {}
inline void a_name_is_never_empty() {}

consteval void check_format(FieldType type, std::string_view format) {
  const bool decimals = format.size() == 3 && format[0] == '.' && format[1] >= '0' &&
                        format[1] <= '9' && format[2] == 'f';
  const bool number = type != FieldType::Name && type != FieldType::Bool && type != FieldType::None;
  if (!(decimals || format == "ns" || format == "bytes" || format == "%") || !number)
    the_rationale_has_an_unknown_format_or_one_for_numbers();
}

template <class... Args>
consteval void check_placeholder(std::string_view inner) {
  const std::size_t colon = inner.find(':');
  [[maybe_unused]] const std::string_view name = inner.substr(0, colon);
  const bool known = ((Args::name == name && Args::stored != FieldType::None) || ...);
  if (!known) the_rationale_names_a_field_that_there_is_not();
  if (colon == std::string_view::npos || colon + 1 == inner.size()) return;
  [[maybe_unused]] const std::string_view format = inner.substr(colon + 1);
  (void)((Args::name == name && (check_format(Args::stored, format), true)) || ...);
}

// The rules of rationale.hpp, kept while compiling.
template <class... Args>
consteval void check_template(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' && text[i] != '}') continue;
    if (i + 1 < text.size() && text[i + 1] == text[i]) {
      ++i;
      continue;
    }
    const std::size_t end = text[i] == '{' ? text.find('}', i) : std::string_view::npos;
    if (end == std::string_view::npos) {
      the_rationale_has_an_unbalanced_brace();
      return;
    }
    check_placeholder<Args...>(text.substr(i + 1, end - i - 1));
    i = end;
  }
}

}  // namespace detail

// A literal that is not empty: an event type or a component.
struct DeclaredName {
  template <std::size_t N>
  consteval DeclaredName(const char (&literal)[N]) : text(literal, N - 1) {
    if (is_blank_literal(text)) detail::a_name_is_never_empty();
  }
  std::string_view text;

 private:
  static consteval bool is_blank_literal(std::string_view name) {
    return name.find_first_not_of(" \t\r\n") == std::string_view::npos;
  }
};

// A rationale template of these fields; "" is none.
template <class... Args>
struct RationaleOf {
  RationaleOf() = default;
  template <std::size_t N>
  consteval RationaleOf(const char (&literal)[N]) : text(literal, N - 1) {
    detail::check_template<Args...>(text);
  }
  std::string_view text;
};

// The same for a decision, which always has one.
template <class... Args>
struct DecisionRationaleOf : RationaleOf<Args...> {
  template <std::size_t N>
  consteval DecisionRationaleOf(const char (&literal)[N]) : RationaleOf<Args...>(literal) {
    if (std::string_view(literal, N - 1).find_first_not_of(" \t\r\n") == std::string_view::npos)
      detail::the_rationale_of_a_decision_is_never_empty();
  }
};

}  // namespace whence
