"""Everything drawn: overlay video, plots, event pictures, action words."""
