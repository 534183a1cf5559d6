"""Extract videos to cached tracks, one clip after another or several side by side; each is done once."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline.extraction.clip import ClipOutcome, ExtractionRun, ShowClip, Then
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.progress import Progress, Stopwatch, Told, show_downloads, stage
from pipeline.settings import Settings
from pipeline.workers import Done, SharedCount, Tell, jobs_for, shared_count, side_by_side
from pipeline.workspace import ClipEntry, Workspace
from pose_extract.errors import GepcError, VideoError
from pose_extract.estimators.base import chosen_estimator, create_estimator
from pose_extract.video import VideoSource, find_sources

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtractReport:
    """What `extract_all` did.

    Attributes:
        made: clips extracted now.
        reused: clips that were done before.
        failed: name of each video that could not be used, with its error.
        seconds: wall-clock time spent.
        timings: wall-clock seconds by stage, of all workers together: "loading" the estimator, "opening" videos (and
            finding out whether they are done), "decoding" (only the time waited for frames: decoding goes on
            meanwhile), the estimator's own stages ("blazepose.network", say), "estimating" (what those do not cover),
            "tracking" and "writing".
    """

    made: tuple[ClipEntry, ...]
    reused: tuple[ClipEntry, ...]
    failed: tuple[tuple[str, GepcError], ...]
    seconds: float
    timings: dict[str, float]


def find_all_sources(names: Sequence[str]) -> list[VideoSource]:
    """The sources of several arguments, each source once, clip names made unique.

    Raises:
        VideoError: an argument names nothing.
    """
    sources: dict[Path, VideoSource] = {}
    taken: set[str] = set()
    for name in names:
        for source in find_sources(name):
            path = Path(os.path.realpath(source.path))
            if path in sources:
                continue
            unique, number = source.name, 2
            while unique in taken:
                unique, number = f"{source.name}-{number}", number + 1
            taken.add(unique)
            sources[path] = replace(source, name=unique)
    return list(sources.values())


def is_several(name: str, sources: Sequence[VideoSource]) -> bool:
    """Whether the outputs of what ``name`` stands for are folders."""
    return len(sources) > 1 or (Path(name).is_dir() and sources[0].kind == "video")


def extract_all(
    sources: Sequence[VideoSource],
    workspace: Workspace,
    settings: Settings,
    *,
    train: bool = True,
    quiet: bool = False,
    jobs: int | None = 1,
    then: Then | None = None,
    ended: Callable[[VideoSource, ClipOutcome], None] = lambda source, outcome: None,
) -> ExtractReport:
    """Extract every source that the workspace does not hold yet; a broken one is reported, the rest goes on.

    Args:
        sources: videos and image folders.
        workspace: where the tracks are kept.
        settings: how to decode, find people and track them.
        train: whether `train` shall learn from these clips.
        quiet: no progress.
        jobs: how many videos at once; None: what the machine carries. Nothing but the time depends on it.
        then: done with each clip when its tracks are there, by whom they were made.
        ended: called with each source and what became of it, in the order of the sources.
    """
    start = time.monotonic()
    how = Extraction(workspace, settings, train, then)
    workers = jobs_for(len(sources), jobs)
    found = _side_by_side(how, sources, workers, quiet) if workers > 1 else _one_by_one(how, sources, quiet)
    in_order: dict[str, ClipOutcome] = {}
    timings: Counter[str] = Counter()
    for source, outcome in _in_order(sources, found):
        in_order[source.name] = outcome
        timings.update(outcome.seconds)
        if outcome.error is not None and len(sources) > 1:  # of one, the command says it
            logger.error("%s", outcome.error)
        ended(source, outcome)
    return ExtractReport(
        made=tuple(one.entry for one in in_order.values() if one.entry is not None and one.is_new),
        reused=tuple(one.entry for one in in_order.values() if one.entry is not None and not one.is_new),
        failed=tuple((name, one.error) for name, one in in_order.items() if one.error is not None),
        seconds=time.monotonic() - start,
        timings=dict(timings),
    )


@dataclass(frozen=True)
class Extraction:
    """How to extract; see `extract_all`."""

    workspace: Workspace
    settings: Settings
    train: bool
    then: Then | None

    def chosen(self) -> Extraction:
        """The same with an estimator whose weights can be had."""
        name = chosen_estimator(self.settings.pose.estimator)
        return replace(self, settings=self.settings.with_estimator(name))

    @contextmanager
    def opened(self, show: ShowClip, taken: SharedCount | None = None) -> Iterator[ExtractionRun]:
        """Load the estimator for as long as the block runs.

        Args:
            show: see `ExtractionRun`.
            taken: disk that the features of all workers take; None: no other works beside this one.
        """
        watch, settings = Stopwatch(), self.settings
        estimator = create_estimator(settings.pose.estimator, *settings.of_estimator())
        with closing(estimator), self.workspace.index() as index:
            budget = FeatureDiskBudget(estimator, settings.patches.most_gb, taken)
            if taken is None:
                budget.announce()
            watch.lap("loading")
            shared = self.workspace, settings, estimator, budget, self.train, self.then
            yield ExtractionRun(*shared, show, taken is None, watch, index)


Outcomes = Iterator[tuple[VideoSource, ClipOutcome]]


def _in_order(sources: Sequence[VideoSource], found: Outcomes) -> Outcomes:
    """Outcomes in the order of the sources, each as soon as those before it are known."""
    known: dict[str, ClipOutcome] = {}
    left = deque(sources)
    for source, outcome in found:
        known[source.name] = outcome
        while left and left[0].name in known:
            yield left[0], known.pop(left.popleft().name)


def _one_by_one(how: Extraction, sources: Sequence[VideoSource], quiet: bool) -> Outcomes:
    number = 0

    def show(name: str, frames: float | None) -> AbstractContextManager[Progress]:
        of = f" ({number}/{len(sources)})" if len(sources) > 1 else ""
        return stage(f"extract {name}{of}", "frames", frames, quiet)

    with show_downloads(quiet), how.chosen().opened(show) as run:
        for number, source in enumerate(sources, 1):  # noqa: B007  (show reads it)
            yield source, run.attempt(source)


def _side_by_side(how: Extraction, sources: Sequence[VideoSource], workers: int, quiet: bool) -> Outcomes:
    with show_downloads(quiet):
        how = how.chosen()
        with how.opened(partial(stage, quiet=True)):
            pass  # the weights are there, the settings are right: it is said once
    logger.info("%d videos, %d at a time (--jobs)", len(sources), workers)
    begun, frames = time.monotonic(), 0
    with stage("extract", "videos", len(sources), quiet) as progress:

        def told(more: int) -> None:
            nonlocal frames
            frames += more
            progress.advance(0, f"{frames / (time.monotonic() - begun):.1f} frames a second")

        make = partial(_worker, how, shared_count())
        for done in side_by_side(make, sources, workers, told):
            progress.advance(1)
            yield done.job, _lost(done) if done.result is None else done.result


@contextmanager
def _worker(
    how: Extraction, taken: SharedCount, tell: Tell
) -> Iterator[Callable[[VideoSource], ClipOutcome]]:
    @contextmanager
    def show(name: str, frames: float | None) -> Iterator[Progress]:
        yield Told(name, "frames", frames, tell)

    with how.opened(show, taken) as run:
        yield run.attempt


def _lost(done: Done[VideoSource, ClipOutcome]) -> ClipOutcome:
    text = f"{done.job.path}: the process that worked on it {done.lost}, twice; is memory short? Try --jobs 1"
    return ClipOutcome(error=VideoError(text))
