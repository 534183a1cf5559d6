"""Frames from cameras and files, each read by a decoder process of its own."""
