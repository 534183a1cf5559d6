"""A trained model, for poses at hand and for streams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.api.clips import ScoredClip
from pipeline.api.commands import PathLike
from pipeline.builtin import builtin_model
from pipeline.defaults import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    from pipeline.api.stream import Stream
    from pipeline.scoring import Scorer
    from pose_extract.skeletons import Skeleton


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model, opened once. Made by `Model.load`.

    Attributes:
        path: its folder.
        facts: what training found: windows, parts of the score and their weights, calibration.
        scorer: the model itself, with the settings that its tracks were made with.
    """

    path: Path
    facts: dict[str, Any]
    scorer: Scorer

    @classmethod
    def load(
        cls, path: PathLike = DEFAULT_WORKSPACE, *, overrides: Sequence[str] = (), device: str = "auto"
    ) -> Model:
        """Open a model.

        Args:
            path: its folder, or a workspace with a model in it, or "builtin:walkers", which comes with the package.
            overrides: ``section.key=value`` texts, as ``--set`` of `gepc-pipeline score` takes them.
            device: where it runs: cpu, cuda, cuda:N, mps or auto.

        Raises:
            ModelError: there is no model, or it is damaged or from another version.
            ConfigError: an override is wrong, or would change what the model has learned.
        """
        from anomaly.bundle.card import read_card
        from pipeline.scoring import load_scorer
        from pipeline.workspace import Workspace

        folder = builtin_model(os.fspath(path))
        if (inside := Workspace(folder).model).is_dir():
            folder = inside
        scorer = load_scorer(folder, overrides, device)
        return cls(folder, dict(read_card(folder).get("facts") or {}), scorer)

    def __repr__(self) -> str:
        parts = ", ".join(self.scorer.settings.scoring.parts)
        return f"<Model {self.path}: {self.facts.get('windows', 'unknown')} windows; {parts}>"

    @property
    def skeleton(self) -> Skeleton:
        """Of the people that it was trained on, as they are extracted: names of joints and their order."""
        from pose_extract.skeletons import get_skeleton

        person, seen = self.scorer.model.settings.windows.person, self.scorer.seen.skeletons
        return person if not seen or seen[0] == person.name else get_skeleton(seen[0])

    @property
    def threshold(self) -> float:
        """The score above which a frame raises the alarm."""
        return self.scorer.alarm_above()

    def score(
        self,
        poses: Any,
        *,
        fps: float | None = None,
        frame_size: tuple[int, int] | None = None,
        same_people: bool = True,
        clip: str = "poses",
    ) -> ScoredClip:
        """Say how unusual each frame is, of people whose poses are known.

        Args:
            poses: an array (frames, people, joints, 3) of x px, y px, confidence (NaN or confidence 0: a joint is
                missing); a pandas or polars table with the columns frame (from 0), track_id and <joint>_x, <joint>_y,
                <joint>_confidence; or `ClipTracks`, which know the rest.
            fps: frames a second, of an array or a table.
            frame_size: (width, height) in pixels, likewise.
            same_people: whether a place in the array, or a track_id, is the same person in every frame; if not, people
                are followed by their boxes and joints.
            clip: a name.

        Raises:
            UsageError: fps or frame_size is missing, or the shape or a column is not as expected.
            FormatError: the values are no poses in pixels of the frame.
            ModelError: the model does not fit the poses, or needs features of pictures.
        """
        from pose_extract.tracks.records import ClipTracks

        if not isinstance(poses, ClipTracks):
            from pipeline.api.poses import tracks_from

            poses = tracks_from(poses, self.skeleton, fps, frame_size, same_people, clip)
        return ScoredClip.of(self.scorer, poses)

    def stream(self, fps: float, frame_size: tuple[int, int], name: str = "stream") -> Stream:
        """Score a camera's frames as they come; see `Stream.push`.

        Args:
            fps: frames a second.
            frame_size: (width, height) in pixels.
            name: of the camera, where the model tells cameras apart.

        Raises:
            ModelError: the model is one of whole clips, or needs features of pictures.
        """
        from pipeline.api.stream import Stream

        settings = self.scorer.settings
        online = replace(settings, scoring=replace(settings.scoring, frames="online"))
        return Stream(replace(self.scorer, settings=online), self.skeleton, fps, frame_size, name)
