"""Benchmarks: every figure beside a baseline measured in the same run (DESIGN 10). ``python -m bench --help``."""
