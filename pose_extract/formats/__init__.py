"""Tracks in the files of other tools and of data sets: read and written, chosen by name.

Many files: each format is one module of its name with the same three functions, ``find``, ``read`` and ``write``.
"""
