"""Bundles as somebody else may have made them."""

import json
from pathlib import Path

from anomaly.bundle.card import CARD


def without_digests(folder: Path) -> Path:
    """Take the files' digests out of a bundle's card, so that a change is found by what it is; returns the folder."""
    card = json.loads((folder / CARD).read_text())
    del card["digests"]
    (folder / CARD).write_text(json.dumps(card))
    return folder
