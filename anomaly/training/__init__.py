"""Pre-training, k-means and fine-tuning, resumable (paper, section 3.5)."""
