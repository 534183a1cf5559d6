"""Pose estimators, chosen by name."""
