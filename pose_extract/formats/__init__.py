"""Tracks in the files of other tools and of data sets: read and written, chosen by name."""
