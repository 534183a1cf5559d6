"""Write people's poses and things for the page, in pieces of some seconds that it loads as it needs them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.review.files import packed, write_script
from pipeline.scoring.online import join_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames
from pose_extract.tracks.things import PERSON, ClipThings

_RATE = 12.5  # poses a second at least; the page draws the frames between them by interpolation
_PIECE_S = 20.0
_PART_FRAMES = 5000
_MIN_CONFIDENCE = 0.3  # joints below are not drawn
_UNSEEN = 255
NOT_SCORED = 0


def levels(percentile: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Percentiles 0..100 as bytes 1..255, 0 where NaN."""
    known = np.nan_to_num(percentile, nan=-1.0)
    return np.where(known < 0, NOT_SCORED, 1 + np.round(known * 2.54)).astype(np.uint8)


class PoseFiles:
    """Writes ``poses-0.js``, ``poses-1.js`` and so on into a clip's folder.

    A joint is two bytes: its place in the person's box, 0 to 254; a sample of a COCO person takes 47 bytes. Things are
    those of each look for them, 13 bytes each.

    Attributes:
        part_frames: a clip that comes in parts of so many frames is written as it comes.
        bytes: size of the files written.
    """

    def __init__(self, folder: Path, name: str, tracks: ClipTracks) -> None:
        self._folder, self._name = folder, name
        self._joints = tracks.keypoints.shape[1]
        self._step = max(1, int(tracks.fps / _RATE))
        self._samples = max(1, round(_PIECE_S * tracks.fps / self._step))  # of a piece
        piece = self._samples * self._step
        self.part_frames = piece * max(1, _PART_FRAMES // piece)
        self._pieces: list[int] = []
        self._frames = tracks.frame_count
        self._waiting: list[tuple[ClipTracks, NDArray[np.float64]]] = []  # of a piece that is not complete
        self.bytes = 0

    def add(self, begin: int, part: ClipTracks, percentile: NDArray[np.float64]) -> None:
        """Take in the part of the clip that begins at frame ``begin``, with its people's percentiles (M,)."""
        first = begin - sum(waiting.frame_count for waiting, _ in self._waiting)
        self._waiting.append((replace(part, features=None), percentile))
        stop, piece = begin + part.frame_count, self._samples * self._step
        ready = stop if stop >= self._frames else stop // piece * piece
        if ready <= first:
            return  # scores as they come are of a fraction of a second
        known = join_tracks([waiting for waiting, _ in self._waiting])
        every = np.concatenate([own for _, own in self._waiting])
        rows = int(np.searchsorted(known.frame, ready - first))
        self._write_pieces(first, cut_frames(known, 0, ready - first), every[:rows])
        rest = cut_frames(known, ready - first, known.frame_count)
        self._waiting = [(rest, every[rows:])] if rest.frame_count else []

    def _write_pieces(self, begin: int, part: ClipTracks, percentile: NDArray[np.float64]) -> None:
        sampled = np.flatnonzero((begin + part.frame) % self._step == 0)
        sample = (begin + part.frame[sampled]) // self._step
        first = begin // self._step // self._samples
        last = (begin + max(part.frame_count, 1) - 1) // self._step // self._samples
        for piece in range(first, last + 1):
            low, high = np.searchsorted(sample, [piece * self._samples, (piece + 1) * self._samples])
            start = piece * self._samples
            things = self._things(start * self._step - begin, part.things)
            if high > low or things is not None:
                self._write(piece, sample[low:high] - start, part, sampled[low:high], percentile, things)

    def _things(self, first: int, things: ClipThings | None) -> dict[str, str] | None:
        """Those of the piece that begins at a part's frame ``first``; None if there are none."""
        if things is None:
            return None
        stop = first + self._samples * self._step
        looked = things.looked[slice(*np.searchsorted(things.looked, [first, stop]))]
        rows = np.arange(*np.searchsorted(things.frame, [first, stop]))
        rows = rows[things.things.kinds[rows] != PERSON]
        if not len(rows):
            return None
        own = things.things.select(rows)
        return {
            "frame": packed(looked - first, "u4"),
            "start": packed(np.append(np.searchsorted(things.frame[rows], looked), len(rows)), "u4"),
            "id": packed(own.ids, "u4"),
            "kind": packed(own.kinds, "u1"),
            "box": packed(np.clip(np.round(own.boxes), -32768, 32767), "i2"),
        }

    def _write(
        self,
        piece: int,
        sample: NDArray[np.integer],
        part: ClipTracks,
        rows: NDArray[np.integer],
        percentile: NDArray[np.float64],
        things: dict[str, str] | None,
    ) -> None:
        keypoints = np.asarray(part.keypoints[rows], np.float64)
        xy, boxes = keypoints[..., :2], np.asarray(part.boxes[rows], np.float64)
        seen = (keypoints[..., -1] >= _MIN_CONFIDENCE) & np.isfinite(xy).all(axis=2)
        if keypoints.shape[2] == 4:  # joints in space: pixels only if they lie about the box
            centre = (
                np.ma.masked_array(xy, np.repeat(~seen[..., None], 2, axis=2)).mean(axis=1).filled(np.nan)
            )
            seen &= ((centre >= boxes[:, :2]) & (centre <= boxes[:, 2:])).all(axis=1)[:, None]
        shown = np.where(seen[..., None], xy, np.nan)
        low = np.floor(np.fmin(boxes[:, :2], np.fmin.reduce(shown, axis=1)))
        high = np.ceil(np.fmax(boxes[:, 2:], np.fmax.reduce(shown, axis=1)))
        box = np.clip(np.nan_to_num(np.concatenate([low, high], axis=1)), -32768, 32767).astype(np.int16)
        origin, size = (
            box[:, None, :2].astype(float),
            np.maximum(box[:, 2:].astype(float) - box[:, :2], 1)[:, None],
        )
        place = np.where(seen[..., None], np.clip(np.round((xy - origin) / size * 254), 0, 254), _UNSEEN)
        self._pieces.append(piece)
        self.bytes += write_script(
            self._folder,
            f"{self._name}/poses-{piece}",
            {
                "start": packed(np.searchsorted(sample, np.arange(self._samples + 1)), "u4"),
                "track": packed(part.track[rows], "u4"),
                "level": packed(levels(percentile[rows]), "u1"),
                "box": packed(box, "i2"),
                "joints": packed(place, "u1"),
                "things": things,
            },
        )

    def describe(self) -> dict[str, Any]:
        """What the page must know to read them."""
        return {"step": self._step, "samples": self._samples, "joints": self._joints, "pieces": self._pieces}
