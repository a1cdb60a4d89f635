#!/bin/sh
# Runs the tests and prints what they cover. Called by `make test`; arguments go to pytest.
#
# Coverage is started around pytest and not inside it, because the plugin that starts the servers
# imports the code under test before pytest-cov would begin to look.
set -u
cd "$(dirname "$0")/.." || exit 1

python() { .venv/bin/python "$@"; }

python -m coverage erase
python -m coverage run -m pytest "$@"
status=$?
# Processes that the tests started have written files of their own, if pyproject.toml asks for it.
python -m coverage combine --quiet >/dev/null 2>&1
python -m coverage report || [ $status -ne 0 ] || status=1
exit $status
