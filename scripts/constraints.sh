#!/bin/sh
# Writes constraints.txt: every package that any extra needs, and the build backend, pinned for every Python and system at once.
# Needs uv. What comes out holds no address of any index.
set -eu
cd "$(dirname "$0")/.."

new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
    echo "# Every package, pinned, for Python 3.11 and newer on every system. Made by \`make constraints\`; do not edit."
    printf 'hatchling\neditables\n' |
        uv pip compile pyproject.toml - --quiet --all-extras --universal --python-version 3.11 \
            --upgrade --no-header --no-annotate --no-emit-index-url --no-emit-find-links
} >"$new"
cat "$new" >constraints.txt
