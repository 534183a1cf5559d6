"""Tell when a video's pictures are shown without decoding them: by the packets of its container."""

from __future__ import annotations

import subprocess
from array import array
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pose_extract.video.ffmpeg import command_line, find_ffmpeg, local_file

_DISCARDED = 4  # ffmpeg's mark of packets that are decoded and not shown
_UNKNOWN = -(1 << 63)  # a time that ffmpeg does not know


def packet_times(path: Path) -> NDArray[np.float64] | None:
    """(F,) when the pictures of ``path`` are shown, in seconds since the first, told without decoding them.

    None where they are not told, or not in order, as in recordings that were joined end to end.
    """
    binary = find_ffmpeg()
    plain = dict.fromkeys(("hide_banner", "nostdin", "copyts", "start_at_zero"))
    output = local_file(path, loglevel="quiet", **plain).output(
        "pipe:1", map="0:V:0", c="copy", f="framecrc", map_metadata=-1
    )
    base, shown, decoded = Fraction(0), array("q"), array("q")
    with subprocess.Popen(
        command_line(output, binary),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith(b"#tb 0:"):
                base = Fraction(line.partition(b":")[2].decode().strip())
            if line.startswith(b"#"):
                continue
            _, dts, pts, *rest = line.split(b",")
            if b"F=" in rest[-1] and int(rest[-1].partition(b"=")[2], 16) & _DISCARDED:
                continue
            shown.append(int(pts))
            decoded.append(int(dts))
    # Some containers say only when a picture is decoded; in order these are the times at which one is shown.
    ticks = np.array(decoded if _UNKNOWN in shown else shown, np.int64)
    if child.returncode or not base or len(ticks) < 2 or _UNKNOWN in ticks:
        return None
    joined = (np.maximum.accumulate(ticks) - ticks).max() * base > 1
    ticks.sort()
    if joined or not np.diff(ticks).all():
        return None
    return np.asarray((ticks - ticks[0]) * base.numerator / base.denominator, np.float64)
