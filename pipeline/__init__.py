"""The command line and what chains extraction, training and scoring."""
