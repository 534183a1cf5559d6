"""Crops out of the videos: the encoder's training on them, and their vectors beside the tracks."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.patches.clips import CropClip, clip_of, frames_with_rows
from pipeline.patches.features import PatchKind, crops_kind, crops_settings, has_patches, tracks_digest
from pipeline.progress import stage
from pipeline.workers import Tell, jobs_for, side_by_side
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError, VideoError
from pose_extract.patches.crops import crops_around
from pose_extract.patches.encoder import PatchEncoder, load_encoder, save_encoder
from pose_extract.patches.settings import PatchSettings
from pose_extract.patches.store import (
    CHUNK_ROWS,
    PatchStore,
    disk_bytes,
    encoder_digest,
    patches_path,
    read_header,
)
from pose_extract.patches.training import EncoderFacts, train_encoder

logger = logging.getLogger(__name__)

_WORTHWHILE = 10_000  # people in frames from which processes that have to be started first are quicker
_PEOPLE_AT_ONCE = 32  # whose crops pass through the network together


def collect_crops(
    clips: Sequence[CropClip], settings: PatchSettings, quiet: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """At most ``settings.crops`` crops, evenly out of all clips' people and frames, in order of clip and time.

    Of a clip whose video does not fit, it is said, and there are none, or none after its end.

    Returns:
        (N, S, S, 3) RGB and (N,) the joint that each is centred on.
    """
    total = sum(len(clip.tracks) for clip in clips)
    joints = max((clip.tracks.keypoints.shape[1] for clip in clips), default=1)
    people = min(total, max(1, settings.crops // joints))
    chosen = np.zeros(total, bool)
    chosen[np.linspace(0, total - 1, people).astype(np.int64) if total else []] = True
    crops, names, begin = (
        [np.zeros((0, settings.size, settings.size, 3), np.uint8)],
        [np.zeros(0, np.int64)],
        0,
    )
    with stage("crops to learn from", "people", people, quiet) as progress:
        for clip in clips:
            tracks = clip.tracks
            mine = chosen[begin : begin + len(tracks)]
            begin += len(tracks)
            try:
                for image, rows in frames_with_rows(clip, mine):
                    found, usable = crops_around(image, tracks.keypoints[rows], tracks.boxes[rows], settings)
                    crops.append(found[usable])
                    names.append(np.nonzero(usable)[1])
                    progress.advance(len(rows))
            except VideoError as error:
                logger.warning("%s", error)
    return np.concatenate(crops), np.concatenate(names)


def make_encoder(
    clips: Sequence[CropClip],
    settings: PatchSettings,
    path: Path,
    seed: int = 0,
    device: str = "cpu",
    quiet: bool = False,
) -> EncoderFacts:
    """Train the encoder on crops of clips and write it to ``path``.

    Raises:
        TrainingError: there are too few crops.
    """
    crops, joints = collect_crops(clips, settings, quiet)
    with stage("patch encoder", "epochs", settings.epochs, quiet) as progress:
        encoder, facts = train_encoder(
            crops,
            joints,
            settings,
            seed,
            device,
            lambda done, loss: progress.update(done, f"loss {loss:.3f}"),
        )
    save_encoder(encoder, path, {"facts": asdict(facts), "seed": seed})
    return facts


def make_patches(clip: CropClip, kind: PatchKind, encoder: PatchEncoder, quiet: bool = False) -> None:
    """Write the crops' vectors of a clip beside its tracks; what an earlier run finished is kept.

    Memory does not grow with the clip: one chunk of rows is held.

    Raises:
        VideoError: the video does not fit the tracks.
        OutputError: they cannot be written.
    """
    tracks, settings = clip.tracks, crops_settings(kind)
    joints = tracks.keypoints.shape[1]
    other = _other_video(clip)
    if other and "content" in tracks.provenance:
        logger.warning(
            "clip %s: that is not the video that its tracks were made of; is it a copy?", tracks.clip
        )
    identity = {"crops": kind, "tracks": tracks_digest(tracks), **other}
    store = PatchStore(patches_path(clip.path), identity, (len(tracks), joints, encoder.channels))
    if not store.is_begun:
        for _ in clip.images():  # of another kind: not removed before it is known that the video fits
            break
    done = store.begin()
    wanted = np.arange(len(tracks)) >= done * CHUNK_ROWS
    if not wanted.any():
        return
    chunk = np.zeros((0, joints, encoder.channels), np.float16)
    waiting: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]] = []

    def embed() -> None:
        nonlocal chunk, done
        if waiting:
            crops, usable = (np.concatenate(parts) for parts in zip(*waiting, strict=True))
            chunk = np.concatenate([chunk, encoder.embed(crops, usable)])
            waiting.clear()
        while len(chunk) >= CHUNK_ROWS or (len(chunk) and done * CHUNK_ROWS + len(chunk) == len(tracks)):
            store.write(done, chunk[:CHUNK_ROWS])
            chunk, done = chunk[CHUNK_ROWS:], done + 1

    with stage(f"patches of {tracks.clip}", "people", int(wanted.sum()), quiet) as progress:
        for image, rows in frames_with_rows(clip, wanted):
            waiting.append(crops_around(image, tracks.keypoints[rows], tracks.boxes[rows], settings))
            if sum(len(crops) for crops, _ in waiting) >= _PEOPLE_AT_ONCE:
                embed()
            progress.advance(len(rows))
        embed()


def _other_video(clip: CropClip) -> dict[str, str]:
    """Which video features are of that the tracks do not tell, for their identity."""
    content = None if clip.other is None else clip.other()
    return {} if content is None else {"video": content}


def _is_missing(clip: CropClip, kind: PatchKind) -> bool:
    """Whether a clip lacks features of a kind, or has them of another video than is said now."""
    there = not len(clip.tracks) or has_patches(clip.path, kind)
    if not there or not len(clip.tracks) or clip.other is None:
        return not there
    header = read_header(patches_path(clip.path)) or {"identity": {}}
    try:
        return bool(header["identity"].get("video") != clip.other())
    except VideoError:  # it is met again when its turn comes, and said then
        return True


def make_all(
    clips: Sequence[CropClip],
    kind: PatchKind,
    encoder: PatchEncoder,
    most_gb: float,
    quiet: bool = False,
    jobs: int | None = 1,
    videos: str | None = None,
) -> tuple[int, int]:
    """Make the features of all clips that lack them; says first what they take on disk.

    Args:
        clips: to make them of.
        kind: what they are like.
        encoder: makes them.
        most_gb: the bound.
        quiet: no progress.
        jobs: how many clips of `clip_of` at once, each in a process of its own; None: as many as the machine carries,
            if there is much to make. On a GPU one after the other.
        videos: what `clip_of` was told, where there are several jobs.

    Returns:
        Number of clips made now, and bytes of all clips' features.

    Raises:
        UsageError: they would take more than ``most_gb``.
        VideoError: a video does not fit its tracks; the other clips are done before.
    """
    sizes = [disk_bytes(len(c.tracks), c.tracks.keypoints.shape[1], encoder.channels) for c in clips]
    missing = [clip for clip in clips if _is_missing(clip, kind)]
    each = disk_bytes(1, clips[0].tracks.keypoints.shape[1] if clips else 17, encoder.channels)
    logger.info(
        "patch features of %d clips take %.1f MB on disk (%.1f kB a person and frame); bound: %g GB (patches.most_gb)",
        len(clips),
        sum(sizes) / 1e6,
        each / 1e3,
        most_gb,
    )
    if sum(sizes) > most_gb * 1e9:
        raise UsageError(
            f"the patch features would take {sum(sizes) / 1e9:.2f} GB, more than patches.most_gb allows ({most_gb:g}): "
            "raise it, use a narrower encoder (patches.width) or fewer clips"
        )
    few = jobs is None and sum(len(clip.tracks) for clip in missing) < _WORTHWHILE
    alone = few or encoder.mean.device.type != "cpu"
    workers = 1 if alone else jobs_for(len(missing), jobs)
    errors: dict[Path, VideoError] = {}
    if workers == 1:
        for clip in missing:
            try:
                make_patches(clip, kind, encoder, quiet)
            except VideoError as error:
                errors[clip.path] = error
    else:
        logger.info("%d clips, %d at a time (--jobs)", len(missing), workers)
        make = partial(_worker, kind, pickle.dumps(encoder), videos)
        paths = [clip.path for clip in missing]
        with (
            stage("patches", "clips", len(paths), quiet) as progress,
            closing(side_by_side(make, paths, workers)) as every,
        ):
            for done in every:
                progress.advance(1)
                if done.lost:
                    errors[done.job] = VideoError(
                        f"clip {done.job.stem}: {done.why_lost('made its features')}"
                    )
                elif isinstance(done.result, VideoError):
                    errors[done.job] = done.result
    failed = [errors[clip.path] for clip in missing if clip.path in errors]
    for why in failed if len(failed) > 1 else ():
        logger.error("%s", why)
    if failed:  # the first one, whoever was ready first
        raise failed[0]
    return len(missing), sum(sizes)


@contextmanager
def _worker(
    kind: PatchKind, encoder: bytes, videos: str | None, tell: Tell
) -> Iterator[Callable[[Path], VideoError | bool]]:
    network: PatchEncoder = pickle.loads(encoder)

    def make(path: Path) -> VideoError | bool:
        try:
            make_patches(clip_of(path, videos), kind, network, quiet=True)
        except VideoError as error:
            return error
        return True

    yield make


def prepare(
    path: Path, kind: PatchKind, model: Path, most_gb: float, videos: str | None = None, quiet: bool = False
) -> None:
    """Make the crops' vectors that a model needs of a clip, by the encoder in its bundle."""
    make_all([clip_of(path, videos)], kind, encoder_of_model(model, kind), most_gb, quiet)


def encoder_of_model(model: Path, kind: PatchKind) -> PatchEncoder:
    """The encoder in a bundle; raises UsageError if it is not the one that the model was trained with."""
    from anomaly.bundle.card import PATCH_ENCODER

    file = model / PATCH_ENCODER
    if not file.is_file() or encoder_digest(file) != kind["encoder"]:
        raise UsageError(
            f"{model} lacks the patch encoder that it was trained with ({PATCH_ENCODER}); train it again"
        )
    return load_encoder(file)


def encoder_for(
    workspace: Workspace,
    clips: Sequence[CropClip],
    settings: PatchSettings,
    seed: int = 0,
    device: str = "cpu",
    fresh: bool = False,
    quiet: bool = False,
) -> tuple[PatchEncoder, PatchKind, EncoderFacts | None]:
    """The encoder that settings name, or the workspace's own, which is trained if there is none.

    Returns:
        It, the kind of features it makes, and how its training went if it was trained now.
    """
    path, facts = workspace.patch_encoder, None
    if settings.encoder:
        path = Path(settings.encoder)
    elif fresh or not path.is_file():
        facts = make_encoder(clips, settings, path, seed, device, quiet)
    encoder = load_encoder(path, device)
    if not settings.encoder and (encoder.width, encoder.blocks) != (settings.width, settings.blocks):
        logger.warning(
            "%s is there, of patches.width=%d and patches.blocks=%d, and goes on to be used; --fresh trains one of %d "
            "and %d",
            path,
            encoder.width,
            encoder.blocks,
            settings.width,
            settings.blocks,
        )
    return encoder, crops_kind(settings, encoder_digest(path)), facts
