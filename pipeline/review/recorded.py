"""Tell when and by which camera a video was recorded, from its file's name or its metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pose_extract.video.metadata import Metadata

# A date and a time of day, written as recorders write them: 20240512-081500, 2024-05-12_08.15.00, 2024-05-12T08-15-00Z.
_STAMP = re.compile(
    r"(?<!\d)(?P<date>(?:19|20)\d\d([-_.]?)\d\d\2\d\d) ?[T_.-]? ?(?P<time>\d\d([-_.:h]?)\d\d[-_.:m]?\d\d)(?!\d)"
    r"(?:s(?![A-Za-z]))?(?P<zone>(?:Z(?![A-Za-z]))?)",
    re.ASCII,
)
# What recorders write beside the date that names no camera.
_NAMELESS = re.compile(r"(?i)^(?:vid|video|mov|img|pxl|rec|recording|clip|dji)?\d*$")
_FIRST_YEAR = 1990


@dataclass(frozen=True)
class Recorded:
    """When and where a video was recorded, as far as its file tells.

    Attributes:
        at: when its first frame was: ISO 8601, with the offset from UTC if that is known; empty: not told.
        told_by: "name" or "metadata"; empty likewise.
        camera: its name, or else make and model; empty: not told.
    """

    at: str = ""
    told_by: str = ""
    camera: str = ""


def recorded(name: str, metadata: Metadata | None = None) -> Recorded:
    """What a video's file tells of when and where it was recorded.

    Args:
        name: of the file, with its ending. A date and a time in it are the recorder's own clock; what stands beside
            them is the camera: "entrance_20240512-081500.mp4".
        metadata: what the file says of its recording, where the name does not tell. Some cameras write when they
            stopped.
    """
    told = metadata or Metadata()
    stem = re.sub(r"\.[A-Za-z]\w{0,4}$", "", name)
    for stamp in _STAMP.finditer(stem):
        digits = re.sub(r"\D", "", stamp["date"] + stamp["time"])
        try:
            at = datetime.strptime(digits, "%Y%m%d%H%M%S")
        except ValueError:
            continue
        if at.year >= _FIRST_YEAR:
            zone = "+00:00" if stamp["zone"] else ""
            return Recorded(at.isoformat() + zone, "name", _camera(stem, stamp) or told.device)
    return Recorded(told.created or "", "metadata" if told.created else "", told.device)


def _camera(stem: str, stamp: re.Match[str]) -> str:
    """What stands before the date, or else behind it (behind its end too, where a recorder writes both)."""
    for text in (stem[: stamp.start()], _STAMP.sub("", stem[stamp.end() :])):
        camera = text.strip(" _-.()[]@")
        if not _NAMELESS.match(camera):
            return camera
    return ""
