# Everything a person needs to begin with. Each target is enough on its own on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help quickstart test eras chain unit lint benchmarks clean

help:
	@echo "make quickstart   from a fresh machine to a llama.cpp image"
	@echo "make test         environment, engine, linters, all tests; what fails is tried once more, and said so"
	@echo "make eras         profiles and models on servers of five eras, which compiles for long"
	@echo "make chain        two builds adopted, two refused, one rolled back; a quarter of an hour, alone"
	@echo "make unit         the tests that need no engine"
	@echo "make lint         style, types, import directions, scripts, workflows, references"
	@echo "make benchmarks   start-up times, and what a mirror of upstream costs"
	@echo "make clean        remove the virtual environment"

quickstart: $(VENV)/.installed
	$(BIN)/builder setup
	$(BIN)/builder build

test: $(VENV)/.installed-dev lint
	$(BIN)/builder setup
	$(BIN)/pytest -n 2 --dist loadfile --hypothesis-profile ci --reruns 1 --rerun-show-tracebacks -raR

eras: $(VENV)/.installed-dev
	$(BIN)/builder setup
	TEST_ERAS=0.2.85,0.3.1,0.3.16,0.3.28,0.3.36 $(BIN)/pytest tests/integration/test_models.py

chain: $(VENV)/.installed-dev
	$(BIN)/builder setup
	TEST_CHAIN=1 $(BIN)/pytest tests/integration/test_chain_whole.py

unit: $(VENV)/.installed-dev
	$(BIN)/pytest tests/unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check
	$(BIN)/zizmor --offline --no-progress --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/shellcheck --external-sources builder/dockerfiles/steps/*.sh make-venv.sh .ci/run

benchmarks: $(VENV)/.installed
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/upstream.py

$(VENV)/bin/python: make-venv.sh
	./make-venv.sh $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV)
