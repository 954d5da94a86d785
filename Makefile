# Each target works as the only command after a checkout: it makes what it needs in .venv.
# make demo FILE=/path/to/a.txt    make test ARGS='-k routing'    make test PYTHON=/path/to/python3.12

VENV := .venv
IN := $(VENV)/bin/python
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

# The first interpreter that is new enough; a pyenv shim of a version that is not chosen does not run, and is passed over.
ifndef PYTHON
PYTHON := $(shell for each in python3 python3.11 python3.12 python3.13 python3.14; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$each"; break; }; done)
endif

# Files of tests run side by side, each in one process, so that a server is started where it is needed. Much of the
# time they wait: three keep two processors busy.
TESTS := $(IN) -m pytest --numprocesses 3 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo servers test test-servers test-all check lint types generated layers bench clean python

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: $(VENV)/demo ## Count the words of a text by two workers, one of them killed halfway (FILE=any text)
	$(IN) examples/demo.py $(if $(FILE),"$(FILE)")

test: $(VENV)/dev ## Run the tests, without the slow ones, on servers that they start (ARGS=for pytest)
	$(TESTS) -m "not slow" $(ARGS)

test-servers: $(VENV)/dev ## Run the slow tests of servers: clusters, RabbitMQ 4 (as root, in a Debian 13 of its own)
	$(TESTS) -m "server and slow" $(ARGS)

servers: | python ## Install the servers that the tests start (as root on Debian); without one, its tests are skipped
	@"$(PYTHON)" tools/servers.py --install

test-all: $(VENV)/dev ## Run all tests, and the unit tests on each newer Python there is
	$(IN) tools/every_python.py

check: lint types generated layers ## Lint, types, generated code, layers (make -k check: all of them though one fails)

lint: $(VENV)/dev
	$(IN) -m ruff check .
	$(IN) -m ruff format --check .

types: $(VENV)/dev
	$(IN) -m mypy

generated: $(VENV)/dev
	$(IN) tools/unasync.py --check
	$(IN) tools/amqp_methods.py --check

layers: $(VENV)/dev
	$(IN) -m pytest -q tests/architecture

bench: $(VENV)/dev ## Measure, side by side with the peers (ARGS=for the benchmarks)
	$(IN) -m benchmarks $(ARGS)

clean: ## Delete what was made
	rm -rf $(VENV) .venvs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/demo: pyproject.toml | python
	@"$(PYTHON)" tools/environment.py $(VENV) cli --bare-will-do && touch $@

$(VENV)/dev: pyproject.toml | python
	@"$(PYTHON)" tools/environment.py $(VENV) dev && touch $@

python:
	@test -n "$(PYTHON)" || { echo "dulse needs Python 3.11 or newer, and there is none on PATH:" \
		"as root, run 'apt-get install python3 python3-venv', or say make PYTHON=/path/to/python3." >&2; exit 1; }
