"""Poses of other tools in; tracks, scores and models out."""
