#!/bin/sh
# Makes .venv with everything that constraints.txt pins, and does nothing when it is there already.
#
# The stamp is written last and names what the environment was made from: an install that was broken off, another Python,
# a changed pyproject.toml or constraints.txt, or a checkout that was moved make it run again.
# PYTHON=… chooses the Python to make it with. With --can it only says, by its exit code, whether there is one to make it with.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/installed-from

say() { printf '%s\n' "$*" >&2; }

fingerprint() {
    cat pyproject.toml constraints.txt scripts/environment.sh | cksum
    "$venv/bin/python" -c 'import sys; print(sys.version)'
    pwd -P
}

is_usable() { # a Python that is new enough
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

is_working() { # a Python that is new enough, and a pip that runs
    is_usable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1
}

find_python() { # sets `python`, and `new_enough` where one only lacks its venv module
    new_enough= python=
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        is_usable "$candidate" || continue
        new_enough=$candidate
        "$candidate" -c 'import venv, ensurepip' >/dev/null 2>&1 || continue
        python=$candidate
        break
    done
}

if [ "${1:-}" = --can ]; then
    find_python
    [ -n "$python" ]
    exit
fi

if is_usable "$venv/bin/python" && [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ]; then
    exit 0
fi
rm -f "$stamp"

# An environment made by another tool may lack pip and nothing else.
if is_usable "$venv/bin/python" && ! is_working; then
    "$venv/bin/python" -m ensurepip >/dev/null 2>&1 || :
fi

if ! is_working; then
    find_python
    if [ -z "$new_enough" ]; then
        say "error: Python 3.11 or newer is needed and none is on the PATH; install it, or name one: make PYTHON=/path/to/python3"
        exit 1
    fi
    if [ -z "$python" ]; then
        say "error: $new_enough lacks its venv module; install it (Debian, Ubuntu: apt-get install python3-venv) and try again"
        exit 1
    fi
    say "Making $venv with $("$python" --version) …"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

say "Installing the pinned packages into $venv (one to three minutes, once) …"
# The build backend is pinned too: older pips read the one variable for it, newer ones the other.
PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 \
    "$venv/bin/python" -m pip install --quiet --no-input -c constraints.txt -e '.[dev]'
fingerprint >"$stamp"
