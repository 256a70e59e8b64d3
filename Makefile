# Every check is defined here once; CI and hooks call it. `make demo` and `make test` make their own environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: demo test check data bench reference-learner reference-learner-table vocabulary clean

demo: $(VENV)/.hf
	$(BIN)/icl-bench demo --figure build/demo.png

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The released data: seed 0, every field at its default.
data: $(VENV)/.dev
	$(BIN)/icl-bench generate --seed 0 --out icl_bench
	$(BIN)/icl-bench audit icl_bench

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/scoring.py

# The reference learner anew: an hour on one core. Stopped, it goes on where it was; the checkpoint of a finished one is to be removed.
LEARNER := icl_bench/reference_learner
reference-learner: $(VENV)/.hf
	OMP_NUM_THREADS=1 $(BIN)/python -m icl_bench.learner.train --out $(LEARNER) --checkpoint build/reference_learner.pt

# What it can do: DATASET=syllogism, reversal_curse or semantic_structure for the others.
DATASET ?= reversal
reference-learner-table: $(VENV)/.hf
	OMP_NUM_THREADS=1 $(BIN)/python -m icl_bench.learner.measure $(LEARNER) --dataset $(DATASET)

# The word list anew, once in a lifetime. CUSS is the index.js of the npm package cuss (see the script).
vocabulary: $(VENV)/.vocabulary
	test -f "$(CUSS)" || { echo 'make vocabulary CUSS=path/to/cuss/index.js'; exit 2; }
	$(BIN)/python scripts/build_vocabulary.py $(CUSS)

clean:
	rm -rf $(VENV) build dist

# An environment with one extra; made again when pyproject.toml changes.
$(VENV)/.%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
