"""The experiments by name: what each measures and the tables that it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from pipeline.experiments import ablation, figure5, table1, table2
from pipeline.experiments.data.action_sets import DatasetActions
from pipeline.experiments.data.splits import pick_splits
from pipeline.experiments.data.street_clips import StreetClips
from pipeline.experiments.data.synthetic_actions import SyntheticActions
from pipeline.experiments.methods.coarse import Actions, Coarse
from pipeline.experiments.methods.fine import Clips, DatasetClips, Fine
from pipeline.experiments.options import METHODS, OF_FRAMES, OF_TABLE1, SUPERVISED
from pipeline.experiments.running import tables
from pipeline.experiments.running.cells import Experiment, Result, Store
from pipeline.experiments.running.tables import Table
from pipeline.experiments.settings import ExperimentSettings
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError
from pose_extract.files import writing

_NEEDS_VIDEOS = "it needs the clips' videos (experiment.videos)"
_NOT_OF_TABLE1 = {  # method -> why not
    **dict.fromkeys(SUPERVISED, "it learns from the actions of clips, which table1 has not"),
    "ours-clustering": "table1 has one row of ours, which is this with --set scoring.by=clustering",
}


@dataclass(frozen=True)
class Plan:
    """An experiment and its tables.

    Attributes:
        experiment: what is measured.
        tables: of what has been measured so far.
        pictures: drawn from the tables into a folder; gives their names.
    """

    experiment: Experiment
    tables: Callable[[Sequence[Result]], list[Table]]
    pictures: Callable[[Path, Sequence[Table]], list[str]] = lambda folder, tables: []

    def write(self, folder: Path, facts: dict[str, Any], store: Store) -> list[Table]:
        """Write all there is so far; returns the tables."""
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".tables.lock"):  # another command may be at it
            results = store.results()
            made = self.tables(results)
            tables.write(folder, made, results, facts)
            self.pictures(folder, made)
        return made


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        config: nested mappings, as `pipeline.settings.config.load_config` gives them.
        settings: the config, checked.
        folder: of the results.
        workspace: where a data set's tracks are.
        device: where networks run.
        quiet: no progress.
    """

    config: dict[str, Any]
    settings: ExperimentSettings
    folder: Path
    workspace: Workspace
    device: str = "cpu"
    quiet: bool = False


def plan_table1(request: Request) -> Plan:
    """Table 1."""
    settings, clips = request.settings, _clips(request)
    options = settings.experiment
    wanted = options.methods or [m for m in METHODS if m not in _NOT_OF_TABLE1]
    absent = {m: why for m, why in _NOT_OF_TABLE1.items() if m in wanted}
    if not clips.has_frames:
        absent |= dict.fromkeys((m for m in OF_FRAMES if m in wanted), _NEEDS_VIDEOS)
    if "mped-rnn" in wanted and settings.windows.depth:
        absent["mped-rnn"] = "it handles 2-D poses only"
    methods = _left(wanted, absent)
    experiment = Fine(settings, clips, options.seeds, methods, request.folder, request.device)
    return Plan(
        experiment,
        lambda results: table1.tables(results, options.seeds, methods, absent, clips.name, clips.published),
    )


def plan_ablation(request: Request) -> Plan:
    """The supplement's ablations."""
    options = request.settings.experiment
    clips, seeds = _clips(request, patches="features" in options.ablation), options.seeds
    experiment = ablation.Ablation(request.config, clips, seeds, request.folder, request.device)
    return Plan(
        experiment,
        lambda results: ablation.tables(
            results, seeds, clips.name, clips.published, options.ablation, experiment.reference
        ),
    )


def plan_table2(request: Request) -> Plan:
    """Table 2."""
    settings, actions = request.settings, _actions(request)
    options = settings.experiment
    splits = pick_splits(actions.splits, options.splits)
    tasks = table2.tasks(splits, options.directions, options.seeds)
    wanted = options.methods or [m for m in METHODS if m not in OF_TABLE1]
    methods, absent = _possible(wanted, settings, actions)
    experiment = Coarse(settings, actions, tasks, methods, request.folder, request.device)
    return Plan(
        experiment,
        lambda results: table2.tables(tasks, results, methods, absent, actions.name, actions.published),
    )


def plan_figure5(request: Request) -> Plan:
    """Figure 5, of our method unless others are asked for."""
    settings, actions = request.settings, _actions(request)
    options = settings.experiment
    splits = pick_splits(actions.splits, options.splits)
    tasks = figure5.tasks(splits, options.directions, options.shares, options.seeds)
    methods, absent = _possible(options.methods or ("ours",), settings, actions)
    experiment = Coarse(settings, actions, tasks, methods, request.folder, request.device)
    return Plan(
        experiment,
        lambda results: figure5.tables(tasks, results, methods, actions.name, absent),
        partial(_draw, sorted(options.shares)),
    )


def _draw(shares: Sequence[float], folder: Path, made: Sequence[Table]) -> list[str]:
    names = [f"{table.name}{ending}" for table in made for ending in (".png", ".svg")]
    for table in made:
        for ending in (".png", ".svg"):
            figure5.plot(folder / f"{table.name}{ending}", table, shares)
    return names


def _actions(request: Request) -> Actions:
    if request.settings.dataset.test:
        return DatasetActions(request.settings, request.workspace, request.quiet)
    return SyntheticActions(request.settings)


def _clips(request: Request, patches: bool = False) -> Clips:
    """The clips; with patch features of their pictures if these are asked for."""
    settings = request.settings
    if settings.windows.extent == "clip":
        raise UsageError(
            "frames are scored by windows that slide: expected a config with windows.extent sliding, for example "
            "--config table1, got windows.extent clip; whole clips are what gepc-pipeline experiment table2 scores"
        )
    if settings.dataset.test:
        clips = DatasetClips(settings, request.workspace, request.quiet)
        if patches:
            clips.make_patches(settings, request.device)
        return clips
    return StreetClips(settings.experiment, request.folder / "street", settings.patches if patches else None)


def _possible(
    wanted: Sequence[str], settings: ExperimentSettings, actions: Actions
) -> tuple[list[str], dict[str, str]]:
    """The methods that can be measured on the data, and the others, each with the reason."""
    absent = {}
    if "mped-rnn" in wanted and settings.windows.depth:
        absent["mped-rnn"] = "it handles 2-D poses only, as in the paper"
    if not actions.has_frames:
        absent |= dict.fromkeys((m for m in OF_FRAMES if m in wanted), _NEEDS_VIDEOS)
    return _left(wanted, absent), absent


def _left(wanted: Sequence[str], absent: dict[str, str]) -> list[str]:
    methods = [method for method in METHODS if method in wanted and method not in absent]
    if not methods:
        raise UsageError(
            "no method is left to measure; " + "; ".join(f"{name}: {why}" for name, why in absent.items())
        )
    return methods


PLANS: dict[str, Callable[[Request], Plan]] = {
    "table1": plan_table1,
    "table2": plan_table2,
    "figure5": plan_figure5,
    "ablation": plan_ablation,
}
DEFAULT_CONFIG = {"table1": "table1", "table2": "actions", "figure5": "actions", "ablation": "table1"}


def facts_of(
    name: str, settings: ExperimentSettings, config: str, overrides: Sequence[str]
) -> dict[str, Any]:
    """How the tables were made, for their JSON."""
    return {"experiment": name, "config": config, "set": list(overrides), "settings": asdict(settings)}
