"""The experiments by name: what each measures and the tables that it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.experiments import figure5, table2, tables
from pipeline.experiments.action_sets import DatasetActions
from pipeline.experiments.cells import Experiment, Result, Store
from pipeline.experiments.coarse import Actions, Coarse
from pipeline.experiments.options import METHODS
from pipeline.experiments.settings import ExperimentSettings
from pipeline.experiments.splits import pick_splits
from pipeline.experiments.tables import Table
from pipeline.workspace import Workspace
from pose_extract.errors import UsageError


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
        results = store.results()
        made = self.tables(results)
        tables.write(folder, made, results, facts)
        self.pictures(folder, made)
        return made


def plan_table2(
    settings: ExperimentSettings, folder: Path, workspace: Workspace, device: str, quiet: bool
) -> Plan:
    """Table 2."""
    options, actions = settings.experiment, _actions(settings, workspace, quiet)
    splits = pick_splits(actions.splits, options.splits)
    tasks = table2.tasks(splits, options.directions, options.seeds)
    methods, absent = _possible(options.methods or METHODS, settings, actions)
    experiment = Coarse(settings, actions, tasks, methods, folder, device)
    return Plan(
        experiment,
        lambda results: table2.tables(tasks, results, methods, absent, actions.name, actions.published),
    )


def plan_figure5(
    settings: ExperimentSettings, folder: Path, workspace: Workspace, device: str, quiet: bool
) -> Plan:
    """Figure 5, of our method unless others are asked for."""
    options, actions = settings.experiment, _actions(settings, workspace, quiet)
    splits = pick_splits(actions.splits, options.splits)
    tasks = figure5.tasks(splits, options.directions, options.shares, options.seeds)
    methods, _ = _possible(options.methods or ("ours",), settings, actions)
    experiment = Coarse(settings, actions, tasks, methods, folder, device)
    return Plan(
        experiment,
        lambda results: figure5.tables(tasks, results, methods, actions.name),
        partial(_draw, sorted(options.shares)),
    )


def _draw(shares: Sequence[float], folder: Path, made: Sequence[Table]) -> list[str]:
    names = [f"{table.name}{ending}" for table in made for ending in (".png", ".svg")]
    for table in made:
        for ending in (".png", ".svg"):
            figure5.plot(folder / f"{table.name}{ending}", table, shares)
    return names


def _actions(settings: ExperimentSettings, workspace: Workspace, quiet: bool) -> Actions:
    if settings.dataset.test:
        return DatasetActions(settings, workspace, quiet)
    from pipeline.experiments.synthetic_actions import SyntheticActions

    return SyntheticActions(settings)


def _possible(
    wanted: Sequence[str], settings: ExperimentSettings, actions: Actions
) -> tuple[list[str], dict[str, str]]:
    """The methods that can be measured on the data, and the others, each with the reason."""
    absent = {}
    if "mped-rnn" in wanted and settings.windows.depth:
        absent["mped-rnn"] = "it handles 2-D poses only, as in the paper"
    if "frame-prediction" in wanted and not actions.has_frames:
        absent["frame-prediction"] = "it needs the clips' videos (experiment.videos)"
    methods = [method for method in METHODS if method in wanted and method not in absent]
    if not methods:
        raise UsageError(
            "no method is left to measure: " + "; ".join(f"{name}: {why}" for name, why in absent.items())
        )
    return methods, absent


PLANS = {"table2": plan_table2, "figure5": plan_figure5}
DEFAULT_CONFIG = {"table1": "table1", "table2": "actions", "figure5": "actions", "ablation": "table1"}


def facts_of(
    name: str, settings: ExperimentSettings, config: str, overrides: Sequence[str]
) -> dict[str, Any]:
    """How the tables were made, for their JSON."""
    return {"experiment": name, "config": config, "set": list(overrides), "settings": asdict(settings)}
