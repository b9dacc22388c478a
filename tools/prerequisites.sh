#!/usr/bin/env bash
# Says in one line which packages are missing to build whence with the given Python; exits 1 if any is.
# usage: prerequisites.sh [PYTHON]      CXX names the compiler
set -u

python=${1:-python3}
compiler=${CXX:-g++}
missing=()

# Debian names the packages of a versioned interpreter after it: python3.12 -> python3.12-dev.
case $(basename "$python") in
    python3.[0-9]*) package=$(basename "$python") ;;
    *) package=python3 ;;
esac

command -v git >/dev/null || missing+=(git)

accepts_cxx20() {
    command -v "$compiler" >/dev/null &&
        printf '#include <version>\n#include <bit>\nint main() { return std::popcount(0u); }\n' |
        "$compiler" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null
}
accepts_cxx20 || missing+=(g++)

if ! command -v "$python" >/dev/null; then
    missing+=("$package" "$package-dev" "$package-venv")
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "whence needs Python 3.11 or newer; $python is $("$python" -V 2>&1)." >&2
    for newer in python3.14 python3.13 python3.12 python3.11; do
        command -v "$newer" >/dev/null && hint=$newer && break
    done
    echo "Name another one: make setup PYTHON=${hint:-/path/to/python3.12}" >&2
    exit 1
else
    "$python" - <<'PY' || missing+=("$package-dev")
import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())
PY
    "$python" -c 'import sys, venv
if sys.prefix == sys.base_prefix: import ensurepip' 2>/dev/null || missing+=("$package-venv")
fi

if [ ${#missing[@]} -gt 0 ]; then
    echo "Missing to build whence. Install it with:" >&2
    echo "  apt install ${missing[*]}" >&2
    exit 1
fi
