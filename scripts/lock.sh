#!/bin/sh
# Compiles requirements/*.in into lock files with hashes. Called by `make lock`.
#
# The developers' lock is made first and bounds the other two, so that tests run on the versions
# that are deployed. The files name no index: each installation asks its own.
set -eu
cd "$(dirname "$0")/.."

# A lock keeps its versions unless --upgrade is given.
compile() {
    source=$1 lock=$2
    shift 2
    .venv/bin/uv pip compile --quiet --generate-hashes --universal --python-version 3.12 \
        --no-emit-index-url --custom-compile-command "make lock" \
        "$source" -o "$lock" "$@"
    printf '%s: %s packages\n' "$lock" "$(grep -c '^[a-zA-Z0-9].*==' "$lock")"
}

compile requirements/dev.in requirements/dev.txt "$@"
compile requirements/sandbox.in requirements/sandbox.txt -c requirements/dev.txt "$@"
compile requirements/production.in requirements.txt -c requirements/dev.txt "$@"
