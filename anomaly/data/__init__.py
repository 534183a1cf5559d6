"""Tracks to normalised windows, and windows to training batches (paper, sections 3.1 and 4.1)."""
