"""What several tests need: made-up people and videos, reference implementations, damaged files."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The repository."""
