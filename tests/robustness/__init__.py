"""Broken input of every kind, made with a fixed seed: each ends in one clear line or in a full result."""
