#!/bin/sh
# Runs every static check, says which failed, and fails if one did. Called by `make lint`, after
# scripts/bootstrap.sh has made the environment.
set -u
cd "$(dirname "$0")/.." || exit 1

BIN=.venv/bin
failed=
output=$(mktemp)
scratch=$(mktemp -d)
trap 'rm -rf "$output" "$scratch"' EXIT

# check NAME COMMAND...: one line when it passes, what it printed when it does not.
check() {
    name=$1
    shift
    if "$@" >"$output" 2>&1; then
        printf '  ok      %s\n' "$name"
    else
        printf '  FAILED  %s\n' "$name"
        head -n 60 "$output" | sed 's/^/          /'
        failed="$failed $name,"
    fi
}

# The deploy checks judge the settings of a production installation, so they get such settings:
# made up, and complete. No server is asked.
production() {
    env -u SALLYPORT_SANDBOX -u AWS_ENDPOINT_URL \
        SECRET_KEY="$("$BIN/python" -c 'import secrets; print(secrets.token_urlsafe(60))')" \
        DATABASE_URL=postgres://sallyport@db.example.com/sallyport \
        BROKER_URL=redis://broker.example.com/0 \
        ALLOWED_HOSTS=sallyport.example.com \
        SALLYPORT_BASE_URL=https://sallyport.example.com \
        SALLYPORT_PORTAL_ID=lint \
        SALLYPORT_PORTAL_PRINCIPAL=arn:aws:iam::999999999999:user/sallyport-portal \
        "$@"
}

# With the sandbox, so that its apps are looked at too; its files go where nothing else is.
sandboxed() {
    env -u DATABASE_URL SALLYPORT_SANDBOX=true SALLYPORT_VAR="$scratch" "$@"
}

check "format (ruff format)" "$BIN/python" -m ruff format --check --output-format concise .
check "lint (ruff check)" "$BIN/python" -m ruff check --output-format concise .
check "types (mypy --strict)" sandboxed "$BIN/python" -m mypy .
check "import layers (import-linter)" "$BIN/lint-imports" --no-cache
check "templates: format (djlint)" "$BIN/djlint" templates --check
check "templates: lint (djlint)" "$BIN/djlint" templates --lint --quiet
check "deploy checks (manage.py check --deploy)" \
    production "$BIN/python" manage.py check --deploy --fail-level WARNING
check "migrations (manage.py makemigrations --check)" \
    sandboxed "$BIN/python" manage.py makemigrations --check --dry-run
# shellcheck disable=SC2016  # The inner shell expands it.
check "shell scripts (sh -n)" sh -c 'for script in scripts/*.sh; do sh -n "$script" || exit 1; done'

[ -z "$failed" ] || {
    printf 'Failed:%s see above.\n' "$failed" >&2
    exit 1
}
