"""Write the review page: its own files, the data of every clip, and the list of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anomaly.evaluation.event_metrics import FEWEST_S
from anomaly.settings.scoring import CAUSES, THINGS
from pipeline.builtin import worth_of
from pipeline.events.events import in_words
from pipeline.pictures.drawing import SCALE_AT, UNKNOWN, anomaly_colour
from pipeline.progress import stage
from pipeline.review.bodies import known_skeleton, skeleton_of, words_of
from pipeline.review.clip import ClipData, ClipFiles
from pipeline.review.files import NewPage, packed, plain_text, write_page, write_script
from pipeline.review.playable import PageVideo, provide_video
from pipeline.review.recorded import Recorded, recorded
from pipeline.review.thresholds import Thresholds
from pipeline.review.thumbnails import chosen_frames, write_thumbnails
from pipeline.scoring import Scorer, score_chunks
from pipeline.versions import versions
from pose_extract.errors import GepcError
from pose_extract.tracks.clip_time import film_cuts
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import KINDS
from pose_extract.video import VideoSource

FORMAT = "gepc-report"


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


class PageClip(NamedTuple):
    """What the page's list needs of a clip whose files are written."""

    clip: ReportClip
    name: str
    data: ClipData
    video: PageVideo
    recorded: Recorded
    shown: list[int]


@dataclass(frozen=True)
class Report:
    """A page that is written.

    Attributes:
        page: the HTML file.
        clips: (title, data, video) of every clip, the worst first.
        bytes: size of the page and its data, without videos.
        failed: name and error of each video that could not be used.
    """

    page: Path
    clips: tuple[tuple[str, ClipData, PageVideo], ...]
    bytes: int
    failed: tuple[tuple[str, GepcError], ...] = ()

    @property
    def line(self) -> str:
        """Where it is, for a person."""
        return f"page: {self.page} ({self.bytes / 1e6:.1f} MB without videos); open it in a browser"

    def __repr__(self) -> str:
        return f"<Report {self.page}: {len(self.clips)} videos, {len(self.failed)} failed>"


class PageWriter:
    """Writes clips into a page that is begun, and finishes it.

    Args:
        page: where.
        scorer: the model and how it scores.
    """

    def __init__(self, page: NewPage, scorer: Scorer) -> None:
        self._page, self._scorer = page, scorer
        self._thresholds = Thresholds.from_calibration(
            scorer.model.fitted_calibration,
            scorer.settings.scoring,
            scorer.alarm_above(),
            scorer.settings.events,
            scorer.model.settings.windows.extent == "clip",
        )

    def add(
        self, clip: ReportClip, score: Callable[[ClipFiles], object] | None = None, quiet: bool = False
    ) -> PageClip:
        """Write what the page has of a clip.

        Args:
            clip: the clip.
            score: scores the clip and hands its scores over, part by part; None: that is done here.
            quiet: no progress.
        """
        page, thresholds = self._page, self._thresholds
        name = page.folder_for(clip.key)
        files = ClipFiles(page.data, name, self._scorer, clip.tracks, thresholds)
        if score is None:
            self._score(clip, files, quiet)
        else:
            score(files)
        found = files.finish()
        shown, pictured = chosen_frames(found.peaks, thresholds.usual, found.highest)
        shown = shown if found.frames else []
        looked_at = clip.source if page.videos != "none" else None
        skeleton = known_skeleton(clip.tracks, self._scorer.model)
        with stage(f"pictures of {clip.title}", "pictures", len(shown), quiet) as progress:
            more, info = write_thumbnails(
                page.data / name,
                clip.tracks,
                looked_at,
                shown,
                pictured,
                found.people_of,
                skeleton,
                found.things_of,
                progress.advance,
            )
        none = found.people_of[:0]
        found = replace(found, bytes=found.bytes + more, people_of=none, things_of=none)
        video = PageVideo(None, "none")
        if clip.source is not None:
            cuts = film_cuts(clip.tracks.time_s, clip.tracks.fps)
            video = provide_video(clip.source, page.folder, name, page.videos, quiet, whole=not cuts)
            if video.how == "transcoded":
                video = replace(video, cuts=cuts)
        # Its arrays are those of a file: what the list needs is little.
        told = recorded(clip.title, info.metadata if info else None)
        return PageClip(_without_arrays(clip), name, found, video, told, shown)

    def _score(self, clip: ReportClip, files: ClipFiles, quiet: bool) -> None:
        with stage(f"report {clip.title}", "frames", clip.tracks.frame_count, quiet) as progress:
            for begin, part, scores in score_chunks(self._scorer, clip.tracks, files.part_frames):
                files.add(begin, part, scores)
                progress.advance(len(scores.frames))

    def finish(
        self, clips: Iterable[PageClip], title: str = "", failed: Sequence[tuple[str, GepcError]] = ()
    ) -> Report:
        """Put the page into place; an earlier one in the folder is replaced.

        Args:
            clips: what was added.
            title: of the page.
            failed: name and error of each video that could not be used.
        """
        page = self._page
        rows = sorted(clips, key=lambda row: (-row.data.score, row.clip.title))
        page.keep(row.name for row in rows)
        size = sum(row.data.bytes for row in rows)
        size += write_script(
            page.data, "report", _describe(self._scorer, self._thresholds, rows, title, failed)
        )
        size += write_page(page.folder, page.data)
        listed = tuple((row.clip.title, row.data, row.video) for row in rows)
        return Report(page.folder / "index.html", listed, size, tuple(failed))


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
            "things": None,
        }
    )
    return ReportClip(kept, clip.source, clip.name)


def _describe(
    scorer: Scorer,
    thresholds: Thresholds,
    rows: Sequence[PageClip],
    title: str,
    failed: Sequence[tuple[str, GepcError]],
) -> dict[str, Any]:
    """What the page shows before any clip is opened."""
    model, settings = scorer.model, scorer.settings
    top = max((row.data.score for row in rows), default=0.0)
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
    identity = hashlib.sha256("\n".join([*sorted(row.name for row in rows), repr(settings.scoring)]).encode())
    skeletons = {row.clip.tracks.skeleton: skeleton_of(row.clip.tracks, model) for row in rows}
    return {
        "format": FORMAT,
        "version": 1,
        "id": identity.hexdigest()[:16],
        "title": title
        or (f"Review of {len(rows)} videos" if len(rows) != 1 else f"Review of {rows[0].clip.title}"),
        "worth": worth_of(scorer.folder) if scorer.folder is not None else "",
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
        "colours": {
            "at": [100 * at for at in SCALE_AT],
            "rgb": [anomaly_colour(at)[::-1] for at in SCALE_AT],
            "unknown": UNKNOWN[::-1],
        },
        "skeletons": skeletons,
        "words": words_of(model),
        "causes": list(CAUSES),
        "kinds": KINDS,
        "about": {cause: in_words(cause) for cause in CAUSES}
        | {"kinds": {k: in_words(THINGS, k) for k in KINDS}},
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
                "peaks": {
                    "ms": packed(found.peak_ms, "u4"),
                    "last": packed(found.peaks.last, "u1"),
                    "join": packed(found.peaks.join, "u1"),
                },
                "picture": found.highest,
                "pictures": shown,
                "recorded": asdict(told),
                "remarks": [plain_text(text) for text in (*found.remarks, *found.left_out)],
                "learned": str(clip.tracks.provenance.get("key") or "") in scorer.learned,
            }
            for clip, name, found, video, told, shown in rows
        ],
        "failed": [[plain_text(name), plain_text(str(error))] for name, error in failed],
    }
