"""Train a model bundle on cached tracks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from anomaly.bundle import load_bundle, save_bundle
from anomaly.bundle.card import read_card
from anomaly.runtime import distributed
from anomaly.runtime.memory import keep_memory
from anomaly.runtime.processors import on_processors
from anomaly.training.checkpoint import CHECKPOINT, remove_checkpoint
from anomaly.training.train import fit_network, fit_normality_and_calibrate
from pipeline.defaults import workspace_option
from pipeline.patches.features import load_with_patches, patches_for_training
from pipeline.progress import format_duration, stage
from pipeline.scoring.expected import expected_alarms, held_out_facts
from pipeline.scoring.familiarity import Seen, too_slow
from pipeline.settings import Settings
from pipeline.versions import versions
from pipeline.workspace import ClipEntry, Workspace
from pose_extract.devices import pick_device
from pose_extract.errors import ModelError, TrainingError
from pose_extract.tracks.cache import load_header, load_tracks
from pose_extract.tracks.cleaning import clean_tracks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainReport:
    """What `train` did.

    Attributes:
        clips: what it learned from.
        facts: what training found, as in the bundle's card.
        seconds: wall-clock time spent.
    """

    clips: tuple[ClipEntry, ...]
    facts: dict[str, Any]
    seconds: float

    def __repr__(self) -> str:
        windows, clips = self.facts.get("windows", "unknown"), len(self.clips)
        return f"<TrainReport: {windows} windows of {clips} clips, {self.seconds:.1f} s>"


def train(
    workspace: Workspace,
    settings: Settings,
    *,
    seed: int = 0,
    device: str = "auto",
    fresh: bool = False,
    quiet: bool = False,
    jobs: int | None = None,
) -> TrainReport | None:
    """Learn what is normal from every training clip of the workspace and write the bundle.

    A training that was cut off goes on after its last finished epoch. Started by torchrun, processes train together.

    Args:
        workspace: where the tracks are and the model goes.
        settings: of everything.
        seed: of everything random.
        device: "cpu", "cuda", "mps" or "auto".
        fresh: begin anew, whatever an earlier run left.
        quiet: show no progress.
        jobs: how many processors to use: threads of the network, processes for the parts; None: all. On a CPU the same
            number gives the same model.

    Returns:
        What was done; None in torchrun's processes but the first.

    Raises:
        TrainingError: nothing has been extracted, the clips do not fit together, or there is too little in them.
        UsageError: another process is training in this workspace.
    """
    with on_processors(jobs):
        return _train(workspace, settings, seed, device, fresh, quiet)


def _train(
    workspace: Workspace, settings: Settings, seed: int, device: str, fresh: bool, quiet: bool
) -> TrainReport | None:
    start = time.monotonic()
    keep_memory()
    entries = workspace.training_clips()
    if not entries:
        option = workspace_option(workspace.root)
        raise TrainingError(
            f"nothing to train on: {workspace.tracks} holds no extracted video. "
            f"First run: gepc-pipeline extract VIDEOS{option} (or import, to take in poses of other tools)"
        )
    tracks_settings = _common_settings(workspace, entries, settings)
    paths = [workspace.tracks_path(entry.clip) for entry in entries]
    _warn_of_slow_clips(paths, settings)
    seen = Seen.from_clips(load_tracks(path, features=False) for path in paths)
    patches = patches_for_training(paths, settings.patches, workspace) if settings.windows.patches else None
    kind = None if patches is None else patches.kind
    clips = (clean_tracks(load_with_patches(path, kind), settings.cleaning) for path in paths)
    with ExitStack() as alone:
        with distributed.joined(pick_device(device)) as own_device:
            if distributed.is_main():
                alone.enter_context(workspace.writing_model())
                if fresh:
                    remove_checkpoint(workspace.training)
            quiet = quiet or not distributed.is_main()
            with _Stages(quiet) as progress, _saying_how_to_go_on(workspace):
                learned = fit_network(
                    clips, settings.for_model(), seed, own_device, progress, workspace.training
                )
            if not distributed.is_main():
                return None
        with _Stages(quiet) as progress:
            model = fit_normality_and_calibrate(learned, progress)
        model.facts |= held_out_facts(model, settings.events)
        card = {
            "clips": {
                e.clip: {"source": e.source, "key": e.key, "frames": e.frames, "tracks": e.tracks}
                for e in entries
            },
            "tracks": {
                **tracks_settings,
                "cleaning": asdict(settings.cleaning),
                "events": asdict(settings.events),
            },
            **({"patches": kind} if kind else {}),
            "seen": asdict(seen),
            "poses_of": sorted({e.estimator for e in entries}),
            "seed": seed,
            "threads": torch.get_num_threads(),  # another number adds floats in another order
            "versions": versions(),
        }
        save_bundle(model, workspace.model, card, None if patches is None else patches.encoder)
        remove_checkpoint(workspace.training)
    return TrainReport(tuple(entries), model.facts, time.monotonic() - start)


def is_trained(workspace: Workspace, settings: Settings, seed: int = 0) -> bool:
    """Whether the workspace's model is what `train` would make of its clips now, by this version."""
    try:
        card, model = read_card(workspace.model), load_bundle(workspace.model)
        wanted, kind = settings.for_model(), None
        if wanted.windows.patches:
            paths = [workspace.tracks_path(entry.clip) for entry in workspace.training_clips()]
            kind = patches_for_training(paths, settings.patches, workspace).kind
    except (ModelError, TrainingError):
        return False
    if kind is not None and not wanted.windows.patch_channels:  # as many as the clips have
        channels = model.settings.windows.patch_channels
        wanted = replace(wanted, windows=replace(wanted.windows, patch_channels=channels))
    clips = {clip: facts.get("key") for clip, facts in card.get("clips", {}).items()}
    tracks = card.get("tracks", {})
    return (
        clips == {entry.clip: entry.key for entry in workspace.training_clips()}
        and model.settings == wanted
        and card.get("patches") == kind
        and tracks.get("cleaning") == asdict(settings.cleaning)
        and tracks.get("events") == asdict(settings.events)
        and card.get("seed") == seed
        and card.get("versions") == versions()
    )


def _warn_of_slow_clips(paths: Sequence[Path], settings: Settings) -> None:
    """Say which clips have too few frames a second to learn from; TrainingError if all have."""
    slow = []
    for path in paths:
        tracks = load_tracks(path, features=False)
        if settings.windows.extent == "sliding" and (text := too_slow(tracks, settings.windows)):
            slow.append(f"{tracks.clip}: {text}")
    if slow and len(slow) == len(paths):
        raise TrainingError(f"nothing can be learned from the {len(paths)} clips: {slow[0]}")
    for text in slow[:5]:
        logger.warning("%s", text)
    if len(slow) > 5:
        logger.warning("and so it is with %d more clips", len(slow) - 5)


@contextmanager
def _saying_how_to_go_on(workspace: Workspace) -> Iterator[None]:
    """Tell a user who interrupts training that it need not begin anew."""
    try:
        yield
    except KeyboardInterrupt:
        if distributed.is_main() and (workspace.training / CHECKPOINT).exists():
            logger.warning("start the same command again to go on after the last finished epoch")
        raise


def _common_settings(workspace: Workspace, entries: list[ClipEntry], settings: Settings) -> dict[str, Any]:
    """The settings that the clips were extracted with, so that `score` treats its videos the same way."""
    by_settings: dict[str, list[str]] = {}
    found: dict[str, Any] = {}
    whose = entries[0].clip
    for entry in entries:
        provenance = load_header(workspace.tracks_path(entry.clip))["provenance"]
        its = provenance.get("settings") or {}
        if its and not found:  # imported poses have none
            found, whose = its, entry.clip
        # The estimator's identity instead of its settings: a device or a batch size makes no difference.
        shaping = provenance.get("estimator"), its.get("video"), its.get("tracking")
        by_settings.setdefault(str(shaping), []).append(entry.clip)
    if len(by_settings) > 1:
        groups = "; ".join(
            ", ".join(clips[:3]) + (" ..." if len(clips) > 3 else "") for clips in by_settings.values()
        )
        logger.warning(
            "the clips were extracted with different settings or estimators (%s); scoring will use those of %s. "
            "Extract them again with one config for scores that compare",
            groups,
            whose,
        )
    return found or settings.for_tracks


class _Stages:
    """Shows the stages that training reports, one bar after another."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._name: str | None = None
        self._open: Any = None
        self._bar: Any = None

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *error: object) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)

    def __call__(self, name: str, done: int, total: int, facts: dict[str, Any]) -> None:
        if name != self._name:
            self.__exit__()
            unit = "epochs" if name in ("pretrain", "finetune") else "steps"
            self._name, self._open = name, stage(name, unit, total, self._quiet)
            self._bar = self._open.__enter__()
        shown = {k: v for k, v in facts.items() if k.startswith("loss") or k == "changed"}
        self._bar.update(done, ", ".join(f"{k} {v:.4f}" for k, v in shown.items()))


def summary(report: TrainReport) -> list[str]:
    """What to tell the user."""
    facts = report.facts
    seconds = sum(e.seconds for e in report.clips)
    lines = [
        f"trained on {facts['windows']} windows from {len(report.clips)} clips "
        f"({format_duration(seconds)} of video) in {format_duration(report.seconds)}",
        f"{facts['clusters_used']:g} of the clusters and {facts['components_used']} mixture components are in use",
    ]
    logger.debug("%.1f %% of the epochs' time was waiting for windows", 100 * facts["waiting"])
    if len(facts["parts"]) > 1:
        counts = ", ".join(f"{part} {found['weight']:.2f}" for part, found in facts["parts"].items())
        lines.append(f"what the parts of the score count: {counts}")
    if facts["cameras"]:
        lines.append(f"cameras whose own people are known: {', '.join(facts['cameras'])}")
    lines.append(expected_alarms(facts))
    if facts["alarm_budget"]:
        lines.append(facts["alarm_budget"])
    if facts["collapsed"]:
        lines.append(
            "warning: the clustering has collapsed; scores will not mean much. Add more and more varied video"
        )
    return lines
