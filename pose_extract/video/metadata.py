"""Read what a file says of its recording: when it was, and with what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_NO_CLOCK = 1990  # up to here, a clock that was never set: they begin at 1904, 1970 or 1980
# As phones and cameras write them, into QuickTime and mp4; the plain ones are what ffmpeg calls those of others.
_MAKER = ("com.apple.quicktime.make", "com.android.manufacturer", "make")
_MODEL = ("com.apple.quicktime.model", "com.android.model", "model")
_MOST_LETTERS = 60


@dataclass(frozen=True)
class Metadata:
    """What a file says of its recording.

    Attributes:
        created: when it was: ISO 8601 with the offset from UTC; None: it does not say.
        device: make and model of the camera or phone; "": it does not say.
    """

    created: str | None = None
    device: str = ""

    @classmethod
    def from_log(cls, head: str) -> Metadata:
        """What ffmpeg's log says of the metadata before it decodes."""
        tags: dict[str, list[str]] = {}
        for tag, value in re.findall(r"^\[info\] +([\w.]+) *: (.*\S)", head, re.MULTILINE):
            tags.setdefault(tag.lower(), []).append(value)
        return cls(_created(tags), _device(tags))


def _created(tags: dict[str, list[str]]) -> str | None:
    """A camera's local time before the time in UTC."""
    for tag in ("com.apple.quicktime.creationdate", "creation_time"):
        for text in tags.get(tag, []):
            try:
                when = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text))
            except ValueError:
                continue
            if when.tzinfo is not None and when.year > _NO_CLOCK:
                return when.replace(microsecond=0).isoformat()
    return None


def _device(tags: dict[str, list[str]]) -> str:
    maker, model = (next((tags[tag][0] for tag in names if tag in tags), "") for names in (_MAKER, _MODEL))
    if model.lower().startswith(maker.lower()):
        maker = ""  # "HUAWEI", "HUAWEI P30"
    return f"{maker} {model}".strip()[:_MOST_LETTERS]
