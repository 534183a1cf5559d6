"""Extract videos to cached tracks, one clip after another or several side by side; each is done once."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from pipeline.extraction.clip import ClipOutcome, Then
from pipeline.extraction.spread import Extraction, bring, make_pieces, one_by_one, several_at_once
from pipeline.settings import Settings
from pipeline.workers import Cluster, Jobs, jobs_for
from pipeline.workspace import ClipEntry, Workspace
from pose_extract.errors import GepcError, UsageError
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
        UsageError: it is an address, and none will do; or it is empty.
    """
    sources: dict[str, VideoSource] = {}
    taken: set[str] = set()
    for name in names:
        if not name:  # of an unset variable; it would stand for the folder that one is in
            raise UsageError("expected the name of a video or a folder, got an empty one")
        if is_address(name) and not elsewhere:
            raise UsageError(f"{name}: expected a file or folder; only extract and score take addresses")
        for source in find_by_address(name) if is_address(name) else find_sources(name):
            if source.location in sources:
                continue
            unique, number = source.name, 2
            while unique.casefold() in taken:
                unique, number = f"{source.name}-{number}", number + 1
            taken.add(unique.casefold())
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
        brought, given_up = bring(how, sources, jobs, quiet, timings)
        jobs = None
    elif settings.video.pieces_min is not None and jobs != 1:
        given_up = make_pieces(how, sources, jobs, quiet, timings)
    left = [source for source in sources if source.name not in given_up]
    workers = jobs_for(len(left), jobs)
    every = one_by_one(how, left, quiet) if workers == 1 else several_at_once(how, left, workers, quiet)
    unused = [(source, given_up[source.name]) for source in sources if source.name in given_up]
    in_order: dict[str, ClipOutcome] = {}
    with closing(every) as found:
        for source, outcome in _in_order(sources, chain(unused, found)):
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


def _in_order(
    sources: Sequence[VideoSource], found: Iterable[tuple[VideoSource, ClipOutcome]]
) -> Iterator[tuple[VideoSource, ClipOutcome]]:
    """Outcomes in the order of the sources, each as soon as those before it are known."""
    known: dict[str, ClipOutcome] = {}
    left = deque(sources)
    for source, outcome in found:
        known[source.name] = outcome
        while left and left[0].name in known:
            yield left[0], known.pop(left.popleft().name)
