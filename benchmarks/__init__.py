"""Measurements. Each module runs alone (`python -m benchmarks.NAME`); `make bench` runs the quick ones.

Many files: each measurement is one module; what several share is in `benchmarks.helpers`.
"""
