"""Make the review page of videos and tracks: extract, score, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.extraction.clip import ClipOutcome
from pipeline.extraction.run import extract_all, find_all_sources
from pipeline.review.files import NewPage
from pipeline.review.write import PageClip, PageWriter, Report, ReportClip
from pipeline.scoring import NamedModel
from pipeline.workers import Jobs
from pipeline.workspace import ClipEntry, Workspace
from pose_extract.errors import GepcError
from pose_extract.places import check_outputs
from pose_extract.video import VideoSource


def make_page(
    sources: Sequence[str],
    out: Path,
    workspace: Workspace,
    model: NamedModel,
    *,
    title: str = "",
    videos: str = "link",
    jobs: Jobs = 1,
    quiet: bool = False,
) -> Report:
    """Make the page; a video that cannot be used is in the report's list of failures, and the rest goes on.

    Args:
        sources: videos, folders, globs, or tracks files.
        out: the page's folder; an earlier page there is replaced when the new one is complete.
        workspace: where tracks are kept.
        model: what scores.
        title: heading of the page.
        videos: "link", "copy" or "none": see `provide_video`.
        jobs: how many videos are extracted and scored at once, None: what the machine carries; or on which cluster.
        quiet: no progress.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
        ModelError: there is no model, or it is not calibrated.
    """
    read = [("model that is read", model.folder), ("workspace's tracks", workspace.tracks)]
    check_outputs([("report", out)], read)
    files = [Path(name) for name in sources if Path(name).suffix == ".npz" and Path(name).is_file()]
    found = find_all_sources([name for name in sources if Path(name) not in files])
    clips: list[PageClip] = []
    failed: list[tuple[str, GepcError]] = []

    def ended(source: VideoSource, outcome: ClipOutcome) -> None:
        if outcome.result is not None:
            clips.append(outcome.result)

    with NewPage.begun(out, videos) as page:
        adding = _Adding(page, workspace, model, quiet)
        writer = adding.writer  # before hours of extraction: the model may not do
        clips += [writer.add(ReportClip(model.scorer.load(file)), quiet=quiet) for file in files]
        if found:
            how = model.scorer.settings
            done = extract_all(
                found, workspace, how, train=False, quiet=quiet, jobs=jobs, then=adding, ended=ended
            )
            failed += done.failed
        if len(failed) == len(sources) == len(found) == 1:
            raise failed[0][1]
        return writer.finish(clips, title, failed)


@dataclass
class _Adding:
    """Scores each video and writes it into the page, in this process or in another."""

    page: NewPage
    workspace: Workspace
    model: NamedModel
    quiet: bool

    @cached_property
    def writer(self) -> PageWriter:
        return PageWriter(self.page, self.model.scorer)

    def __call__(self, source: VideoSource, entry: ClipEntry) -> PageClip:
        path = self.workspace.tracks_path(entry.clip)
        tracks = self.model.scorer.load(path, source.place, self.quiet)
        return self.writer.add(ReportClip(tracks, source), quiet=self.quiet)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "writer"}
