# make demo | demo-acr | test | check | fuzz | bench | engines-table | clean: each sets up what it needs, and is quick once that is there.

VENV   := .venv
BIN    := $(VENV)/bin
SHIPML := $(BIN)/shipml

# Three test processes for two CPUs, since engines make tests wait; a file never split between them: engines are started once a process. Long files go first
# (tests/long_first.py), not those with many tests.
WORKERS := -n 3 --dist loadfile --no-loadscope-reorder

# Hundreds of commands and three test processes would else compile the same modules again and again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-acr test check fuzz lint format bench engines-table peers clean

help:
	@echo 'make demo    build ./example_project into an image and run it; needs no Docker'
	@echo 'make demo-acr   login, push, promote INT to PROD against a stand-in for Azure on this machine; Linux, as root'
	@echo 'make test    all tests; as root on Debian with real engines, registry, skopeo, buildah, podman'
	@echo 'make check   formatting, lint, types, and the tests that need no network and no engine'
	@echo 'make fuzz    every reader of bytes on broken input, for FUZZ_SECONDS (default 60)'
	@echo 'make bench   side by side with Docker and BuildKit; writes benchmarks/results.md and push.md'
	@echo 'make engines-table   docs/engines.md: what works with which engine, from the tests'
	@echo 'make clean   remove the virtual environment and what tools left'

demo: $(VENV)/installed
	$(SHIPML) build ./example_project --builder embedded
	$(SHIPML) run ./example_project

# Nothing here reaches Azure: its names lead to stand-ins on loopback, in front of a real registry (tests/peers).
demo-acr: $(VENV)/installed-dev peers
	@$(BIN)/python -m tests.peers.demo_acr

test: $(VENV)/installed-dev peers
	$(BIN)/pytest $(WORKERS) --durations 15

check: lint
	$(BIN)/pytest $(WORKERS) -q -m 'not network and not engine and not slow'

# Other input each time; a crash is printed with its seed, and its input is kept to become a case.
fuzz: $(VENV)/installed-dev
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} FUZZ_SEED=$${FUZZ_SEED:-$$(date +%s)} $(BIN)/pytest -q --timeout 0 -s tests/fuzz

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev peers
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.push

engines-table: $(VENV)/installed-dev peers
	$(BIN)/pytest -m feature --engines-table docs/engines.md

# Debian packages with the engines and tools that tests and benchmarks compare with; nothing happens where they are there.
peers:
	@tests/peers/install.sh

$(VENV)/bin/python:
	@PYTHON="$(PYTHON)" .ci/venv.sh $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@echo 'installing shipml into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(BIN)/python -m compileall -q shipml
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo 'installing shipml and its development tools into $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'  # knows --group; yours may be older
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@$(BIN)/python -m compileall -q shipml tests/peers
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
