#!/bin/sh
# Removes everything that a build, a test or a demo has made. Called by `make clean`.
set -eu
cd "$(dirname "$0")/.."

# The lock is held by a demo that runs and by each of its processes.
if [ -e var/children.lock ] && command -v flock >/dev/null 2>&1 && ! flock -n var/children.lock true; then
    printf 'The sandbox is running: %s Stop it first.\n' "$(cat var/demo.lock)" >&2
    exit 1
fi
rm -rf .venv var static htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache \
    .import_linter_cache .hypothesis
find . -name __pycache__ -type d -prune -exec rm -rf {} +
