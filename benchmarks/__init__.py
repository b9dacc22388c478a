"""Benchmarks: every figure is a ratio, taken in one run beside a peer or a limit."""
