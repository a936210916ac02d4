"""Benchmarks: every figure beside a baseline that was measured in the same run (DESIGN 10). ``python -m bench --help``."""
