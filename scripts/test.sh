#!/bin/sh
# Runs the tests. Called by `make test`; arguments go to pytest.
#
# Three processes share the tests (tests/sharing.py): the machine of continuous integration has two
# cores, and one of the processes mostly waits for a browser and for workers. Each has servers of
# its own, so ARGS="-n 6" is right on a larger machine, and ARGS="-n 0" gives one process, for a
# debugger.
#
# COVERAGE=1 prints what the tests cover, and takes a third longer. It starts with each of these
# processes by COVERAGE_PROCESS_START (tests/services.py says where it ends), because the plugin
# that starts the servers imports the code under test before pytest-cov would begin to look.
set -u
cd "$(dirname "$0")/.." || exit 1

python() { .venv/bin/python "$@"; }

[ -n "${COVERAGE:-}" ] || exec .venv/bin/python -m pytest -n 3 "$@"

python -m coverage erase
COVERAGE_PROCESS_START=pyproject.toml python -m pytest -n 3 "$@"
status=$?
# Each process has written a file of its own.
python -m coverage combine --quiet >/dev/null 2>&1
python -m coverage report || [ $status -ne 0 ] || status=1
exit $status
