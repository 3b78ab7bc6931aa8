# `make` lists the targets. From a bare machine (Python >= 3.11.4, a network for the first run): make book, make test.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first interpreter that runs, is new enough and can make a virtual environment; `make PYTHON=... book` overrides it.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11, 4))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)

VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
ASIDE   := _build/aside
CODE    := lib tests book/_ext benchmarks

# One variable a line: make reads `export A=1 B=2` as one variable A.
FEATNORM_SCALE ?= book
export FEATNORM_SCALE
# The matrices are small: a second thread of the linear algebra gains nothing, and on a busy machine it costs a lot.
OMP_NUM_THREADS ?= 1
export OMP_NUM_THREADS
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help install book pdf test check-book interrupted chapter-smoke lint bench seeds badge mutants gpu dist \
	test-lowest test-newest clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*  ## (.*)/make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|'

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11.4 with venv found: install one, or set PYTHON=/its/path" >&2; exit 1; }
	@# A virtual environment without a working pip is one whose making was interrupted: start it again.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --progress-bar off -c constraints.txt -e '.[book,test,images,sweep]'
	touch $@

install: $(STAMP)  ## make .venv with the pinned versions

# The book is built aside and copied into place as the last step, so that _build/html exists only when a build has
# succeeded, however an earlier one ended. What was built aside stays: after a failure to look at, else for the next
# build, which reads only the pages that can have changed (book/_ext/rebuild.py) and runs no chapter again that it need
# not (book/_ext/execution_cache.py). The last two folders removed are what a plain `jupyter-book build .` leaves.
book: $(STAMP)  ## build the book into _build/html (FEATNORM_SCALE=smoke, book or full)
	rm -rf _build/html _build/html.part _build/.doctrees _build/jupyter_execute
	$(BIN)/jupyter-book build . --path-output $(ASIDE) -W -n --keep-going
	cp -R $(ASIDE)/_build/html _build/html.part
	mv _build/html.part _build/html
	@echo "The book is at _build/html/index.html"

# Printed from the pages of make book, so nothing is executed. Needs Chromium.
pdf: $(STAMP)  ## print the built book into _build/featnorm.pdf; make book comes first (minutes)
	rm -f _build/featnorm.pdf
	$(BIN)/python book/_ext/book_pdf.py _build/html _build/featnorm.pdf

# Tests ask for the smoke scale, whatever the book is built at.
test: export FEATNORM_SCALE := smoke
test: $(STAMP)  ## tests of the library, doctests of it and of README.md; needs no built book
	$(BIN)/python -m pytest -q -n auto --dist worksteal --doctest-modules --doctest-glob=README.md lib/featnorm README.md tests \
		--ignore=tests/book

check-book: $(STAMP)  ## tests of the built pages, in a browser, and of every chapter under papermill
	@test -f _build/html/index.html || { echo "No book in _build/html: run make book first" >&2; exit 1; }
	$(BIN)/python -m pytest -q tests/book

interrupted: $(STAMP)  ## kill builds of a small book at random moments; the next build must not notice (minutes)
	$(BIN)/python -m pytest -q -m slow tests/book/test_interrupted.py

chapter-smoke: $(STAMP)  ## run every chapter with papermill at smoke scale; needs no built book
	$(BIN)/python -m pytest -q tests/book/test_chapters.py

lint: $(STAMP)  ## ruff over the library, the tests and the book's extensions
	$(BIN)/ruff check $(CODE)

bench: $(STAMP)  ## timings beside the alternative, written into benchmarks/ (minutes)
	for name in augment concentration equilibria linear moments subweibull training; do $(BIN)/python benchmarks/$$name.py || exit; done

seeds: $(STAMP)  ## every check for ten seeds at smoke scale; writes benchmarks/seeds.md (minutes)
	$(BIN)/python benchmarks/seeds.py

badge: $(STAMP)  ## run every check at smoke scale; writes the badge of README.md
	$(BIN)/python -m featnorm.publish.badge

mutants: N ?= 300
mutants: SEED ?= 0
mutants: $(STAMP)  ## do the theory rooms' tests notice N random small changes? writes benchmarks/mutants.md (half an hour, resumable)
	nice $(BIN)/python benchmarks/mutants.py --count $(N) --seeds $(SEED)

# Needs no environment of its own: a machine with a GPU has a PyTorch that fits it. The same command again goes on.
gpu: OUT ?= _build/gpu
gpu: MINUTES ?= 600
gpu:  ## the image experiments that need a GPU, resumable: GPU_PYTHON=python3 OUT=folder DATA=cifar10.npz MINUTES=600
	PYTHONPATH=lib $(or $(GPU_PYTHON),python3) -m featnorm image --size gpu --folder $(OUT) $(if $(DATA),--data $(DATA)) \
		--max-minutes $(MINUTES)

dist: $(STAMP)  ## wheel and sdist in dist/, each tried in an empty environment
	PYTHON=$(BIN)/python .ci/dist

test-lowest:  ## the tests with the lowest dependencies that pyproject.toml allows, in an environment of their own (minutes)
	PYTHON="$(PYTHON)" .ci/dependencies lowest

test-newest:  ## the same with the newest that can be had (minutes)
	PYTHON="$(PYTHON)" .ci/dependencies newest

clean:  ## remove everything built, the execution cache included
	rm -rf _build
