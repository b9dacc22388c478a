"""Prints the verdict on every form and mutant of the ring's protocol; exits 1 on a wrong one."""

from __future__ import annotations

import sys
import time

from cases import CASES, Case
from crash_machine import Findings

__all__ = ["main", "table_row"]


def main() -> int:
    """Examine all cases and print the table. Returns the exit code."""
    wrong = 0
    states = 0
    started = time.perf_counter()
    print(f"{'':7} {'states':>7}  {'form or mutant':40} why")
    for case in CASES:
        found = case.examine()
        states += found.states
        wrong += bool(case.complaint(found))
        print(table_row(case, found))
    mutants = sum(not case.safe for case in CASES)
    print(
        f"\n{len(CASES) - mutants} forms that must be safe, {mutants} mutants that must be caught, "
        f"{wrong} not as expected; {states} states in {time.perf_counter() - started:.1f} s"
    )
    return 1 if wrong else 0


def table_row(case: Case, found: Findings) -> str:
    """One line of the table; a broken promise of a mutant is named behind its reason."""
    verdict = "UNSAFE" if found.broken else "safe"
    complaint = case.complaint(found)
    broken = f" [{', '.join(found.broken)}]" if found.broken else ""
    row = f"{verdict:7} {found.states:7}  {case.name:40} {case.reason}{broken}"
    return f"{row}\n  WRONG: {complaint}" if complaint else row


if __name__ == "__main__":
    sys.exit(main())
