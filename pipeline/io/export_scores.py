"""Export tracks with their scores: COCO-video JSON, which FiftyOne reads, and Parquet, for pandas.

docs/events.md has the columns and keys.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.scores import ClipScores
from pipeline.scoring import Scorer, score_chunks
from pose_extract.errors import FormatError, UsageError
from pose_extract.files import complete_or_absent, write_atomically
from pose_extract.formats.parsing import boxes_around, finite_joints
from pose_extract.skeletons import SKELETONS, Skeleton
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks, cut_frames

FORMATS = ("coco-video", "parquet")
FRAMES = ("all", "people", "alarms")
_PART_FRAMES = 5000


@dataclass(frozen=True)
class Part:
    """A part of a clip: cleaned tracks with their scores, or tracks as extracted where there is no model.

    Attributes:
        begin: its first frame.
        tracks: its people; frames count from the part's first.
        scores: of its frames and rows; None without a model.
    """

    begin: int
    tracks: ClipTracks
    scores: ClipScores | None


def tracks_of(path: Path, scorer: Scorer | None) -> ClipTracks:
    """A tracks file, with the features that a model needs."""
    return load_tracks(path, features=False) if scorer is None else scorer.load(path)


def parts_of(tracks: ClipTracks, scorer: Scorer | None) -> Iterator[Part]:
    """A clip part by part: memory does not grow with its length."""
    if scorer is not None:
        for begin, part, scores in score_chunks(scorer, tracks, _PART_FRAMES):
            yield Part(begin, part, scores)
        return
    for begin in range(0, tracks.frame_count, _PART_FRAMES):
        stop = min(begin + _PART_FRAMES, tracks.frame_count)
        yield Part(begin, cut_frames(tracks, begin, stop), None)


def export_coco_video(
    paths: Sequence[Path], out: Path, scorer: Scorer | None, frames: str = "all", pictures: bool = False
) -> int:
    """Write ``out/labels.json``, and ``out/data/<clip>/<frame>.jpg`` if asked for; returns the number of clips.

    Args:
        paths: tracks files of 2-D joints, all of one skeleton.
        out: the folder.
        scorer: the model; None: no scores.
        frames: "all", those with "people", or those with "alarms".
        pictures: also the frames themselves, decoded from the videos that the tracks were extracted from.

    Raises:
        UsageError: alarms without a model, two clips of one name, or a clip's video is not there.
        FormatError: joints in space, or of several skeletons.
        OutputError: a file cannot be written.
    """
    if frames not in FRAMES:
        raise UsageError(f"--frames: expected one of {', '.join(FRAMES)}, got {frames!r}")
    if frames == "alarms" and scorer is None:
        raise UsageError("--frames alarms needs a model: train one, or name one with --model")
    clips = checked_clips(paths, dimensions=3)
    skeleton = skeleton_of(load_tracks(paths[0], features=False), scorer)
    with ExitStack() as stack:
        file = stack.enter_context(complete_or_absent(out / "labels.json"))
        people = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
        head = {
            "info": {"description": "gepc-pipeline: people, poses and anomaly scores"},
            "categories": [
                {
                    "id": 1,
                    "name": "person",
                    "supercategory": "person",
                    "keypoints": list(skeleton.joints),
                    "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges],
                }
            ],
            "videos": [
                _video(number, load_tracks(path, features=False)) for number, path in enumerate(paths, 1)
            ],
        }
        file.write(json.dumps(head)[:-1] + ', "images": [')
        writer = _CocoWriter(file, people)
        for number, (clip, path) in enumerate(zip(clips, paths, strict=True), 1):
            tracks = tracks_of(path, scorer)
            chosen = [writer.add(number, clip, part, frames) for part in parts_of(tracks, scorer)]
            if pictures:
                _write_pictures(tracks, out / "data" / clip, np.concatenate([np.zeros(0, np.int64), *chosen]))
        file.write('\n], "annotations": [')
        people.seek(0)
        while text := people.read(1 << 20):
            file.write(text)
        file.write("\n]}\n")
    return len(clips)


class _CocoWriter:
    """Writes images as they come, and annotations, which follow them in the file, to another one meanwhile."""

    def __init__(self, images: IO[str], people: IO[str]) -> None:
        self._images, self._people = images, people
        self._image_id = self._person_id = 0

    def add(self, video: int, clip: str, part: Part, frames: str) -> NDArray[np.int64]:
        """Write a part's frames of the kind asked for; returns their numbers in the clip."""
        tracks, scores = part.tracks, part.scores
        starts = np.searchsorted(tracks.frame, np.arange(tracks.frame_count + 1))
        wanted = np.ones(tracks.frame_count, bool)
        if frames == "people":
            wanted = np.diff(starts) > 0
        elif frames == "alarms" and scores is not None:
            wanted = scores.frames.alarm
        width, height = tracks.frame_size
        boxes = _boxes(tracks)
        for frame in np.flatnonzero(wanted):
            number = part.begin + int(frame)
            self._image_id += 1
            image: dict[str, Any] = {
                "id": self._image_id,
                "video_id": video,
                "frame_id": number,
                "file_name": picture_name(clip, number),
                "width": width,
                "height": height,
                "time_s": round(float(tracks.time_s[frame]), 6),
            }
            if scores is not None:
                image |= {
                    "anomaly_score": round(float(scores.frames.score[frame]), 6),
                    "alarm": bool(scores.frames.alarm[frame]),
                    "judged": bool(scores.frames.judged[frame]),
                }
                if image["judged"]:
                    image["anomaly_percentile"] = round(float(scores.frames.percentile[frame]), 3)
            self._images.write(
                ("," if self._image_id > 1 else "") + "\n" + json.dumps(image, allow_nan=False)
            )
            for row in range(starts[frame], starts[frame + 1]):
                self._person_id += 1
                person = {"id": self._person_id, "image_id": self._image_id, **_person(part, row, boxes[row])}
                self._people.write(
                    ("," if self._person_id > 1 else "") + "\n" + json.dumps(person, allow_nan=False)
                )
        return part.begin + np.flatnonzero(wanted)


def picture_name(clip: str, frame: int) -> str:
    """A frame's picture within ``data/``."""
    return f"{clip}/{frame:06}.jpg"


def _person(part: Part, row: int, box: NDArray[np.float64]) -> dict[str, Any]:
    joints = finite_joints(part.tracks.keypoints[row])
    confidence = np.clip(joints[:, 2], 0, 1)
    seen = np.where(
        confidence >= 0.5, 2, np.where(confidence > 0, 1, 0)
    )  # COCO's flags: visible, hidden, missing
    flat = [v for (x, y, _), flag in zip(joints.tolist(), seen.tolist(), strict=True)
            for v in (round(x, 2), round(y, 2), flag)]  # fmt: skip
    x1, y1, x2, y2 = (round(float(v), 2) for v in box)
    person = {
        "category_id": 1,
        "track_id": int(part.tracks.track[row]),
        "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        "area": round((x2 - x1) * (y2 - y1), 2),
        "iscrowd": 0,
        "keypoints": flat,
        "num_keypoints": int((seen > 0).sum()),
        "scores": [round(float(c), 4) for c in confidence],
        "score": round(float(confidence.mean()), 4),
    }
    if part.scores is not None and not np.isnan(part.scores.row_score[row]):
        person["anomaly_score"] = round(float(part.scores.row_score[row]), 6)
        person["anomaly_percentile"] = round(float(part.scores.row_percentile[row]), 3)
    return person


def _boxes(tracks: ClipTracks) -> NDArray[np.float64]:
    """Everybody's box; of who has none, one around the joints; of who has none of those either, zeros."""
    boxes = np.asarray(tracks.boxes, np.float64)
    missing = ~np.isfinite(boxes).all(axis=1)
    if missing.any():
        boxes = boxes.copy()
        boxes[missing] = np.nan_to_num(boxes_around(tracks.keypoints[missing]))
    return boxes


def _video(number: int, tracks: ClipTracks) -> dict[str, Any]:
    width, height = tracks.frame_size
    return {
        "id": number,
        "name": tracks.clip,
        "file_name": PurePath(str(tracks.provenance.get("source") or tracks.clip)).name,
        "width": width,
        "height": height,
        "fps": round(tracks.fps, 6),
        "frames": tracks.frame_count,
    }


def checked_clips(paths: Sequence[Path], dimensions: int | None = None) -> list[str]:
    """The clips' names, which must differ; their skeletons must not."""
    names: dict[str, Path] = {}
    kinds: dict[tuple[str, int], str] = {}
    for path in paths:
        tracks = load_tracks(path, features=False)
        if tracks.clip in names:
            raise UsageError(
                f"{path} and {names[tracks.clip]} both hold a clip {tracks.clip!r}; export them to two folders"
            )
        names[tracks.clip] = path
        if dimensions is not None and tracks.keypoints.shape[2] != dimensions:
            raise FormatError(f"clip {tracks.clip}: coco-video files hold 2-D joints, these are 3-D")
        kinds.setdefault((tracks.skeleton, tracks.keypoints.shape[2]), tracks.clip)
    if len(kinds) > 1:
        text = ", ".join(f"{clip} ({skeleton})" for (skeleton, _), clip in kinds.items())
        raise FormatError(f"clips of several skeletons do not go together: {text}; choose some with --clips")
    return list(names)


def skeleton_of(tracks: ClipTracks, scorer: Scorer | None) -> Skeleton:
    """The joints' names: of the model's own skeleton, or of one that comes with the program."""
    person = None if scorer is None else scorer.model.settings.windows.person
    found = (
        person if person is not None and person.name == tracks.skeleton else SKELETONS.get(tracks.skeleton)
    )
    if found is None:
        raise FormatError(f"clip {tracks.clip}: its skeleton {tracks.skeleton!r} is known to no model here")
    return found


def _write_pictures(tracks: ClipTracks, folder: Path, frames: NDArray[np.int64]) -> None:
    import cv2

    from pose_extract.video import VideoReader, VideoSettings, content_hash, source_at

    location = str(tracks.provenance.get("source") or "")
    source, settings = source_at(location), tracks.provenance.get("settings")
    if not isinstance(settings, dict) or source is None:
        raise UsageError(
            f"clip {tracks.clip}: --pictures needs the video that it was extracted from, which is not at {location}"
        )
    made_of = tracks.provenance.get("content")
    if made_of is not None and content_hash(source) != made_of:
        raise UsageError(
            f"clip {tracks.clip}: --pictures needs the video that it was extracted from; {location} is another one now"
        )
    first = int((tracks.provenance.get("learned") or {}).get("first_frame", 0))  # cut out of another clip
    wanted = set(frames.tolist())
    with VideoReader(source, VideoSettings(**settings.get("video", {}))) as reader:
        for frame in reader:
            number = frame.index - first
            if number in wanted:
                wanted.discard(number)
                data = cv2.imencode(".jpg", frame.image, (cv2.IMWRITE_JPEG_QUALITY, 90))[1]
                write_atomically(folder / f"{number:06}.jpg", bytes(data))
            if not wanted:
                break
