"""Videos to cached tracks: one clip, and all clips of a command."""
