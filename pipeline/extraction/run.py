"""Extract videos to cached tracks, one clip after another or several side by side; each is done once."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.extraction.clip import ClipOutcome, ExtractionRun, ShowClip, Then
from pipeline.extraction.pieces import PieceOf
from pipeline.extraction.progress import Told, counting
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.progress import Progress, Stopwatch, show_downloads, stage
from pipeline.settings import Settings
from pipeline.workers import (
    Brought,
    Cluster,
    Done,
    Jobs,
    OwnCount,
    SharedCount,
    Tell,
    jobs_for,
    shared_count,
    side_by_side,
)
from pipeline.workspace import ClipEntry, Workspace
from pose_extract.errors import GepcError, UsageError, VideoError
from pose_extract.estimators.base import chosen_estimator, create_estimator
from pose_extract.estimators.fetching import fetch_weights
from pose_extract.files import scratch_folder
from pose_extract.video import VideoSource, find_sources
from pose_extract.video.remote import find_by_address, is_address

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

    def __repr__(self) -> str:
        made, reused, failed = len(self.made), len(self.reused), len(self.failed)
        return f"<ExtractReport: {made} made, {reused} reused, {failed} failed, {self.seconds:.1f} s>"


def find_all_sources(names: Sequence[str], elsewhere: bool = False) -> list[VideoSource]:
    """The sources of several arguments, paths or patterns, each source once, clip names made unique.

    Args:
        names: the arguments.
        elsewhere: whether addresses (``s3://...``) will do, too.

    Raises:
        VideoError: an argument names nothing.
        UsageError: it is an address, and none will do.
    """
    sources: dict[str, VideoSource] = {}
    taken: set[str] = set()
    for name in names:
        if is_address(name) and not elsewhere:
            raise UsageError(f"{name}: expected a file or folder; only extract and score take addresses")
        for source in find_by_address(name) if is_address(name) else find_sources(name):
            if source.location in sources:
                continue
            unique, number = source.name, 2
            while unique in taken:
                unique, number = f"{source.name}-{number}", number + 1
            taken.add(unique)
            sources[source.location] = replace(source, name=unique)
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
    jobs: Jobs = 1,
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
        jobs: how many videos at once, None: what the machine carries; or on which cluster. Only the time depends on it.
        then: done with each clip when its tracks are there, by whom they were made.
        ended: called with each source and what became of it, in the order of the sources.
    """
    start = time.monotonic()
    how = Extraction(workspace, settings, train, then)
    timings: Counter[str] = Counter()
    given_up: dict[str, ClipOutcome] = {}
    brought: set[str] = set()
    if isinstance(jobs, Cluster) and jobs.apart:
        brought, given_up = _bring(how, sources, jobs, quiet, timings)
        jobs = None
    elif settings.video.pieces_min is not None and jobs != 1:
        given_up = _make_pieces(how, sources, jobs, quiet, timings)
    left = [source for source in sources if source.name not in given_up]
    workers = jobs_for(len(left), jobs)
    found = _one_by_one(how, left, quiet) if workers == 1 else _side_by_side(how, left, workers, quiet)
    found = chain(((source, given_up[source.name]) for source in sources if source.name in given_up), found)
    in_order: dict[str, ClipOutcome] = {}
    for source, outcome in _in_order(sources, found):
        outcome = replace(outcome, is_new=outcome.is_new or source.name in brought)
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


def _bring(
    how: Extraction, sources: Sequence[VideoSource], cluster: Cluster, quiet: bool, timings: Counter[str]
) -> tuple[set[str], dict[str, ClipOutcome]]:
    """Extract on a cluster that does not see the workspace, and put the tracks there.

    Returns:
        Names of the sources that were extracted; and what became of those that cannot be used.
    """
    brought: set[str] = set()
    given_up: dict[str, ClipOutcome] = {}
    with show_downloads(quiet):
        how = how.chosen()
        opened = how.opened(partial(stage, quiet=True))
    with opened as run:
        left = [source for source in sources if not run.is_there(source)]
        logger.info("%d videos on a cluster that does not see the workspace (--ray-apart)", len(left))
        with counting("extract", "videos", len(left), quiet) as count:
            for done in side_by_side(
                partial(_apart_worker, replace(how, then=None)), left, cluster, count.told
            ):
                count.ended(done.job.name)
                if done.result is None:
                    given_up[done.job.name] = _lost(done.job, done)
                    continue
                timings.update(done.result.result.seconds)
                if done.result.file is None:
                    given_up[done.job.name] = done.result.result
                else:
                    run.take(done.job, Path(done.result.file))
                    brought.add(done.job.name)
    return brought, given_up


@contextmanager
def _apart_worker(how: Extraction, tell: Tell) -> Iterator[Callable[[VideoSource], Brought[ClipOutcome]]]:
    with scratch_folder() as folder:
        own = replace(how, workspace=Workspace(folder))
        with own.opened(partial(_telling, tell), OwnCount()) as run:

            def extract(source: VideoSource) -> Brought[ClipOutcome]:
                outcome = run.attempt(source)
                if outcome.entry is None:
                    return Brought(outcome, None)
                return Brought(outcome, str(run.workspace.tracks_path(outcome.entry.clip)))

            yield extract


def _make_pieces(
    how: Extraction, sources: Sequence[VideoSource], jobs: Jobs, quiet: bool, timings: Counter[str]
) -> dict[str, ClipOutcome]:
    """Extract the pieces of long videos side by side, to be joined when their turn comes.

    Returns:
        Of sources with a piece whose workers died: what became of them.
    """
    with show_downloads(quiet):
        how = how.chosen()
        with how.opened(partial(stage, quiet=True)) as run:
            pieces = [piece for source in sources for piece in run.pieces_to_make(source)]
    workers = jobs_for(len(pieces), jobs)
    if workers == 1:
        return {}
    many = "on a cluster (--ray)" if isinstance(workers, Cluster) else f"{workers} at a time (--jobs)"
    logger.info("%d pieces of long videos, %s", len(pieces), many)
    given_up: dict[str, ClipOutcome] = {}
    with counting("extract", "pieces", len(pieces), quiet) as count:
        make = partial(_piece_worker, how, shared_count(workers))
        for done in side_by_side(make, pieces, workers, count.told):
            count.ended(done.job.name)
            timings.update(done.result or {})
            if done.result is None:
                given_up[done.job.source.name] = _lost(done.job.source, done)
    return given_up


@contextmanager
def _piece_worker(
    how: Extraction, taken: SharedCount, tell: Tell
) -> Iterator[Callable[[PieceOf], dict[str, float]]]:
    with how.opened(partial(_telling, tell), taken) as run:
        yield run.make_piece


def _one_by_one(how: Extraction, sources: Sequence[VideoSource], quiet: bool) -> Outcomes:
    number = 0

    def show(name: str, frames: float | None) -> AbstractContextManager[Progress]:
        of = f" ({number}/{len(sources)})" if len(sources) > 1 else ""
        return stage(f"extract {name}{of}", "frames", frames, quiet)

    with show_downloads(quiet), how.chosen().opened(show) as run:
        for number, source in enumerate(sources, 1):  # noqa: B007  (show reads it)
            yield source, run.attempt(source)


def _side_by_side(
    how: Extraction, sources: Sequence[VideoSource], workers: int | Cluster, quiet: bool
) -> Outcomes:
    with show_downloads(quiet):
        how = how.chosen()
        fetch_weights(how.settings.pose.estimator, *how.settings.of_estimator())  # once, not by each worker
    if isinstance(workers, Cluster):
        logger.info("%d videos on a cluster (--ray)", len(sources))
    else:
        logger.info("%d videos, %d at a time (--jobs)", len(sources), workers)
    with counting("extract", "videos", len(sources), quiet) as count:
        make = partial(_worker, how, shared_count(workers))
        made: list[ClipEntry] = []
        try:
            for done in side_by_side(make, sources, workers, count.told):
                count.ended(done.job.name)
                outcome = _lost(done.job, done) if done.result is None else done.result
                if outcome.entry is not None and outcome.is_new:
                    made.append(outcome.entry)
                yield done.job, outcome
        finally:  # those of a worker that was killed before it wrote the list, too
            if made:
                how.workspace.record(*made)


@contextmanager
def _worker(
    how: Extraction, taken: SharedCount, tell: Tell
) -> Iterator[Callable[[VideoSource], ClipOutcome]]:
    with how.opened(partial(_telling, tell), taken) as run:
        yield run.attempt


@contextmanager
def _telling(tell: Tell, name: str, frames: float | None) -> Iterator[Progress]:
    yield Told(name, "frames", frames, tell)


def _lost(source: VideoSource, done: Done[Any, Any]) -> ClipOutcome:
    return ClipOutcome(error=VideoError(f"{source.location}: {done.why_lost('worked on it')}"))
