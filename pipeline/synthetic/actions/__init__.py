"""Clips of one person doing one action: coarse-grained data (paper, section 4.2)."""
