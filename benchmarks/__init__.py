"""Measurements: always a ratio of two sides in one run. See `python -m benchmarks --help`."""
