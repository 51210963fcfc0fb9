# `make repro` and `make test` work in a fresh clone: each sets up .venv first.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
SITE_CACHE := "$(HOME)/.cache/dvc-site"
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# CI's: a third of pip's time. It compiles nothing, nor does pip then; `.ci/run` does while it lints.
UV := $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python
# One worker more than there are processors: tests with kills, queues and servers wait much of their time.
WORKERS := --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile --no-loadscope-reorder
ROUNDS ?= 1000000
# Stages call `python`: with the environment's folder in front, that is the one with the packages.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

.PHONY: repro test check soak lint setup lock

repro: setup
	@python -m facestats doctor --inputs
	dvc repro
	@python -m facestats results

test: setup
	python -m pytest $(WORKERS) -m "not thorough" $(PYTEST_ARGS)

# The fast tier, for every save: what needs neither DVC nor half a second of a processor.
check: setup
	ruff check .
	ruff format --check .
	python -m pytest $(WORKERS) -m "not slow and not long and not thorough" $(PYTEST_ARGS)

# Kills, full disks and servers by new random numbers, and what `make test` leaves out, until one fails or you have
# seen enough; ROUNDS=1 before a release.
soak: setup
	@for ((round = 1; round <= $(ROUNDS); round++)); do \
		export FACESTATS_TEST_SEED=$$((RANDOM * 32768 + RANDOM)); \
		echo "round $$round: FACESTATS_TEST_SEED=$$FACESTATS_TEST_SEED"; \
		python -m pytest $(WORKERS) -m "soak or thorough" $(PYTEST_ARGS) || exit 1; \
	done

lint: setup
	ruff check .
	ruff format --check .
	codespell
	pyright

# The packages of requirements.txt and all that they need, with hashes. torch comes by its pin alone, for which of its
# builds fits depends on the machine; backports.strenum 1.3 does not install on Python 3.11, which uv does not see.
lock: setup
	$(PIP) -r .ci/uv.txt
	grep --invert-match '^-e' requirements.txt | uv pip compile - --generate-hashes --python-version 3.11 \
	  --override <(echo 'torch ; sys_platform == "none"') --constraint <(echo 'backports.strenum<1.3') \
	  --custom-compile-command 'make lock' --quiet --output-file requirements.lock

# DVC runs code that it finds in its site cache, and makes that in /var/tmp, open to all users of the machine.
setup: $(VENV)/.installed
	@grep -qs site_cache_dir .dvc/config.local || { \
		install -d -m 700 $(SITE_CACHE) && $(BIN)/dvc config --local core.site_cache_dir $(SITE_CACHE); \
	} || echo "warning: DVC keeps its site cache where others may write, for $(SITE_CACHE) can't be made"

$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 12) else f"Python 3.11 or 3.12 is needed, $(PYTHON) is {v[0]}.{v[1]}; try make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(LOCK),{ $(PIP) --require-hashes -r .ci/uv.txt && $(UV) --no-deps --require-hashes -r $(LOCK); } \
	  || $(PIP) --no-deps --require-hashes -r $(LOCK))
	$(if $(LOCK),$(UV) -r requirements.txt || $(PIP) --no-compile -r requirements.txt,$(PIP) -r requirements.txt)
	@touch $@
