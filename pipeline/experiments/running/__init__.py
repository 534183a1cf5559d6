"""Cells of an experiment: measured once, by one process or several, and put into tables."""
