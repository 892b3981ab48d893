# Everything happens in .venv; nothing outside this folder is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test test-fast coverage lint docs release-check setup weights clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e ".[dev]"
	touch $(STAMP)

demo: setup  ## draw street scenes with unknown objects, find them, write overlays
	$(BIN)/oodseg demo --out demo

CODE := src tests benchmarks docs examples scripts

lint: setup  ## style, format and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

# A process for every folder of tests, two at a time, the long ones first: what libraries leave behind in a process
# (threads, signal handlers, memory) does not add up, and a crash says where it was. Browsers have the machine to
# themselves.
PYTEST  = OMP_NUM_THREADS=1 $(BIN)/python -m pytest
BROWSED := tests/service tests/mining
LONG    := tests/training tests/cli tests/runs
ROOMS   := $(LONG) tests $(filter-out $(LONG) $(BROWSED) %__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
TOGETHER := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
APART   = $(MAKE) --no-print-directory --keep-going --jobs=2 $(TOGETHER)

test: lint  ## lint, types and every test
	@failed=; $(PYTEST) $(BROWSED) || failed=1; \
	$(APART) PYTEST='$(PYTEST)' $(ROOMS:%=room/%) && test -z "$$failed"

room/tests:
	@echo tests; $(PYTEST) $(wildcard tests/test_*.py)

room/%:
	@echo $*; $(PYTEST) $*

coverage: PYTEST = OMP_NUM_THREADS=1 $(BIN)/coverage run --parallel-mode -m pytest
coverage: test  ## what `make test` does, with the share of lines that ran: a quarter slower
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-fast: setup  ## what to run while editing
	@$(APART) PYTEST='$(PYTEST) -m "not slow and not browser"' $(patsubst %,room/%,$(ROOMS) $(BROWSED))

docs: setup  ## the documentation as a website in site/; a broken link or name is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --clean

release-check: setup  ## build sdist and wheel, and try the wheel in a fresh environment
	$(BIN)/python scripts/release_check.py --tag "$(TAG)"

# Every step goes on where it stopped.
RUNS ?= runs/weights

weights: setup  ## train a whole pipeline from the data in DATA
	@test -n "$(DATA)" || { echo "name the folder of the training data: make weights DATA=FOLDER"; exit 2; }
	$(BIN)/oodseg train segmenter --data "$(DATA)" --out $(RUNS)/segmenter
	$(BIN)/oodseg train segmenter --recipe segmenter_frozen --data "$(DATA)" --out $(RUNS)/segmenter_frozen
	$(BIN)/oodseg train detector --segmenter $(RUNS)/segmenter --segmenter $(RUNS)/segmenter_frozen --set 'close_members=[0]' --data "$(DATA)" --out $(RUNS)/detector
	$(BIN)/oodseg train prompts --detector $(RUNS)/detector --data "$(DATA)" --out $(RUNS)/prompts
	$(BIN)/oodseg train masks --data "$(DATA)" --out $(RUNS)/masks
	$(BIN)/oodseg train bundle --detector $(RUNS)/detector --prompts $(RUNS)/prompts --masks $(RUNS)/masks --bits 8 --out $(RUNS)/street

clean:
	rm -rf $(VENV) demo dist site .pytest_cache .mypy_cache .ruff_cache
