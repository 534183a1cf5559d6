"""What experiments train and test on: clips, windows, frames and splits."""
