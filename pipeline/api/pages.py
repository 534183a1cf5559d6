"""Make the review page of videos and tracks: extract, score, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.extraction.clip import ClipOutcome
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.review.write import Report, ReportClip, write_report
from pipeline.scoring import Scorer
from pipeline.workers import Jobs
from pipeline.workspace import ClipEntry, Workspace
from pose_extract.errors import GepcError
from pose_extract.places import check_outputs
from pose_extract.video import VideoSource


def make_page(
    sources: Sequence[str],
    out: Path,
    workspace: Workspace,
    scorer: Scorer,
    *,
    title: str = "",
    videos: str = "link",
    jobs: Jobs = 1,
    quiet: bool = False,
) -> Report:
    """Make the page; a video that cannot be used is in the report's list of failures, and the rest goes on.

    Args:
        sources: videos, folders, globs, or tracks files.
        out: the page's folder.
        workspace: where tracks are kept.
        scorer: the model.
        title: heading of the page.
        videos: "link", "copy" or "none".
        jobs: how many videos are extracted at once; None: what the machine carries.
        quiet: no progress.
    """
    read = [("model that is read", scorer.folder), ("workspace's tracks", workspace.tracks)]
    check_outputs([("report", out)], read)
    failed: list[tuple[str, GepcError]] = []
    clips = _clips(sources, workspace, scorer, failed, quiet, jobs)
    return write_report(out, clips, scorer, title=title, videos=videos, failed=failed, quiet=quiet)


def _clips(
    names: Sequence[str],
    workspace: Workspace,
    scorer: Scorer,
    failed: list[tuple[str, GepcError]],
    quiet: bool,
    jobs: Jobs,
) -> Iterator[ReportClip]:
    """The clips that the arguments name, extracted unless they were."""
    for name in names:
        if Path(name).suffix == ".npz" and Path(name).is_file():
            yield ReportClip(scorer.load(Path(name)))
    videos = [name for name in names if not (Path(name).suffix == ".npz" and Path(name).is_file())]
    sources = find_all_sources(videos)
    there: list[tuple[VideoSource, ClipEntry]] = []

    def ended(source: VideoSource, outcome: ClipOutcome) -> None:
        if outcome.entry is not None:
            there.append((source, outcome.entry))

    if sources:
        done = extract_all(
            sources, workspace, scorer.settings, train=False, quiet=quiet, jobs=jobs, ended=ended
        )
        failed += done.failed
    for source, entry in there:
        yield ReportClip(scorer.load(workspace.tracks_path(entry.clip), str(source.path), quiet), source)
    if len(failed) == len(names) == len(sources) == 1:
        raise failed[0][1]
