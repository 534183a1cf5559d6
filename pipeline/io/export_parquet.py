"""Export frame scores and people as two Parquet tables; docs/events.md has the columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.io.export_scores import Part, checked_clips, parts_of, skeleton_of, tracks_of
from pipeline.scoring import Scorer
from pose_extract.errors import UsageError
from pose_extract.files import place_beside, writing
from pose_extract.skeletons import Skeleton
from pose_extract.tracks.cache import load_tracks

INSTALL = "pip install 'gepc-pipeline[parquet]'"


def export_parquet(paths: Sequence[Path], out: Path, scorer: Scorer | None) -> int:
    """Write ``out/frames.parquet`` and ``out/people.parquet``, all clips in each; returns the number of clips.

    Args:
        paths: tracks files, all of one skeleton.
        out: the folder.
        scorer: the model; None: the score columns are null.

    Raises:
        UsageError: pyarrow is not installed, or two clips have one name.
        FormatError: the clips have several skeletons.
        OutputError: a file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(f"export parquet needs pyarrow, which is not installed: {INSTALL}") from None
    clips = checked_clips(paths)
    first = load_tracks(paths[0], features=False)
    skeleton = skeleton_of(first, scorer)
    about = {
        clip: {
            "fps": t.fps,
            "frame_size": list(t.frame_size),
            "source": str(t.provenance.get("source") or ""),
        }
        for clip, t in ((c, load_tracks(p, features=False)) for c, p in zip(clips, paths, strict=True))
    }
    notes = {"gepc": json.dumps({"skeleton": skeleton.name, "clips": about})}
    text = pa.dictionary(pa.int32(), pa.string())
    frame_schema = pa.schema(
        [("clip", text), ("frame", pa.int32()), ("time_s", pa.float64()), ("score", pa.float64()),
         ("percentile", pa.float32()), ("alarm", pa.bool_()), ("people", pa.int32()), ("track_id", pa.int32())],
        metadata=notes,
    )  # fmt: skip
    joints = _joint_columns(skeleton, first.keypoints.shape[2])
    people_schema = pa.schema(
        [("clip", text), ("frame", pa.int32()), ("time_s", pa.float64()), ("track_id", pa.int32()),
         ("score", pa.float64()), ("percentile", pa.float32()),
         *((name, pa.float32()) for name in ("x1", "y1", "x2", "y2", *joints))],
        metadata=notes,
    )  # fmt: skip
    targets = (out / "frames.parquet", out / "people.parquet")
    with writing(out), ExitStack() as stack:
        places = [stack.enter_context(place_beside(target)) for target in targets]
        with (
            pq.ParquetWriter(places[0][0], frame_schema, compression="zstd") as frames,
            pq.ParquetWriter(places[1][0], people_schema, compression="zstd") as people,
        ):
            for clip, path in zip(clips, paths, strict=True):
                for part in parts_of(tracks_of(path, scorer), scorer):
                    for writer, schema, columns in (
                        (frames, frame_schema, _frames(clip, part)),
                        (people, people_schema, _people(clip, part, joints)),
                    ):
                        arrays = [
                            pa.array(columns[field.name], field.type, from_pandas=True) for field in schema
                        ]
                        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        for _, put in places:
            put()
    return len(clips)


def _joint_columns(skeleton: Skeleton, size: int) -> list[str]:
    kinds = ("x", "y", "confidence") if size == 3 else ("x", "y", "z", "confidence")
    return [f"{joint}_{kind}" for joint in skeleton.joints for kind in kinds]


def _frames(clip: str, part: Part) -> dict[str, Any]:
    tracks, count = part.tracks, part.tracks.frame_count
    frames = part.scores.frames if part.scores is not None else None
    nothing = [None] * count
    return {
        "clip": [clip] * count,
        "frame": np.arange(part.begin, part.begin + count, dtype=np.int32),
        "time_s": np.asarray(tracks.time_s),
        "people": np.bincount(tracks.frame, minlength=count).astype(np.int32),
        **{
            name: nothing if frames is None else getattr(frames, name)
            for name in ("score", "percentile", "alarm", "track_id")
        },
    }


def _people(clip: str, part: Part, joints: Sequence[str]) -> dict[str, Any]:
    tracks, scores = part.tracks, part.scores
    flat = np.ascontiguousarray(tracks.keypoints, np.float32).reshape(len(tracks), -1)
    nothing = [None] * len(tracks)
    return {
        "clip": [clip] * len(tracks),
        "frame": (tracks.frame + part.begin).astype(np.int32),
        "time_s": np.asarray(tracks.time_s)[tracks.frame],
        "track_id": np.asarray(tracks.track),
        "score": nothing if scores is None else scores.row_score,
        "percentile": nothing if scores is None else scores.row_percentile,
        **{name: np.array(tracks.boxes[:, i]) for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        **{name: flat[:, i] for i, name in enumerate(joints)},
    }
