# The first target on a fresh machine sets everything up by itself: Python (3.11 to 3.13) and make are all it needs.

VENV   ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
OUTPUT ?= teaspec-demo
JOBS   ?= 2
BIN    := $(VENV)/bin

INPUTS := pyproject.toml constraints.txt
# The stamp is named after the content, not the time, so that a checkout or a touch does not install anything anew.
STAMP  := $(VENV)/.installed-$(firstword $(shell cat $(INPUTS) | cksum))

.PHONY: help install demo test check models digits videos drift vllm-omni docs dist lint thorough clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(STAMP) ## set up .venv; every other target does it by itself

demo: $(STAMP) ## generate digits with FLUX and videos with Wan, uncached and cached: tables, pictures of results and decisions
	$(BIN)/teaspec demo --output $(OUTPUT)

# The tests use the cores by running side by side; threads inside each of them would only get in each other's way.
test thorough: export OMP_NUM_THREADS ?= 1

test: lint ## lint, types, import rules, tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(PYTEST_ARGS)

check: $(STAMP) ## prove every shipped spec on its probe model
	$(BIN)/teaspec check --all

models: $(STAMP) ## write docs/models.md and what `teaspec list` shows; SPECS="flux wan" counts only those anew
	$(BIN)/python -m tools.models $(SPECS)

digits: $(STAMP) ## train the demo's image model anew; half an hour on two idle cores
	$(BIN)/python -m tools.digits

videos: $(STAMP) ## train the demo's video model anew; three quarters of an hour on one idle core
	$(BIN)/python -m tools.videos

drift: $(STAMP) ## check all specs with every supported diffusers and write docs/drift.md; DRIFT="--examples 5 0.41.0" for one
	$(BIN)/python -m tools.drift $(DRIFT)

vllm-omni: $(STAMP) ## prove vLLM-Omni's own classes and write the table of docs/vllm-omni.md; it fetches 330 MB
	$(BIN)/python -m tools.vllm_omni --write

docs: export NO_MKDOCS_2_WARNING ?= 1

docs: $(STAMP) ## build the documentation's site into site/; it needs no network
	$(BIN)/python -m mkdocs build --strict

dist: $(STAMP) ## build the release into dist/ and check it; REPOSITORY=https://host/owner/name makes its links absolute
	rm -rf dist
	TEASPEC_REPOSITORY="$(REPOSITORY)" $(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/python -m twine check --strict dist/*

lint: $(STAMP) ## ruff, mypy and the import rules alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

thorough: $(STAMP) ## the tests that `make test` leaves out, too
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "thorough or not thorough" $(PYTEST_ARGS)

clean: ## remove the environment, caches and demo output
	rm -rf $(VENV) build dist site teaspec-demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): $(INPUTS)
	@test -n "$(PYTHON)" || { echo "teaspec needs Python >= 3.11 here (the pinned diffusers 0.42 does): make PYTHON=/path/to/python"; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	rm -f $(VENV)/.installed-*
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,authoring,train,bench,test,docs,dev]'
	touch $@
