"""Export frame scores and people as two Parquet tables; docs/events.md has the columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from pipeline.io.columns import BOXES, frame_columns, joint_columns, people_columns
from pipeline.io.export_scores import checked_clips, parts_of, skeleton_of, tracks_of
from pipeline.scoring import Scorer
from pose_extract.errors import UsageError
from pose_extract.files import place_beside, writing
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
         ("percentile", pa.float32()), ("alarm", pa.bool_()), ("people", pa.int32()), ("track_id", pa.int32()),
         ("judged", pa.bool_()), ("thing_id", pa.int32())],
        metadata=notes,
    )  # fmt: skip
    joints = joint_columns(skeleton.joints, first.keypoints.shape[2])
    people_schema = pa.schema(
        [("clip", text), ("frame", pa.int32()), ("time_s", pa.float64()), ("track_id", pa.int32()),
         ("score", pa.float64()), ("percentile", pa.float32()),
         *((name, pa.float32()) for name in (*BOXES, *joints))],
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
                    scores = part.scores
                    of_frames = frame_columns(
                        clip, part.tracks, None if scores is None else scores.frames, part.begin
                    )
                    of_people = people_columns(clip, part.tracks, skeleton.joints, scores, part.begin)
                    for writer, schema, columns in (
                        (frames, frame_schema, of_frames),
                        (people, people_schema, of_people),
                    ):
                        arrays = [
                            pa.array(columns[field.name], field.type, from_pandas=True) for field in schema
                        ]
                        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        for _, put in places:
            put()
    return len(clips)
