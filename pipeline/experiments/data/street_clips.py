"""Clips of the synthetic street with an estimator's errors and frame labels, kept in a workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pipeline.adding import add_clip
from pipeline.evaluation.labelled import LabelledClips
from pipeline.experiments.data.frames import FrameCache
from pipeline.experiments.options import MOST_NORMAL, ExperimentOptions
from pipeline.experiments.running.cells import digest
from pipeline.synthetic.clips import StreetClip, render_clip, simulate_clip
from pipeline.synthetic.motion.behaviours import ABNORMAL
from pipeline.synthetic.street.errors import estimated
from pipeline.synthetic.street.scene import StreetSettings
from pipeline.workspace import Workspace
from pose_extract.files import writing
from pose_extract.patches.settings import PatchSettings
from pose_extract.tracks.cache import load_tracks
from pose_extract.tracks.records import ClipTracks

_VERSION = 1  # of the clips: raise it when they come out differently
_FIRST_TEST = MOST_NORMAL  # number of the first test clip


_USUAL_SIZE = (640, 360)


def street_clip(
    street: int,
    number: int,
    seconds: float,
    acts: Sequence[str] = (),
    size: tuple[int, int] = _USUAL_SIZE,
) -> tuple[ClipTracks, NDArray[np.uint8]]:
    """A clip of one of many streets: what an estimator might find in it, not cleaned, and its frames' labels.

    Args:
        street: another one has another crowd.
        number: of the clip in it.
        seconds: length.
        acts: abnormal behaviours that are seen.
        size: width and height of its pictures.
    """
    clip = _simulated(street, number, seconds, acts, size)
    return estimated(clip.truth, clip.seed), clip.labels


def _simulated(
    street: int, number: int, seconds: float, acts: Sequence[str], size: tuple[int, int]
) -> StreetClip:
    width, height = size
    settings = StreetSettings(width=width, height=height, seconds=seconds)
    return simulate_clip(f"clip{number}", 10_000 * (street + 1) + number, settings, tuple(acts))


class StreetClips:
    """Normal clips to learn from, and test clips with every abnormal behaviour, of a street for each seed.

    Args:
        options: how many clips, and how long.
        folder: where they are kept.
        patches: the features of crops that the clips shall have, of their rendered pictures; None: none.
    """

    name, published, has_frames = "the synthetic street", False, True  # pictures are drawn

    def __init__(
        self, options: ExperimentOptions, folder: Path, patches: PatchSettings | None = None
    ) -> None:
        self._folder, self._patches = folder, patches
        self._acts, self._size = options.street_acts or ABNORMAL, options.street_size
        self._normal = (options.street_normal_clips, options.street_normal_s)
        self._test = (options.street_test_clips, options.street_test_s)

    @property
    def acts(self) -> dict[int, tuple[str, ...]]:
        """Number of each test clip -> the abnormal behaviours in it."""
        count = self._test[0]
        acts: list[tuple[str, ...]] = [(act,) for act in self._acts for _ in range(count)] + [()] * (
            2 * count
        )
        return dict(enumerate(acts, start=_FIRST_TEST))

    def _clip(self, seed: int, number: int) -> tuple[ClipTracks, NDArray[np.uint8]]:
        return street_clip(seed, number, *self._what(number), self._size)

    def _what(self, number: int) -> tuple[float, tuple[str, ...]]:
        """Seconds and behaviours of a clip."""
        acts = self.acts.get(number)
        return (self._normal[1], ()) if acts is None else (self._test[1], acts)

    def _make_patches(self, workspace: Workspace, seed: int, settings: PatchSettings) -> None:
        """The features of crops of every clip, by an encoder that has seen the normal ones."""
        from pipeline.patches.clips import CropClip
        from pipeline.patches.making import encoder_for, make_all

        def crops_of(number: int) -> CropClip:
            path = workspace.tracks_path(f"clip{number}")

            def images() -> Iterator[NDArray[np.uint8]]:
                return render_clip(_simulated(seed, number, *self._what(number), self._size))

            return CropClip(path, load_tracks(path, features=False), images)

        normal, tests = ([crops_of(n) for n in numbers] for numbers in (range(self._normal[0]), self.acts))
        encoder, kind, _ = encoder_for(workspace, normal, settings, seed, quiet=True)
        make_all([*normal, *tests], kind, encoder, settings.most_gb, quiet=True)

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes the clips of a seed, as JSON can hold it."""
        size = {} if self._size == _USUAL_SIZE else {"size": self._size}
        return {"street": [seed, self._normal, self._test, self._acts], "version": _VERSION, **size}

    def clips(self, seed: int) -> tuple[Workspace, LabelledClips]:
        """The workspace with the clips to train on, and the clips to test on; made if they are not there."""
        folder = self._folder / digest(self.identity(seed))[:16]
        workspace = Workspace(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            return workspace, self._filled(workspace, seed)

    def frames(self, seed: int, clip: str, train: bool, cache: FrameCache) -> Path:
        """As `pipeline.experiments.methods.fine.Clips.frames`."""
        number = int(clip.removeprefix("clip"))
        key = f"{clip} of {digest(self.identity(seed))}"
        return cache.rendered(
            key, lambda: render_clip(_simulated(seed, number, *self._what(number), self._size))
        )

    def _filled(self, workspace: Workspace, seed: int) -> LabelledClips:
        known = {entry.clip for entry in workspace.entries()}
        for number in range(self._normal[0]):
            if f"clip{number}" not in known:
                _keep(workspace, self._clip(seed, number)[0], train=True)
        paths, labels = {}, {}
        for number in self.acts:
            tracks, marks = self._clip(seed, number)
            if tracks.clip not in known:
                _keep(workspace, tracks, train=False)
            paths[tracks.clip], labels[tracks.clip] = workspace.tracks_path(tracks.clip), marks.astype(bool)
        if self._patches is not None:
            self._make_patches(workspace, seed, self._patches)
        return LabelledClips(paths, labels, {clip: np.ones(len(mask), bool) for clip, mask in labels.items()})


def _keep(workspace: Workspace, tracks: ClipTracks, train: bool) -> None:
    made_of = hashlib.sha256(tracks.keypoints.tobytes()).hexdigest()
    add_clip(
        workspace,
        tracks,
        source=f"street/{tracks.clip}",
        key=made_of,
        estimator={"name": "simulated"},
        train=train,
    )
