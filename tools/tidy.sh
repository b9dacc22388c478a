#!/usr/bin/env bash
# clang-tidy over every C++ file of ours; a warning is an error.
# usage: tidy.sh JOBS PYTHON      CLANG_TIDY names the program to use
set -eu

jobs=${1:-2}
python=${2:-python3}

tidy=""
for name in ${CLANG_TIDY:-} clang-tidy clang-tidy-{20,19,18,17,16,15,14}; do
    if command -v "$name" >/dev/null; then
        tidy=$name
        break
    fi
done
if [ -z "$tidy" ]; then
    echo "clang-tidy is missing. Install it with:" >&2
    echo "  apt install clang-tidy" >&2
    exit 1
fi

include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')

# headers that no source file includes yet are read as well, through a file that includes all
alone=$(mktemp -d)
trap 'rm -rf "$alone"' EXIT
cp .clang-tidy "$alone"
printf '#include "%s"\n' "$PWD"/native/whence/*.hpp >"$alone/headers.cpp"

find native/python native/tests "$alone" -name '*.cpp' | sort |
    xargs -r -P "$jobs" -I{} "$tidy" --quiet {} -- -std=c++20 -Wall -Wextra \
        -Wno-unused-const-variable -Inative -isystem native/vendor -isystem "$include"
