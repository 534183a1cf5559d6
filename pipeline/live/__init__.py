"""Cameras watched as they film: from a frame to an alarm, and where alarms go."""
