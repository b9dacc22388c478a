#!/usr/bin/env bash
# clang-tidy over every C++ file of ours; a warning is an error.
# usage: tidy.sh JOBS PYTHON
set -eu

jobs=${1:-2}
python=${2:-python3}

tidy=""
for name in clang-tidy clang-tidy-{20,19,18,17,16,15,14}; do
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
flags=(-std=c++20 -Wall -Wextra -Inative -isystem native/vendor -isystem "$include")
find native/python native/tests -name '*.cpp' | sort |
    xargs -r -P "$jobs" -I{} "$tidy" --quiet {} -- "${flags[@]}"
# a header read alone may well not use all its constants
find native/whence native/python -name '*.hpp' | sort |
    xargs -r -P "$jobs" -I{} "$tidy" --quiet {} -- -x c++ "${flags[@]}" \
        -Wno-unused-const-variable -Wno-unused-function -Wno-pragma-once-outside-header
