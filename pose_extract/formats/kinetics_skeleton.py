"""Read and write Kinetics-skeleton, as ST-GCN uses it: a JSON file a clip, coordinates as shares of the frame.

``data`` is a list of frames (``frame_index`` from 1), each with a list ``skeleton`` of people (``pose`` x1, y1, …;
``score`` of each joint), ``label`` and ``label_index`` the clip's action. People have no ids, so they are followed,
unless the file is ours and has a ``person_id``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pose_extract.errors import FormatError, short
from pose_extract.files import complete_or_absent
from pose_extract.formats.base import checked_for_export, files_in, targets
from pose_extract.formats.clip_builder import MOST_FRAMES, ClipSource, Rows, make_clip
from pose_extract.formats.json_files import load_json
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import finite_joints, numbers
from pose_extract.skeletons import COCO18
from pose_extract.tracks.records import ClipTracks

_FPS, _SIZE = 30.0, (340, 256)  # what the data set's videos were made to


def find(path: Path) -> list[Path]:
    """Every JSON file but the lists of labels that lie beside them."""
    return [file for file in files_in(path, "*.json") if file == path or not file.stem.endswith("_label")]


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks]:
    """The clip of a file; 30 fps and 340x256 unless the options say otherwise."""
    content = load_json(part)
    frames = content.get("data") if isinstance(content, dict) else None
    if not isinstance(frames, list):
        raise FormatError(f"{part}: expected an object with a list 'data', found {short(content)}")
    size = options.size(_SIZE)
    rows = Rows()
    for i, entry in enumerate(frames):
        where = f"{part}: ['data'][{i}]"
        index = entry.get("frame_index") if isinstance(entry, dict) else None
        if not isinstance(index, int) or isinstance(index, bool):
            raise FormatError(f"{where}: expected an object with a whole number 'frame_index'")
        skeletons = entry.get("skeleton")
        if not isinstance(skeletons, list):
            raise FormatError(f"{where}['skeleton']: expected a list, found {short(skeletons)}")
        for j, person in enumerate(skeletons):
            here = f"{where}['skeleton'][{j}]"
            if not isinstance(person, dict) or not {"pose", "score"} <= person.keys():
                raise FormatError(f"{here}: expected an object with 'pose' and 'score'")
            pose, score = (
                numbers(person["pose"], f"{here}['pose']"),
                numbers(person["score"], f"{here}['score']"),
            )
            if pose.shape != (36,) or score.shape != (18,):
                raise FormatError(
                    f"{here}: expected 18 joints (36 coordinates, 18 scores), found {pose.size} and {score.size}"
                )
            rows.add(
                index,
                person.get("person_id"),
                np.concatenate([pose.reshape(18, 2) * size, score[:, None]], 1),
                None,
                here,
            )
    facts = {
        key: content[key] for key in ("label", "label_index") if isinstance(content.get(key), (str, int))
    }
    start = 1 if options.first_frame is None else options.first_frame
    last = max((entry["frame_index"] for entry in frames), default=0)
    yield make_clip(
        rows,
        ClipSource(
            where=part,
            clip=part.stem,
            format_name="kinetics-skeleton",
            skeleton=COCO18,
            fps=options.rate(_FPS),
            frame_size=size,
            first_frame=1,
            frame_count=max(0, min(last - start + 1, MOST_FRAMES)),
            facts=facts,
            scaled=True,
        ),
        options,
    )


def write(clips: Iterable[ClipTracks], path: Path) -> None:
    """Write one file a clip of coco18; the action is that of the import, if any, and ids go into ``person_id``."""
    for clip, file in targets(clips, path, ".json"):
        checked_for_export(clip, "kinetics-skeleton", ("coco18",))
        bounds = np.searchsorted(clip.frame, np.arange(clip.frame_count + 1)).tolist()
        facts = clip.provenance.get("import")
        facts = facts if isinstance(facts, dict) else {}
        with complete_or_absent(file) as out:
            out.write('{"data": [')
            for index, (begin, end) in enumerate(pairwise(bounds)):
                people = [_person(clip, row) for row in range(begin, end)]
                out.write(
                    (",\n" if index else "") + json.dumps({"frame_index": index + 1, "skeleton": people})
                )
            label = {"label": facts.get("label", ""), "label_index": facts.get("label_index", -1)}
            out.write("], " + json.dumps(label)[1:] + "\n")


def _person(clip: ClipTracks, row: int) -> dict[str, Any]:
    keypoints = finite_joints(clip.keypoints[row])
    pose = keypoints[:, :2] / clip.frame_size
    return {
        "person_id": int(clip.track[row]),
        "pose": pose.ravel().tolist(),
        "score": keypoints[:, 2].tolist(),
    }
