"""Appearance around each joint: crops of the picture, and the small network that turns each into a vector."""
