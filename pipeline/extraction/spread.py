"""Spread the extraction of several videos: one after another, several at once, on a cluster, long ones in pieces."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.extraction.clip import ClipOutcome, ExtractionRun, ShowClip, Then
from pipeline.extraction.copies import first_and_copies
from pipeline.extraction.pieces import PieceOf
from pipeline.extraction.progress import Told, counting
from pipeline.patches.budget import FeatureDiskBudget
from pipeline.progress import Progress, Stopwatch, show_downloads, shown_to, stage
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
from pose_extract.errors import VideoError
from pose_extract.estimators.base import chosen_estimator, create_estimator
from pose_extract.estimators.fetching import fetch_weights
from pose_extract.files import scratch_folder
from pose_extract.video import VideoSource

logger = logging.getLogger(__name__)

Outcomes = Generator[tuple[VideoSource, ClipOutcome], None, None]
"""Sources, and what became of each."""


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


def bring(
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
            make = partial(_apart_worker, replace(how, then=None))
            for turn, some in enumerate(first_and_copies(left)):
                if turn > 0:  # copies: of what could not be extracted
                    some = [source for source in some if not run.is_there(source)]
                if not some:
                    continue
                with closing(side_by_side(make, some, cluster, count.told)) as every:
                    for done in every:
                        count.ended(done.job.name)
                        if done.result is None:
                            given_up[done.job.name] = _lost(done.job, done)
                            continue
                        timings.update(done.result.result.seconds)
                        if done.result.file is None:
                            given_up[done.job.name] = done.result.result
                            continue
                        run.take(done.job, Path(done.result.file))
                        Path(done.result.file).unlink()
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


def make_pieces(
    how: Extraction, sources: Sequence[VideoSource], jobs: Jobs, quiet: bool, timings: Counter[str]
) -> dict[str, ClipOutcome]:
    """Extract the pieces of long videos side by side, to be joined when their turn comes.

    Returns:
        Of sources with a piece whose workers died: what became of them.
    """
    with show_downloads(quiet):
        how = how.chosen()
        with how.opened(partial(stage, quiet=True)) as run:
            by_name = {source.name: run.pieces_to_make(source) for source in sources}
    once = {(of.key, of.piece.number): of for of in chain(*by_name.values())}  # though there be copies
    pieces = list(once.values())
    workers = jobs_for(len(pieces), jobs)
    if workers == 1:
        return {}
    many = "on a cluster (--ray)" if isinstance(workers, Cluster) else f"{workers} at a time (--jobs)"
    logger.info("%d pieces of long videos, %s", len(pieces), many)
    lost: dict[str, Done[Any, Any]] = {}
    with counting("extract", "pieces", len(pieces), quiet) as count:
        make = partial(_piece_worker, how, shared_count(workers))
        with closing(side_by_side(make, pieces, workers, count.told)) as every:
            for done in every:
                count.ended(done.job.name)
                timings.update(done.result or {})
                if done.result is None:
                    lost[done.job.key] = done
    given_up = [source for source in sources if any(of.key in lost for of in by_name[source.name])]
    return {source.name: _lost(source, lost[by_name[source.name][0].key]) for source in given_up}


@contextmanager
def _piece_worker(
    how: Extraction, taken: SharedCount, tell: Tell
) -> Iterator[Callable[[PieceOf], dict[str, float]]]:
    with how.opened(partial(_telling, tell), taken) as run:
        yield run.make_piece


def one_by_one(how: Extraction, sources: Sequence[VideoSource], quiet: bool) -> Outcomes:
    """Extract each in its turn."""
    number = 0

    def show(name: str, frames: float | None) -> AbstractContextManager[Progress]:
        of = f" ({number}/{len(sources)})" if len(sources) > 1 else ""
        return stage(f"extract {name}{of}", "frames", frames, quiet)

    with show_downloads(quiet), how.chosen().opened(show) as run:
        for number, source in enumerate(sources, 1):  # noqa: B007  (show reads it)
            yield source, run.attempt(source)


def several_at_once(
    how: Extraction, sources: Sequence[VideoSource], workers: int | Cluster, quiet: bool
) -> Outcomes:
    """Extract so many at once, copies of others after all else."""
    with show_downloads(quiet):
        how = how.chosen()
        fetch_weights(how.settings.pose.estimator, *how.settings.of_estimator())  # once, not by each worker
    if isinstance(workers, Cluster):
        logger.info("%d videos on a cluster (--ray)", len(sources))
    else:
        logger.info("%d videos, %d at a time (--jobs)", len(sources), workers)
    with counting("extract", "videos", len(sources), quiet) as count:
        make = partial(_worker, how, shared_count(workers))
        for some in first_and_copies(sources):
            done_ones: list[ClipEntry] = []
            try:
                with closing(side_by_side(make, some, workers, count.told)) as every:
                    for done in every:
                        count.ended(done.job.name)
                        outcome = _lost(done.job, done) if done.result is None else done.result
                        if outcome.entry is not None and (outcome.is_new or how.train):
                            done_ones.append(outcome.entry)
                        yield done.job, outcome
            finally:  # those of a worker that was killed before it wrote the list, too
                if done_ones:
                    how.workspace.record(*done_ones)


@contextmanager
def _worker(
    how: Extraction, taken: SharedCount, tell: Tell
) -> Iterator[Callable[[VideoSource], ClipOutcome]]:
    with how.opened(partial(_telling, tell), taken) as run:

        def attempt(source: VideoSource) -> ClipOutcome:
            with shown_to(lambda *_: None):  # all that is shown is how far the workers are together
                return run.attempt(source)

        yield attempt


@contextmanager
def _telling(tell: Tell, name: str, frames: float | None) -> Iterator[Progress]:
    yield Told(name, "frames", frames, tell)


def _lost(source: VideoSource, done: Done[Any, Any]) -> ClipOutcome:
    return ClipOutcome(error=VideoError(f"{source.location}: {done.why_lost('worked on it')}"))
