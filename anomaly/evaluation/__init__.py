"""Metrics of frame scores against labels."""
