"""What normal looks like: one estimator a file (paper, section 3.4, and the parts beside it)."""
