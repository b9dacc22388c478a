#!/usr/bin/env bash
# Builds sdist and wheel, installs the wheel alone into a fresh environment and tries it there.
# usage: package.sh PYTHON
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$here"
"$1" setup.py -q egg_info --egg-base "$work" sdist --dist-dir "$work"
"$1" -m pip wheel -q --no-deps --no-build-isolation --wheel-dir "$work" "$work"/whence-*.tar.gz
"$1" -m venv --without-pip "$work/venv"
"$1" -m pip --python "$work/venv/bin/python" install -q --no-index "$work"/whence-*.whl
cd "$work"
WHENCE_DIR="$work" venv/bin/python "$here/tools/smoke.py"

# without its extra the command names the line that installs it
status=0
WHENCE_DIR="$work" venv/bin/whence why >out 2>&1 || status=$?
if [ "$status" -eq 0 ] || ! grep -q "pip install" out; then
    echo "whence without [cli] should say what to install, but said ($status):" >&2
    cat out >&2
    exit 1
fi
ls -l "$work"/whence-*.whl "$work"/whence-*.tar.gz | awk '{print $5, $NF}'
