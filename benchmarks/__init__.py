"""Measurements. Each module runs alone (`python -m benchmarks.NAME`); `make bench` runs the quick ones."""
