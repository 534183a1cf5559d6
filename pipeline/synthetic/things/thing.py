"""A thing in the street over time, and what the camera sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.drawing.solids import Part, box_of, draw_parts, placed
from pipeline.synthetic.motion.body import Array
from pipeline.synthetic.street.plan import Person
from pipeline.synthetic.street.scene import Camera, StreetSettings
from pipeline.synthetic.street.truth import Sight, in_frame
from pipeline.synthetic.things.shapes import shape_of
from pose_extract.tracks.records import ClipTracks

LARGEST = 2.5  # metres from a thing's origin within which all of it is
IN_SIGHT = 1 / 3  # a thing is in the picture while so much of its box is


@dataclass(frozen=True)
class Thing:
    """A thing, for L frames of the clip.

    Attributes:
        kind: of thing, a name in `KINDS`.
        look: seed of its colours and proportions.
        first: frame of the clip that is row 0 of the arrays.
        place: (L, 3) metres, the ground under its origin; of a ball, its middle.
        heading: (L,) radians; ``travelled`` (L,) metres, turns wheels and moves legs.
        there: (L,) whether it is in the street.
        unusual: (L,) whether its being there is labelled.
        person: who it moves with, None where it is alone all the time.
    """

    kind: str
    look: int
    first: int
    place: Array
    heading: Array
    travelled: Array
    there: NDArray[np.bool_]
    unusual: NDArray[np.bool_]
    person: Person | None = None


@dataclass(frozen=True)
class ThingSight:
    """A thing in the camera's picture, for its L frames.

    Attributes:
        boxes: (L, 4) pixels, around all that is drawn of it were nothing before it, in the picture or not.
        distance: (L,) metres from the camera: what is nearer is drawn over what is farther.
        drawn: (L,) whether anything of it may be in the picture.
        present: (L,) whether a third of its box is.
    """

    thing: Thing
    boxes: Array
    distance: Array
    drawn: NDArray[np.bool_]
    present: NDArray[np.bool_]

    def parts(self, row: int) -> list[Part]:
        """Its parts in the world, at ``row`` of its arrays."""
        return _parts(self.thing, row)

    def draw(self, image: NDArray[np.uint8], row: int, camera: Camera, colour: float | None = None) -> None:
        """Draw it onto ``image`` as at ``row`` of its arrays; in one grey where ``colour`` is given."""
        parts = self.parts(row)
        if colour is not None:
            parts = [replace(part, colour=(colour, colour, colour)) for part in parts]
        draw_parts(image, parts, camera)


@dataclass(frozen=True)
class ThingRows:
    """Where the things of a clip are: M rows, one for each thing and frame in the picture, ordered by frame.

    Attributes:
        frame: (M,) frames of the clip.
        thing: (M,) ids, 1 and up.
        kind: (M,) names.
        boxes: (M, 4) pixels within the picture.
        person: (M,) track of the person that it moves with, 0 where it is alone.
        unusual: (M,) whether its being there is labelled.
    """

    frame: NDArray[np.int32]
    thing: NDArray[np.int32]
    kind: NDArray[np.str_]
    boxes: NDArray[np.float32]
    person: NDArray[np.int32]
    unusual: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frame)


def look_at_thing(thing: Thing, settings: StreetSettings) -> ThingSight:
    """Project a thing into the picture."""
    camera, size = Camera(settings), np.array([settings.width, settings.height], float)
    frames = len(thing.place)
    boxes, middle = np.zeros((frames, 4)), np.zeros((frames, 3))
    x, y = np.abs(thing.place[:, 0]), thing.place[:, 1]
    near = thing.there & (x < 0.5 * y / settings.focal + LARGEST) & (y > LARGEST)
    for row in np.flatnonzero(near).tolist():
        parts = _parts(thing, row)
        boxes[row] = box_of(parts, camera)
        points = np.concatenate([part.points for part in parts])
        middle[row] = (points.min(axis=0) + points.max(axis=0)) / 2
    ahead = camera.project(middle)[1] > 2.0
    inside = np.clip(boxes[:, 2:], 0, size) - np.clip(boxes[:, :2], 0, size)
    share = inside.prod(axis=1) / np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    drawn = near & ahead & (share > 0)
    distance = np.linalg.norm(middle - [0, 0, camera.height], axis=1)
    return ThingSight(thing, boxes, distance, drawn, drawn & (share >= IN_SIGHT))


def thing_rows(things: Sequence[ThingSight], sights: Sequence[Sight], settings: StreetSettings) -> ThingRows:
    """The rows of ``things``, the first of which is thing 1; the first of ``sights`` is track 1."""
    size = np.array([settings.width, settings.height] * 2, float)
    tracks = {id(sight.person): track for track, sight in enumerate(sights, start=1)}
    frames, ids, owners = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0, int)]
    kinds, boxes, unusual = [np.zeros(0, "<U1")], [np.zeros((0, 4))], [np.zeros(0, bool)]
    for number, sight in enumerate(things, start=1):
        thing, rows = sight.thing, np.flatnonzero(sight.present)
        owner = 0 if thing.person is None else tracks.get(id(thing.person), 0)
        left = (thing.kind == "bag") & thing.unusual[rows]
        frames.append(rows + thing.first)
        ids.append(np.full(len(rows), number))
        kinds.append(np.full(len(rows), thing.kind))
        boxes.append(np.clip(sight.boxes[rows], 0, size))
        owners.append(np.where(left, 0, owner))
        unusual.append(thing.unusual[rows])
    frame, thing_id = np.concatenate(frames), np.concatenate(ids)
    order = np.lexsort((thing_id, frame))
    return ThingRows(
        frame=frame[order].astype(np.int32),
        thing=thing_id[order].astype(np.int32),
        kind=np.concatenate(kinds)[order],
        boxes=np.concatenate(boxes)[order].astype(np.float32),
        person=np.concatenate(owners)[order].astype(np.int32),
        unusual=np.concatenate(unusual)[order],
    )


def things_table(rows: ThingRows) -> str:
    """The rows as CSV: frame, thing, kind, left, top, right, bottom, person, unusual."""
    lines = ["frame,thing,kind,left,top,right,bottom,person,unusual"]
    for i in range(len(rows)):
        box = ",".join(f"{value:.2f}" for value in rows.boxes[i])
        lines.append(
            f"{rows.frame[i]},{rows.thing[i]},{rows.kind[i]},{box},{rows.person[i]},{int(rows.unusual[i])}"
        )
    return "\n".join(lines) + "\n"


def behind_things(
    truth: ClipTracks, sights: Sequence[Sight], things: Sequence[ThingSight], settings: StreetSettings
) -> ClipTracks:
    """Exact rows with confidence 0.5 at the joints that a nearer thing is drawn over."""
    camera, keypoints = Camera(settings), truth.keypoints.copy()
    mask = np.zeros((settings.height, settings.width, 3), np.uint8)
    for other in things:
        for row in np.flatnonzero(other.drawn).tolist():
            frame, box = row + other.thing.first, other.boxes[row]
            behind = [
                at
                for at in range(*np.searchsorted(truth.frame, [frame, frame + 1]))
                for sight in [sights[truth.track[at] - 1]]
                if sight.distance[frame - sight.person.first] > other.distance[row]
                and (truth.boxes[at, :2] < box[2:]).all()
                and (truth.boxes[at, 2:] > box[:2]).all()
            ]
            if behind:
                mask[:] = 0
                other.draw(mask, row, camera, 255.0)
            for at in behind:
                inside = in_frame(keypoints[at, :, :2].astype(float), settings)
                x, y = keypoints[at, inside, :2].astype(int).T
                keypoints[at, inside, 2] = np.where(mask[y, x, 0] > 0, 0.5, keypoints[at, inside, 2])
    return replace(truth, keypoints=keypoints)


def _parts(thing: Thing, row: int) -> list[Part]:
    shape = shape_of(thing.kind, thing.look, thing.travelled[row])
    return placed(shape, thing.place[row], float(thing.heading[row]))
