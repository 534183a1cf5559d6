"""Choose fonts for names in any script, and a box for letters that no font has."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any

_FIRST = "DejaVu Sans"  # comes with matplotlib
_MISSING = "\N{WHITE SQUARE}"
_LIKELY = ("noto", "cjk", "arial unicode", "unifont", "segoe", "gothic", "hei", "freesans")


@lru_cache(maxsize=256)
def drawable(text: str) -> tuple[str, tuple[str, ...]]:
    """What to write for ``text`` and the font families to write it with, the first one first.

    Control characters and letters that no installed font has become boxes; the rest stays as it is.
    """
    from matplotlib import font_manager

    text = "".join(_MISSING if unicodedata.category(sign).startswith("C") else sign for sign in text)
    missing = set(text) - _letters(font_manager.findfont(_FIRST))
    families = [_FIRST]
    for entry in sorted(font_manager.fontManager.ttflist, key=_likelihood) if missing else ():
        if "last resort" in entry.name.lower():  # has a picture of a box for everything
            continue
        found = missing & _letters(entry.fname)
        if found and entry.name not in families:
            families.append(entry.name)
            missing -= found
        if not missing:
            break
    return "".join(_MISSING if sign in missing else sign for sign in text), tuple(families)


def _likelihood(entry: Any) -> tuple[bool, bool, str]:
    """Order in which fonts are searched: those known for many scripts first, upright and regular ones first."""
    plain = entry.style == "normal" and entry.weight in (400, "normal", "regular")
    return not any(part in entry.name.lower() for part in _LIKELY), not plain, entry.name


@lru_cache(maxsize=1024)
def _letters(path: str) -> frozenset[str]:
    """Letters that a font has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()
