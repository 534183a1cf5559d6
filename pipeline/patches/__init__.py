"""Patch features of clips: which a model needs, and how they are made."""
