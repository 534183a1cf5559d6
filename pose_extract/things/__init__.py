"""Find and follow what is not a person."""
