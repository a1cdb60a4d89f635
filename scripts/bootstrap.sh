#!/bin/sh
# Makes .venv and installs what the sandbox or the developers' tools need.
#
#   scripts/bootstrap.sh sandbox    what `make demo` needs
#   scripts/bootstrap.sh dev        that, and what `make lint` and `make test` need
#
# PYTHON=/path/to/python picks the interpreter. A second run does nothing, in a few hundredths
# of a second. Every package comes from a lock file with hashes.
set -eu
cd "$(dirname "$0")/.."
HERE=$(pwd -P)

FLOOR='(3, 12)'
VENV=.venv
VENV_PYTHON=$VENV/bin/python
# There from before the first file of the environment is written until after the last one.
# Found at the start, it means that an earlier run was killed half way, and that an installed
# package may lack files.
UNFINISHED=$VENV/.unfinished

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# -- Is there anything to do? ---------------------------------------------------------------

# The path belongs to the stamp because the scripts of a virtual environment name it: a copied
# or moved work tree needs a new one.
wanted_stamp() { printf '%s\n%s\n' "$(cksum <"$(lock_of "$1")")" "$HERE"; }
lock_of() { printf 'requirements/%s.txt' "$1"; }
stamp_of() { printf '%s/.installed-%s' "$VENV" "$1"; }

installed() {
    [ -f "$(stamp_of "$1")" ] && [ "$(cat "$(stamp_of "$1")")" = "$(wanted_stamp "$1")" ] &&
        runs_python "$VENV_PYTHON" 'import sys' && [ ! -e "$UNFINISHED" ]
}

# -- Finding a Python -----------------------------------------------------------------------

# A candidate is judged by running it: a name on PATH may be a shim that fails.
runs_python() { "$1" -I -S -c "$2; sys.exit(sys.version_info[:2] < $FLOOR)" >/dev/null 2>&1; }
makes_venvs() { runs_python "$1" 'import sys, venv, ensurepip'; }

candidates() {
    printf '%s\n' python3.13 python3.12 python3.14 python3
    for minor in 13 12 14; do
        for found in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python \
            "$HOME"/.local/share/uv/python/cpython-3."$minor".*/bin/python3 \
            /opt/homebrew/bin/python3.$minor /usr/local/bin/python3.$minor; do
            [ ! -x "$found" ] || say "$found"
        done
    done
}

find_python() {
    without_venv=
    if [ -n "${PYTHON:-}" ]; then
        makes_venvs "$PYTHON" || fail \
            "PYTHON=$PYTHON is not a Python 3.12 or later that has the venv module."
        return
    fi
    # One candidate a line: a path may hold spaces.
    IFS='
'
    for PYTHON in $(candidates); do
        unset IFS
        ! makes_venvs "$PYTHON" || return 0
        [ -n "$without_venv" ] || ! runs_python "$PYTHON" 'import sys' || without_venv=$PYTHON
    done
    unset IFS
    [ -z "$without_venv" ] || no_venv_module "$without_venv"
    fail "Sallyport needs Python 3.12 or later, and none was found." \
        "Install one, for example:" \
        "  Debian, Ubuntu:  apt-get install python3.13 python3.13-venv" \
        "  Fedora:          dnf install python3.13" \
        "  macOS:           brew install python@3.13" \
        "  anywhere:        pyenv install 3.13, or uv python install 3.13" \
        "or name one that is elsewhere:  make demo PYTHON=/path/to/python3.13"
}

no_venv_module() {
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$1 is Python $version, which would do, but its venv module is not installed." \
        "Debian and Ubuntu package it apart:  apt-get install python$version-venv"
}

# -- The environment ------------------------------------------------------------------------

make_venv() {
    if [ -d "$VENV" ] && venv_fault=$(why_rebuild); then
        say "Removing $VENV: $venv_fault."
        rm -rf "$VENV"
    fi
    [ ! -x "$VENV_PYTHON" ] || return 0
    find_python
    say "Making $VENV with $("$PYTHON" --version) ($PYTHON)."
    mkdir -p "$VENV"
    : >"$UNFINISHED"
    "$PYTHON" -m venv "$VENV" || fail "$PYTHON could not make a virtual environment in $VENV."
}

# Prints the reason and succeeds where the environment that is there cannot be used.
why_rebuild() {
    if [ -e "$UNFINISHED" ]; then
        say "an earlier set-up was stopped half way"
    elif ! runs_python "$VENV_PYTHON" 'import sys'; then
        say "its Python is gone or older than 3.12"
    elif ! grep -qF "$HERE/$VENV" "$VENV/bin/activate" 2>/dev/null; then
        say "it was made in another folder"
    elif ! "$VENV_PYTHON" -m pip --version >/dev/null 2>&1; then
        say "it has no pip"
    else
        return 1
    fi
}

install() {
    lock=$(lock_of "$1")
    say "Installing $(grep -c '^[a-zA-Z0-9].*==' "$lock") packages from $lock."
    : >"$UNFINISHED"
    rm -f "$VENV"/.installed-*
    if ! { install_uv && with_uv "$lock"; }; then
        tail -n 3 "$VENV/uv.log" >&2
        say "uv could not do it; installing with pip, which takes about a minute."
        with_pip -r "$lock" || fail "pip could not install $lock; its message is above."
    fi
    rm -f "$UNFINISHED"
    # Last, and in one move, so that a run that is killed leaves no stamp.
    wanted_stamp "$1" >"$UNFINISHED.stamp"
    mv "$UNFINISHED.stamp" "$(stamp_of "$1")"
}

with_pip() {
    # Twice quiet: errors only.
    "$VENV_PYTHON" -m pip install -qq --disable-pip-version-check --require-hashes "$@"
}

# uv installs four times faster than pip. Its version and hashes are those of the developers'
# lock.
install_uv() {
    [ ! -x "$VENV/bin/uv" ] || return 0
    awk '/^uv==/ { on = 1 } on { print } on && !/\\$/ { exit }' "$(lock_of dev)" \
        >"$VENV/uv-requirements.txt"
    with_pip --no-deps -r "$VENV/uv-requirements.txt" 2>"$VENV/uv.log" && [ -x "$VENV/bin/uv" ]
}

# uv does not read pip's settings; where somebody set an index for pip, uv is to use it too.
with_uv() {
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] &&
        index=$("$VENV_PYTHON" -m pip config get global.index-url 2>/dev/null); then
        export UV_DEFAULT_INDEX="$index"
    fi
    # Behind a proxy with certificates of its own only the system's store will do; a small
    # container may have no store, and then uv's own does.
    for certificates in --system-certs --no-system-certs; do
        # Without --compile-bytecode the first start of each process would compile its imports.
        ! "$VENV/bin/uv" pip install --quiet --python "$VENV_PYTHON" --link-mode copy \
            $certificates --require-hashes --compile-bytecode -r "$1" 2>"$VENV/uv.log" || return 0
    done
    return 1
}

# Two runs at once, say `make demo` and `make test` in two windows, must not install into one
# environment together. Where there is no flock (macOS) that is left to the user.
lock_out_others() {
    command -v flock >/dev/null 2>&1 || return 0
    mkdir -p var
    exec 9>var/bootstrap.lock
    flock -n 9 || {
        say "Waiting for another set-up of this folder to finish."
        flock 9
    }
}

# -- What the tests need from the system ----------------------------------------------------

as_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() {
    say "Installing $* with apt-get."
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -q update && apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"; } >var/apt.log 2>&1 || {
        tail -n 5 var/apt.log >&2
        return 1
    }
}

have_chromium() {
    for name in chromium chromium-browser google-chrome; do
        ! command -v "$name" >/dev/null 2>&1 || return 0
    done
    return 1
}

have_postgresql() {
    for found in /usr/lib/postgresql/*/bin/initdb; do [ ! -x "$found" ] || return 0; done
    command -v initdb >/dev/null 2>&1
}

# Debian starts a server of its own right after the installation. The tests start their own,
# and nothing should be left running, so the package is told to make none.
install_postgresql() {
    settings=/etc/postgresql-common/createcluster.conf
    [ -e "$settings" ] || apt_install postgresql-common || return 1
    # Only the commented default is changed, never an administrator's own setting, and only
    # for the installation.
    cp -p "$settings" "$settings.sallyport"
    sed -i 's/^#create_main_cluster = true/create_main_cluster = false/' "$settings"
    failed=0
    apt_install postgresql || failed=1
    mv "$settings.sallyport" "$settings"
    return $failed
}

system_parts() {
    mkdir -p var
    have_chromium || { as_root && apt_install chromium fonts-dejavu-core; } || say \
        "Chromium is missing: the browser tests will fail. As root: apt-get install chromium"
    have_postgresql || { as_root && install_postgresql; } || say \
        "PostgreSQL's server is missing: tests with a database will fail." \
        "As root: apt-get install postgresql"
}

# -------------------------------------------------------------------------------------------

kind=${1:-}
case $kind in
sandbox) ! installed sandbox || exit 0 ;;
dev) ! installed dev || { system_parts && exit 0; } ;;
*) fail "usage: scripts/bootstrap.sh sandbox|dev" ;;
esac

lock_out_others
if ! installed "$kind"; then
    make_venv
    install "$kind"
    # The developers' lock holds the sandbox's packages in the same versions (`make lock`).
    [ "$kind" != dev ] || wanted_stamp sandbox >"$(stamp_of sandbox)"
fi
[ "$kind" != dev ] || system_parts
