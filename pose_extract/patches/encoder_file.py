"""What names a patch encoder: the hash of its file. Nothing here imports torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pose_extract.errors import WeightsError


def encoder_digest(path: Path) -> str:
    """SHA-256 of the file, in hexadecimal; raises WeightsError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
