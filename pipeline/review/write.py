"""Write the review page: its own files, the data of every clip, and the list of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.evaluation.event_metrics import FEWEST_S
from anomaly.scoring.model import Model
from pipeline.pictures.action_words import upright_sign, window_joints
from pipeline.progress import stage
from pipeline.review.clip import ClipData, write_clip_data
from pipeline.review.files import packed, plain_text, write_script
from pipeline.review.playable import PageVideo, provide_video
from pipeline.review.thresholds import Thresholds
from pipeline.scoring import Scorer
from pipeline.versions import versions
from pose_extract.errors import GepcError, OutputError
from pose_extract.files import folder_beside, swap_folders, write_atomically, writing
from pose_extract.skeletons import SKELETONS, Skeleton
from pose_extract.tracks.clip_time import film_cuts
from pose_extract.tracks.records import ClipTracks
from pose_extract.video import VideoSource

FORMAT = "gepc-report"
_MARK = 'content="gepc-report"'  # in index.html: what we may overwrite
_WORD_POSES = 5


@dataclass(frozen=True)
class ReportClip:
    """One clip of the page.

    Attributes:
        tracks: the clip, as extracted.
        source: its video; None: skeletons alone.
        name: what the page calls it; the name of the video's file if left out, or of the clip.
    """

    tracks: ClipTracks
    source: VideoSource | None = None
    name: str = ""

    @property
    def title(self) -> str:
        """Its name as text."""
        return plain_text(self.name or (self.source.path.name if self.source else self.tracks.clip))

    @property
    def key(self) -> str:
        """What its files are called: made of what its tracks are made of."""
        key = str(self.tracks.provenance.get("key") or "")
        return hashlib.sha256((key or f"clip {self.tracks.clip}").encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True)
class Report:
    """What `write_report` wrote.

    Attributes:
        page: the HTML file.
        clips: (title, data, video) of every clip, the worst first.
        bytes: size of the page and its data, without videos.
    """

    page: Path
    clips: tuple[tuple[str, ClipData, PageVideo], ...]
    bytes: int


def check_folder(folder: Path) -> None:
    """Raise `OutputError` if ``folder`` holds a page that is not ours: it would be overwritten."""
    page = folder / "index.html"
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file, expected the name of a folder for the report")
        ours = not page.exists() or _MARK in page.read_text(encoding="utf-8", errors="replace")[:2000]
    if not ours or (not page.exists() and (folder / "data").exists()):
        what = "data" if ours else "index.html"
        raise OutputError(f"{folder} holds {what} that is not of a report; name another folder for --out")


def write_report(
    folder: Path,
    clips: Iterable[ReportClip],
    scorer: Scorer,
    *,
    title: str = "",
    videos: str = "link",
    failed: Sequence[tuple[str, GepcError]] = (),
    quiet: bool = False,
) -> Report:
    """Score clips and write the page; an earlier report in the folder is replaced when the new one is complete.

    Args:
        folder: of the page; made if need be.
        clips: one after another; one is in memory at a time.
        scorer: the model and how it scores.
        title: of the page.
        videos: "link", "copy" or "none": see `provide_video`.
        failed: name and error of each video that could not be used; may grow while ``clips`` is read.
        quiet: no progress.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
        ModelError: the model is not calibrated.
    """
    check_folder(folder)
    model, settings = scorer.model, scorer.settings
    thresholds = Thresholds.from_calibration(
        model.fitted_calibration,
        settings.scoring,
        scorer.alarm_above(),
        settings.events,
        model.settings.windows.extent == "clip",
    )
    rows: list[tuple[ReportClip, str, ClipData, PageVideo]] = []
    size = 0
    with ExitStack() as temporary:
        with writing(folder):
            data = temporary.enter_context(folder_beside(folder / "data"))
            data.chmod(0o755)
        for clip in clips:
            name, number = clip.key, 2
            while (data / name).exists():
                name, number = f"{clip.key}-{number}", number + 1
            with stage(f"report {clip.title}", "frames", clip.tracks.frame_count, quiet) as progress:
                found = write_clip_data(data, name, scorer, clip.tracks, thresholds, progress.advance)
            video = PageVideo(None, "none")
            if clip.source is not None:
                cuts = film_cuts(clip.tracks.time_s, clip.tracks.fps)
                video = provide_video(clip.source, folder, name, videos, quiet, whole=not cuts)
                if video.how == "transcoded":
                    video = replace(video, cuts=cuts)
            # Its arrays are those of a file: what the list needs is little.
            rows.append((_without_arrays(clip), name, found, video))
            size += found.bytes
        rows.sort(key=lambda row: (-row[2].score, row[0].title))
        report = _describe(scorer, thresholds, rows, title, failed)
        size += write_script(data, "report", report)
        size += _write_page(folder, data)
    return Report(folder / "index.html", tuple((clip.title, d, v) for clip, _, d, v in rows), size)


def _without_arrays(clip: ReportClip) -> ReportClip:
    none = slice(0, 0)
    tracks = clip.tracks
    kept = ClipTracks(
        **{
            **vars(tracks),
            **{
                name: np.array(getattr(tracks, name)[none])
                for name in ("time_s", "frame", "track", "keypoints", "boxes")
            },
            "features": None,
        }
    )
    return ReportClip(kept, clip.source, clip.name)


def _write_page(folder: Path, data: Path) -> int:
    """Put the page's own files and its data into place; returns the size of the former."""
    size = 0
    pages = sorted(
        (file for file in files("pipeline.review").joinpath("page").iterdir() if file.is_file()),
        key=lambda f: f.name,
    )
    with writing(folder):
        swap_folders(data, folder / "data")
    for file in pages:
        content = file.read_bytes()
        write_atomically(folder / file.name, content)
        size += len(content)
    return size


def _describe(
    scorer: Scorer,
    thresholds: Thresholds,
    rows: Sequence[tuple[ReportClip, str, ClipData, PageVideo]],
    title: str,
    failed: Sequence[tuple[str, GepcError]],
) -> dict[str, Any]:
    """What the page shows before any clip is opened."""
    model, settings = scorer.model, scorer.settings
    top = max((row[2].score for row in rows), default=0.0)
    stops = min(int(np.searchsorted(thresholds.stops, top)) + 1, len(thresholds.stops))
    stops = max(stops, thresholds.usual + 1)
    scores, shares = thresholds.thinned_reference()
    count = len(thresholds.reference)
    # In the precision of the curves, so that a frame is on the same side of a stop here and there.
    normal = thresholds.reference.astype(np.float32)
    above = [count - int(np.searchsorted(normal, stop, side="right")) for stop in thresholds.stops[:stops]]
    middle, width = (
        np.median(thresholds.reference),
        np.subtract(*np.quantile(thresholds.reference, (0.75, 0.25))),
    )
    identity = hashlib.sha256("\n".join([*sorted(row[1] for row in rows), repr(settings.scoring)]).encode())
    skeletons = {row[0].tracks.skeleton: _skeleton_of(row[0].tracks, model) for row in rows}
    return {
        "format": FORMAT,
        "version": 1,
        "id": identity.hexdigest()[:16],
        "title": title
        or (f"Review of {len(rows)} videos" if len(rows) != 1 else f"Review of {rows[0][0].title}"),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "program": versions().get("gepc-pipeline", ""),
        "scoring": asdict(settings.scoring),
        "events": {"merge_gap_s": settings.events.merge_gap_s, "min_s": settings.events.min_s},
        # Scores with a long tail are drawn by their logarithm.
        "bend": None if settings.scoring.tail == "log" else [float(middle), float(max(width, 1e-9))],
        "reference": {
            "score": scores,
            "percentile": shares,
            "sorted": packed(thresholds.reference.astype(np.float32), "f4"),
            "frames": count,
            "seconds": round(thresholds.normal_s, 3),
            "fewest_s": FEWEST_S,
        },
        "stops": [float(s) for s in thresholds.stops[:stops]],
        "usual": thresholds.usual,
        "normal_above": above,
        "false_alarms": thresholds.false_alarms[:stops],
        "skeletons": skeletons,
        "words": _words(model),
        "videos": [
            {
                "id": name,
                "name": clip.title,
                "clip": plain_text(clip.tracks.clip),
                "path": plain_text(os.path.realpath(clip.source.path)) if clip.source else "",
                "url": video.url,
                "how": video.how,
                "cuts": [[round(film, 6), round(own, 6)] for film, own in video.cuts],
                "fps": round(clip.tracks.fps, 6),
                "size": list(clip.tracks.frame_size),
                "skeleton": clip.tracks.skeleton,
                "frames": found.frames,
                "seconds": round(found.duration_s, 3),
                "people": found.people,
                "score": found.score,
                "counts": found.counts[:stops],
                "worst": found.worst[:stops],
                "spark": found.spark,
            }
            for clip, name, found, video in rows
        ],
        "failed": [[plain_text(name), plain_text(str(error))] for name, error in failed],
    }


def _skeleton_of(tracks: ClipTracks, model: Model) -> dict[str, Any]:
    person = model.settings.windows.person
    known = person if person.name == tracks.skeleton else SKELETONS.get(tracks.skeleton)
    if known is None:
        return {"joints": [str(j) for j in range(tracks.keypoints.shape[1])], "edges": []}
    return _skeleton(known)


def _skeleton(skeleton: Skeleton) -> dict[str, Any]:
    return {"joints": list(skeleton.joints), "edges": [list(edge) for edge in skeleton.edges]}


def _words(model: Model) -> dict[str, Any] | None:
    """The most typical sequence of each action word, as some poses in thousandths; None where the model keeps none."""
    if model.words is None:
        return None
    settings = model.settings.windows.without_patches
    usable = [np.isfinite(word).all(axis=(1, 2, 3)) for word in model.words]
    upright = upright_sign(
        [(0, 0.0, word[fine]) for word, fine in zip(model.words, usable, strict=True) if fine.any()], settings
    )
    shown = np.unique(
        np.linspace(0, settings.frames - 1, min(_WORD_POSES, settings.frames)).round().astype(int)
    )
    words: list[Any] = []
    for word, fine in zip(model.words, usable, strict=True):
        if not fine.any():
            words.append(None)
            continue
        xy, seen = window_joints(word[fine][0], settings, upright)
        poses = [
            [
                [round(1000 * float(x)), round(1000 * float(y))] if s > 0 else None
                for (x, y), s in zip(pose, sure, strict=True)
            ]
            for pose, sure in zip(xy[shown], seen[shown], strict=True)
        ]
        words.append(poses)
    shares = [round(float(share), 4) for share in model.facts.get("cluster_shares") or []]
    return {**_skeleton(settings.body), "poses": words, "shares": shares}
