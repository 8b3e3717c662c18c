# Each target makes the environment in .venv when it is missing; PYTHON chooses the interpreter.
PYTHON ?= python3
BENCH = .venv/bin/bench

.PHONY: setup demo test lint clean

setup: .venv/ready

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet -e '.[dev]'
	touch .venv/ready

demo: .venv/ready
	$(BENCH) run
	$(BENCH) figures

test: .venv/ready
	.venv/bin/python -m pytest

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

clean:
	rm -rf .venv build *.egg-info
