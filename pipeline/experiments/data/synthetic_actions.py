"""Synthetic clips of actions: nothing to download, and anyone gets the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.experiments.data.action_sets import ActionSet, LabelledClip
from pipeline.experiments.data.frames import FrameCache
from pipeline.experiments.data.splits import Split, random_splits
from pipeline.experiments.running.cells import digest
from pipeline.experiments.settings import ExperimentSettings
from pipeline.synthetic.actions.clips import ACTIONS, ActionClip, make_action_clips, meaningful_splits
from pipeline.synthetic.actions.pictures import render_action
from pose_extract.tracks.records import ClipTracks

_VERSION = 1  # of the clips: raise it when they come out differently


class SyntheticActions:
    """Clips that are made when they are needed; those of another seed are of other performers, seen anew.

    Args:
        settings: with the sections ``actions`` and ``experiment``.

    Attributes:
        name: of the data.
        published: "", for they are not in the paper.
        splits: the groups of actions that belong together, and random ones.
        has_frames: whether clips have pictures, which are drawn.
    """

    def __init__(self, settings: ExperimentSettings) -> None:
        self._settings = settings.actions
        dimensions = f"{settings.actions.dimensions}-D"
        self.name, self.published = f"{len(ACTIONS)} synthetic actions, {dimensions}", ""
        self.has_frames = True
        meaningful = [Split(name, "meaningful", actions) for name, actions in meaningful_splits().items()]
        options = settings.experiment
        drawn = random_splits(len(ACTIONS), options.random_splits, options.split_actions, meaningful)
        self.splits: Sequence[Split] = [*drawn, *meaningful]
        self._made: tuple[int, ActionSet] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_made": None}  # quicker made than handed over

    def clips(self, seed: int) -> ActionSet:
        """The clips of a seed, those of other performers to test on."""
        if self._made is None or self._made[0] != seed:
            train = set(self._settings.train_performers)
            made = make_action_clips(self._settings, seed)
            parts = (
                tuple(self._labelled(clip, seed) for clip in made if (clip.performer in train) == wanted)
                for wanted in (True, False)
            )
            self._made = seed, ActionSet(*parts)
        return self._made[1]

    def identity(self, seed: int) -> dict[str, Any]:
        """What makes the clips."""
        return {
            "synthetic": asdict(self._settings),
            "actions": len(ACTIONS),
            "seed": seed,
            "version": _VERSION,
        }

    def _labelled(self, clip: ActionClip, seed: int) -> LabelledClip:
        key = f"{clip.name} {digest(self.identity(seed))}"
        return LabelledClip(clip.name, clip.action, partial(_tracks_of, clip), partial(_draw, clip, key))


def _tracks_of(clip: ActionClip) -> ClipTracks:
    return clip.tracks


def _draw(clip: ActionClip, key: str, cache: FrameCache) -> Path:
    return cache.rendered(key, lambda: render_action(clip, cache.size))
