"""Starts the command line, or says what to install where its libraries are missing."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main() -> None:
    """Run `whence` with the process's arguments; exits with the command's code."""
    gc.set_threshold(100_000, 20, 20)  # events hold no cycles, and there may be millions of them
    try:
        from whence.cli.lean import leave_pandas_out

        leave_pandas_out()
        from whence.cli.main import cli
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        print("The command line needs two more packages. Install them with", file=sys.stderr)
        print("    pip install 'whence[cli]'", file=sys.stderr)
        raise SystemExit(2) from None
    cli(prog_name="whence")


if __name__ == "__main__":
    main()
