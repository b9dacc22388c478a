#!/usr/bin/env bash
# Runs built C++ test programs one after another and stops at the first that fails.
# usage: run_native.sh SECONDS PROGRAM...      a program named *_stress is given SECONDS
set -eu

seconds=$1
shift
if [ $# -eq 0 ]; then
    echo "no programs in native/tests" >&2
    exit 1
fi

export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1 second_deadlock_stack=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# ThreadSanitizer of older compilers cannot place its shadow under high-entropy address layouts.
fixed_layout=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_layout=(setarch "$(uname -m)" -R)
fi

for program in "$@"; do
    arguments=()
    case $program in *_stress) arguments=("$seconds") ;; esac
    echo "== $program ${arguments[*]:-}"
    # each program records into a folder of its own, so that no run sees another's files
    folder=$(mktemp -d)
    status=0
    WHENCE_DIR=$folder "${fixed_layout[@]}" "$program" "${arguments[@]}" </dev/null || status=$?
    rm -rf "$folder"
    if [ "$status" -ne 0 ]; then
        echo "FAILED ($status): $program" >&2
        exit "$status"
    fi
done
