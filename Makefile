# Two commands do all the set-up on a machine with Python 3.11+: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := mlflow==3.17.2 psycopg2-binary==2.9.13

.DEFAULT_GOAL := help
.PHONY: help environment run test fuzz model-test simulate kserve check format lint types imports lock soak bench bench-rebuild bench-peers clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# uv lives inside the virtual environment, so nothing is needed on the machine but Python and make;
# `uv sync --frozen` installs exactly what uv.lock names.
$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "modeltrail needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c '$(ALONE)' $(MAKE) --no-print-directory environment
	@touch $@

# Two that make the environment at once spoil it, so the second waits here; the lock ends with the process.
ALONE = import fcntl, os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); \
	lock = os.open("Makefile", os.O_RDWR); os.set_inheritable(lock, True); fcntl.flock(lock, fcntl.LOCK_EX); \
	os.execvp(sys.argv[1], sys.argv[1:])

# One that Ctrl-C has left half-made has no pip.
environment:
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --frozen --quiet --inexact --all-extras

run: $(READY) ## Start everything: own PostgreSQL, API, worker, simulated cluster
	@exec $(BIN)/modeltrail dev

test: $(READY) ## Run all tests
	$(BIN)/pytest -q -n 2 --dist worksteal

fuzz: $(READY) ## Try the API against its own document for long; FUZZ_EXAMPLES=1000 for longer
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-200} $(BIN)/pytest -q tests/e2e/test_fuzz.py

model-test: $(READY) ## Compare the API with a model of its contract for long; MODEL_EXAMPLES=20000 for longer
	MODEL_EXAMPLES=$${MODEL_EXAMPLES:-2000} $(BIN)/pytest -q tests/integration/test_http_contract.py

simulate: $(READY) ## Deployments under everything at once, by chance; SIMULATION_SEEDS=200 for longer
	SIMULATION_SEEDS=$${SIMULATION_SEEDS:-20} SIMULATION_ROUNDS=$${SIMULATION_ROUNDS:-3} \
		$(BIN)/pytest -q -n 2 --dist worksteal tests/e2e/test_simulation.py

kserve: $(READY) ## The tests with a real Kubernetes, KServe and Knative, built first; needs Go 1.25; KSERVE_VERSION=v0.17.0 for another
	PYTHONPATH=tests $(BIN)/python -m support.kserve_programs build/kserve
	$(BIN)/pytest -q tests/kserve

check: lint types imports test ## The one gate: format, lint, types, import rules, tests

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

# import-linter neither follows links nor looks into namespace packages, so it is given a copy without either.
imports: $(READY)
	@rm -rf build/imports && mkdir -p build/imports && cp -rL src/modeltrail build/imports/
	@find build/imports/modeltrail -type d -exec touch {}/__init__.py \;
	@PYTHONPATH=build/imports $(BIN)/lint-imports --no-logo --no-cache

format: $(READY) ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY) ## Update uv.lock after a change of pyproject.toml
	$(BIN)/uv lock

soak: $(READY) ## Kill and freeze workers and rebuilds in the middle of much, for long
	FIRE_DEPLOYMENTS=$${FIRE_DEPLOYMENTS:-200} FIRE_KILLS=$${FIRE_KILLS:-20} \
		FIRE_SERVICES=$${FIRE_SERVICES:-40} REBUILD_KILLS=$${REBUILD_KILLS:-10} \
		REBUILD_EVENTS=$${REBUILD_EVENTS:-300000} $(BIN)/pytest -q \
		tests/e2e/test_worker_under_fire.py tests/e2e/test_worker_killed.py \
		tests/e2e/test_canaries_under_fire.py tests/e2e/test_rebuild_under_fire.py tests/e2e/test_long_rebuilds.py

bench: $(READY) ## Run the benchmarks (five minutes)
	$(BIN)/python -m benchmarks

bench-rebuild: $(READY) ## Rebuild all read tables from a log of a million events (three minutes)
	MODELTRAIL_BENCH_EVENTS=$${MODELTRAIL_BENCH_EVENTS:-1000000} $(BIN)/python -m benchmarks projections

bench-peers: $(READY) ## The same jobs for MLflow, which is installed apart (five minutes)
	@test -x .venv-peers/bin/mlflow || ($(PYTHON) -m venv .venv-peers && .venv-peers/bin/pip install -q $(PEERS))
	$(BIN)/python -m benchmarks peers

clean: ## Remove the virtual environments and caches
	rm -rf $(VENV) .venv-peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
