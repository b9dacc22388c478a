#!/usr/bin/env bash
# Installs whence into a fresh environment of each given interpreter and tries it.
# usage: pythons.sh PYTHON...
set -eu

if [ $# -eq 0 ]; then
    echo 'usage: make pythons PYTHONS="python3.12 python3.13"' >&2
    exit 2
fi

here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for python in "$@"; do
    echo "== $("$python" -V 2>&1)"
    "$python" -m venv "$work/venv"
    "$work/venv/bin/pip" install -q "$here"
    # from another folder, so that the installed package is tried and not the sources
    (cd "$work" && WHENCE_DIR="$work" "$work/venv/bin/python" "$here/tools/smoke.py")
    rm -rf "$work/venv"
done
