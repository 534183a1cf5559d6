"""What several tests need: made-up people and videos, reference implementations, damaged files."""
