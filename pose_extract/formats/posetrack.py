"""PoseTrack18: a JSON file a sequence in COCO's layout, with ``track_id``; 17 joints, other ones than COCO's.

Frames are numbered by their pictures' names, ``nframes`` is the clip's length. Only some frames are annotated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pose_extract.errors import FormatError, short
from pose_extract.files import complete_or_absent
from pose_extract.formats.base import checked_for_export, files_in, targets
from pose_extract.formats.coco_dataset import read_dataset
from pose_extract.formats.json_files import load_json
from pose_extract.formats.options import ImportOptions
from pose_extract.formats.parsing import box_as_size, finite_joints
from pose_extract.skeletons import POSETRACK17
from pose_extract.tracks.records import ClipTracks

_PUBLISHED = {"neck": "head_bottom", "head": "head_top"}  # our names -> PoseTrack's


def find(path: Path) -> list[Path]:
    """Every JSON file."""
    return files_in(path, "*.json")


def read(part: Path, options: ImportOptions) -> Iterator[ClipTracks]:
    """The clips of a file, one for each ``vid_id``."""
    content = load_json(part)
    if not isinstance(content, dict):
        raise FormatError(
            f"{part}: expected an object with 'images' and 'annotations', found {short(content)}"
        )
    yield from read_dataset(part, content, "posetrack", options)


def write(clips: Iterable[ClipTracks], path: Path) -> None:
    """Write one file a clip of posetrack17, every frame of it an image.

    The joints' confidences are kept in ``scores``; a joint of confidence 0 has the flag 0, the others 1.
    """
    for clip, file in targets(clips, path, ".json"):
        checked_for_export(clip, "posetrack", ("posetrack17",))
        width, height = clip.frame_size
        with complete_or_absent(file) as out:
            out.write('{"images": [')
            for index in range(clip.frame_count):
                image = {
                    "file_name": f"images/{clip.clip}/{index:06d}.jpg",
                    "id": index,
                    "frame_id": index,
                    "vid_id": clip.clip,
                    "nframes": clip.frame_count,
                    "is_labeled": True,
                    "width": width,
                    "height": height,
                }
                out.write((",\n" if index else "") + json.dumps(image))
            out.write('],\n"annotations": [')
            for row in range(len(clip)):
                keypoints = finite_joints(clip.keypoints[row])
                scores = keypoints[:, 2].tolist()
                keypoints[:, 2] = np.sign(keypoints[:, 2])
                person = {
                    "id": row,
                    "image_id": int(clip.frame[row]),
                    "track_id": int(clip.track[row]),
                    "category_id": 1,
                    **({} if (box := box_as_size(clip.boxes[row])) is None else {"bbox": box}),
                    "keypoints": keypoints.ravel().tolist(),
                    "scores": scores,
                }
                out.write((",\n" if row else "") + json.dumps(person))
            names = [_PUBLISHED.get(joint, joint) for joint in POSETRACK17.joints]
            category = {"id": 1, "name": "person", "supercategory": "person", "keypoints": names}
            out.write('],\n"categories": ' + json.dumps([category]) + "}\n")
