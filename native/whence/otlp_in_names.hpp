// What the table of conventions says of names on their way in, turned round.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "otlp_table.hpp"

namespace whence::otlp {

class InNames {
 public:
  // `models` are the attributes that name a model, the one that says most first. Both must outlive this.
  InNames(const Table& table, const std::vector<std::string>& models) : table_(table) {
    for (std::size_t i = 0; i < kColumns; ++i) columns_.emplace(table.columns[i], static_cast<Column>(i));
    for (const auto& [kind, names] : table.kinds)
      for (const auto& [field, name] : names) kinds_[kind].emplace(name, field);
    for (std::size_t i = 0; i < models.size(); ++i) {
      models_.emplace(models[i], i);
      if (!models[i].empty()) model_begins_[static_cast<unsigned char>(models[i][0])] = true;
    }
  }

  const Table& table() const { return table_; }

  // The column that an attribute of ours stands for; kColumns: none.
  Column column_of(std::string_view name) const {
    const auto found = columns_.find(name);
    return found == columns_.end() ? kColumns : found->second;
  }

  // What an event of ours calls the attribute, which it knew under its kind's own name.
  std::string_view field_of(std::string_view event_type, std::string_view name) const {
    if (kinds_.empty() || !name.starts_with("whence.")) return name;
    const auto kind = kinds_.find(event_type);
    if (kind == kinds_.end()) return name;
    const auto found = kind->second.find(name);
    return found == kind->second.end() ? name : found->second;
  }

  // How well an attribute names the model, 0 best; kNoModel: not at all.
  static constexpr std::size_t kNoModel = ~std::size_t{0};
  std::size_t model_rank(std::string_view name) const {
    if (name.empty() || !model_begins_[static_cast<unsigned char>(name[0])]) return kNoModel;
    const auto found = models_.find(name);
    return found == models_.end() ? kNoModel : found->second;
  }

 private:
  const Table& table_;
  std::unordered_map<std::string_view, Column> columns_;
  std::unordered_map<std::string_view, std::unordered_map<std::string_view, std::string_view>> kinds_;
  std::unordered_map<std::string_view, std::size_t> models_;
  bool model_begins_[256] = {};
};

}  // namespace whence::otlp
