# whence: every chore has one name; `make` alone prints them.

PYTHON  ?= python3
CXX     ?= g++
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
# how long one stress program runs in native, tsan and asan; `make stress` takes it times 12
STRESS_SECONDS ?= 5
# how long `make fuzz` tries each decoder
FUZZ_SECONDS ?= 20
# empty: `make stress` leaves out the longer runs of tests/system
WHENCE_STRESS ?= 1
# extra words for pytest, e.g. make test PYTEST="-k chain -x"
PYTEST  ?=
# extra words for the benchmarks, e.g. make bench BENCH="--only T1"
BENCH   ?=
# interpreters for `make pythons`
PYTHONS ?=

VENV    := .venv
py      := $(VENV)/bin/python
ready   := $(VENV)/.whence-installed
built   := $(VENV)/.whence-built
peers   := $(VENV)/.whence-peers

native_sources := $(wildcard native/python/*.[ch]pp native/whence/*.hpp native/vendor/*/*.h)
programs       := $(wildcard native/tests/*.cpp)
cxxflags       := -std=c++20 -Wall -Wextra -Werror -Inative -isystem native/vendor -pthread -MMD -MP
flags_plain    := -O2
flags_tsan     := -O1 -g -fsanitize=thread -DWHENCE_TSAN=1
flags_asan     := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

export WHENCE_WERROR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup check test native tsan asan tidy fuzz stress bench bench-serve bench-store demo docs package pythons clean

help: ## print this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- setting up ---------------------------------------------------------------------------------

setup: $(built) ## make .venv with all libraries and build the native module

$(py):
	@CXX="$(CXX)" tools/prerequisites.sh "$(PYTHON)"
	"$(PYTHON)" -m venv $(VENV)

$(ready): pyproject.toml setup.py | $(py)
	@CXX="$(CXX)" tools/prerequisites.sh "$(py)"
	$(py) -m pip install -q --upgrade pip "setuptools>=77"
	$(py) -m pip install -q --no-build-isolation --editable ".[all,dev]"
	@touch $@

$(built): $(ready) $(native_sources)
	$(py) setup.py -q build_ext --inplace
	@touch $@

# --- checking -----------------------------------------------------------------------------------

check: $(built) ## style, types, floors, house rules, generated pages
	$(py) -m ruff check .
	$(py) -m ruff format --check .
	$(py) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	$(py) tools/features.py --check
	$(py) tools/cli_docs.py --check
	$(py) tools/http_docs.py --check
	$(py) -m pytest -q tests/test_house.py tests/test_docs.py tests/test_features.py

test: $(built) ## all Python tests (make test PYTEST="-k chain")
	$(py) -m pytest -q $(PYTEST)

# One rule per build: build/native/<variant>/<program> from native/tests/<program>.cpp.
define variant
programs_$(1) := $(patsubst native/tests/%.cpp,build/native/$(1)/%,$(programs))
build/native/$(1)/%: native/tests/%.cpp
	@mkdir -p $$(@D)
	$$(CXX) $$(cxxflags) $$(flags_$(1)) $$< -o $$@
-include $(patsubst native/tests/%.cpp,build/native/$(1)/%.d,$(programs))
endef
$(foreach v,plain tsan asan,$(eval $(call variant,$(v))))

build_and_run = +@$(MAKE) --no-print-directory -j$(JOBS) $(programs_$(1)) && tools/run_native.sh $(2) $(programs_$(1))

native: ## build and run the C++ tests
	$(call build_and_run,plain,$(STRESS_SECONDS))

tsan: ## the C++ tests under ThreadSanitizer
	$(call build_and_run,tsan,$(STRESS_SECONDS))

asan: ## the C++ tests under AddressSanitizer and UBSan
	$(call build_and_run,asan,$(STRESS_SECONDS))

tidy: ## clang-tidy over native/ (14 or newer)
	@tools/tidy.sh $(JOBS) "$(or $(wildcard $(py)),$(PYTHON))"

fuzzed := $(addprefix build/native/asan/,ring_hostile_test names_test otlp_in_test)

fuzz: $(built) ## damaged and made-up inputs for every decoder, FUZZ_SECONDS each, counted
	+@$(MAKE) --no-print-directory -j$(JOBS) $(fuzzed)
	set -e; for program in $(fuzzed); do $$program $(FUZZ_SECONDS); done
	$(py) tools/fuzz.py $(FUZZ_SECONDS)

# --- longer runs --------------------------------------------------------------------------------

stress: $(built) ## C++ stress under TSan, Python stress, a minute or more each
	+@$(MAKE) --no-print-directory -j$(JOBS) $(filter %_stress,$(programs_tsan) $(programs_plain))
	tools/run_native.sh $$((12 * $(STRESS_SECONDS))) $(filter %_stress,$(programs_tsan) $(programs_plain))
	$(if $(WHENCE_STRESS),WHENCE_STRESS=1 $(py) -m pytest -q tests/system $(PYTEST))
	set -e; for file in $(wildcard tests/stress/*.py); do $(py) $$file $$((12 * $(STRESS_SECONDS))); done

bench: $(built) $(peers) ## print every measured figure beside its target
	$(py) -m benchmarks.run $(BENCH)

bench-store: $(built) $(peers) ## the same for keeping and asking: millions of events in a store, beside other stores
	$(py) -m benchmarks.store.run $(BENCH)

bench-serve: $(built) ## the same for the server: at rest, and for each request
	$(py) -m benchmarks.serve.run $(BENCH)

$(peers): pyproject.toml $(ready)
	$(py) -m pip install -q --no-build-isolation --editable ".[bench]"
	@touch $@

demo: $(built) ## run real models under the recorder, then ask why
	$(VENV)/bin/whence demo

docs: $(built) ## write the generated pages again
	$(py) tools/features.py
	$(py) tools/cli_docs.py
	$(py) tools/http_docs.py

pythons: ## build and try the module with each of PYTHONS="python3.12 python3.13"
	tools/pythons.sh $(PYTHONS)

package: $(built) ## build sdist and wheel, try the wheel in an empty environment
	tools/package.sh $(py)

clean: ## remove what was built, .venv too
	rm -rf $(VENV) build dist src/*.egg-info src/whence/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +
