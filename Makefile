# Every task of this project. `make demo` and `make test` work right after a clone: each makes
# what it needs first, which costs a few hundredths of a second when it is there already.

.DEFAULT_GOAL := help
.PHONY: help demo demo-reset test test-slow coverage rig rig-full mutants lint format lock bench-quick bench-full clean

PYTHON_IN_VENV := .venv/bin/python
# Tests and the rig start hundreds of processes: without bytecode each compiles all of our modules.
unexport PYTHONDONTWRITEBYTECODE

# A database or broker of another installation, named in the shell that this is started from,
# has no business in the sandbox; and the time that the first set-up takes is counted too.
SANDBOX := env -u DATABASE_URL -u BROKER_URL -u SECRET_KEY -u ALLOWED_HOSTS -u SALLYPORT_BASE_URL \
	SALLYPORT_SANDBOX=true
DEMO = started=$$(date +%s.%N) && scripts/bootstrap.sh sandbox && \
	SALLYPORT_STARTED=$$started exec $(SANDBOX) $(PYTHON_IN_VENV) manage.py demo $(if $(PORT),--port $(PORT))

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Run Sallyport on this machine, with a local stand-in for AWS (PORT=8000)
	@$(DEMO)

demo-reset: ## The same, from an empty sandbox
	@$(DEMO) --reset

test: ## Lint, then the tests on PostgreSQL; CI plays test-slow and the rig as well
	@scripts/bootstrap.sh dev
	@scripts/lint.sh
	@scripts/test.sh $(ARGS)

test-slow: ## Every measure of bench/ once, random lives, a share of the rig, all pages in the other colours
	@scripts/bootstrap.sh dev
	@scripts/test.sh -m slow $(ARGS)

coverage: ## The tests, and which lines they cover
	@scripts/bootstrap.sh dev
	@COVERAGE=1 scripts/test.sh $(ARGS)

rig: ## Kill it, cut it off, spoil its calls, and judge who gets in; twenty to thirty minutes (ARGS="--only kill")
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) -m tests.rig $(ARGS)

rig-full: ## The same with every fault at every call and 500 random runs; an hour or two
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) -m tests.rig --full $(ARGS)
	@SALLYPORT_LONG=1 $(PYTHON_IN_VENV) -m pytest -m slow tests/machine -n 2

mutants: ## Take ten defences away, one at a time, and see which test notices (ARGS="--only lease")
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) -m tests.rig.mutants $(ARGS)

lint: ## Formatting, lint, types, import layers, templates, deploy checks, migrations
	@scripts/bootstrap.sh dev
	@scripts/lint.sh

format: ## Rewrite code and templates in the project's format
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) -m ruff format .
	@$(PYTHON_IN_VENV) -m ruff check --fix .
	@.venv/bin/djlint templates --reformat --quiet || true

lock: ## Compile requirements/*.in into lock files with hashes (UPGRADE=1 takes new versions)
	@scripts/bootstrap.sh dev
	@scripts/lock.sh $(if $(UPGRADE),--upgrade)

bench-quick: ## Measure speed and cost beside other tools, in a quarter of an hour (ARGS=--write)
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) -m bench $(ARGS)

bench-full: ## The same with many repetitions, AWS CLI and Ansible; most of an hour
	@scripts/bootstrap.sh dev
	@$(PYTHON_IN_VENV) -m bench --full $(ARGS)

clean: ## Remove the environment, the sandbox's data and all caches
	@scripts/clean.sh
