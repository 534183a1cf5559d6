"""Run ablations: one model for each setting that is varied and each seed, evaluated on the same clips."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from anomaly.bundle.card import CARD, read_card
from anomaly.evaluation.figures import Figures, Spread, over_models
from pipeline.evaluation.evaluate import EvaluationSettings, evaluate_model
from pipeline.evaluation.labelled import LabelledClips
from pipeline.patches.features import patches_for_training
from pipeline.settings import Settings, checked, override
from pipeline.training import train
from pipeline.versions import versions
from pipeline.workspace import Workspace
from pose_extract.errors import GepcError, ModelError, UsageError
from pose_extract.files import write_atomically, writing

logger = logging.getLogger(__name__)

BASE = "base"
# Sections that a cell can differ in. The tracks are the same for all.
SECTIONS = (
    "windows", "model", "training", "clustering", "normality", "densities", "scoring", "calibration", "cleaning",
)  # fmt: skip
_FIXED = ("parts", "weights", "surroundings")  # of scoring, when a model is trained
_ALARMS = ("false_alarm_rate", "alarms_per_day")  # of calibration: what the threshold follows
_MOST_CELLS = 1000
_MARK = "cell.json"


@dataclass(frozen=True)
class Factor:
    """A setting and the values that it is given in turn.

    Attributes:
        key: ``section.key``.
        values: as YAML reads them.
    """

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Cell:
    """One combination of settings.

    Attributes:
        name: what differs from the base, for instance ``clustering.clusters=16``.
        overrides: what the cell changes, as ``section.key=value`` texts.
        settings: all settings.
    """

    name: str
    overrides: tuple[str, ...]
    settings: Settings


@dataclass(frozen=True)
class CellResult:
    """What a cell came to.

    Attributes:
        cell: which.
        figures: mode -> figures of each seed that did not fail.
        failed: seed -> why it failed.
    """

    cell: Cell
    figures: dict[str, list[Figures]]
    failed: dict[int, str]

    def spread(self, mode: str) -> dict[str, Spread] | None:
        """Mean and deviation of each figure over the seeds; None if all failed."""
        figures = self.figures.get(mode)
        return over_models(figures) if figures else None


def parse_factor(text: str) -> Factor:
    """``section.key=value,value,…`` with values in YAML: ``model.adjacencies=[static],[static,global]``.

    Raises:
        UsageError: it is of another form, or of a section that cells cannot differ in.
    """
    key, equals, values = text.partition("=")
    key = key.strip()
    if not equals or "." not in key:
        raise UsageError(f"--vary: expected section.key=value,value,..., got {text!r}")
    if key.partition(".")[0] not in SECTIONS:
        raise UsageError(
            f"--vary {key}: all cells share the same tracks; what can be varied is in the sections "
            + ", ".join(SECTIONS)
        )
    try:
        parsed = yaml.safe_load(f"[{values}]")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UsageError(f"--vary {text}: {' '.join(str(error).split())}") from None
    if not isinstance(parsed, list) or not parsed:
        raise UsageError(f"--vary {key}: expected at least one value, got {values!r}")
    try:
        json.dumps(parsed)
    except (TypeError, ValueError, RecursionError):  # YAML has dates, sets, bytes and loops
        raise UsageError(f"--vary {key}: expected numbers, texts and lists of them, got {values!r}") from None
    return Factor(key, tuple(parsed))


def make_cells(base: Mapping[str, Any], factors: Sequence[Factor], grid: bool = False) -> list[Cell]:
    """The combinations to try; all are checked before anything is trained.

    Args:
        base: the config that they start from, as nested mappings.
        factors: what is varied.
        grid: every value of a factor with every value of the others; otherwise one factor at a time, the others being
            as in the base, which comes first.

    Raises:
        ConfigError: a combination is no valid config.
        UsageError: a factor is given twice, or there are more than 1000 cells.
    """
    if len({f.key for f in factors}) < len(factors):
        raise UsageError("--vary: expected each setting once, with all its values")
    if grid:
        combinations: Iterator[tuple[tuple[str, Any], ...]] = itertools.product(
            *([(f.key, value) for value in f.values] for f in factors)
        )
    else:
        combinations = itertools.chain([()], (((f.key, value),) for f in factors for value in f.values))
    cells: dict[str, Cell] = {}
    names: dict[str, list[str]] = {}
    for combination in itertools.islice(combinations, _MOST_CELLS + 1):
        if len(cells) == _MOST_CELLS:
            raise UsageError(f"--vary: expected at most {_MOST_CELLS} cells")
        overrides = tuple(f"{key}={json.dumps(value)}" for key, value in combination)
        settings = checked(override(dict(base), overrides))
        key = _digest({name: asdict(getattr(settings, name)) for name in SECTIONS})
        cells.setdefault(key, Cell("", overrides, settings))
        names.setdefault(key, []).append(", ".join(f"{k}={_shown(value)}" for k, value in combination))
    return [replace(cell, name=_name_of(names[key])) for key, cell in cells.items()]


def _name_of(names: list[str]) -> str:
    """One name for combinations that come to the same settings; the base's is empty, and says what it has."""
    same = ", ".join(dict.fromkeys(filter(None, names)))
    if names[0]:
        return names[0]
    return f"{BASE} ({same})" if same else BASE


def _shown(value: Any) -> str:
    """A value as short as it can be read back."""
    return json.dumps(value, ensure_ascii=False).replace('"', "").replace(", ", ",")


class _CellWorkspace(Workspace):
    """The tracks of a workspace, with a model of its own."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        super().__init__(workspace.root)
        self.model, self.training = folder / "model", folder / "training"


def run_cells(
    workspace: Workspace,
    clips: LabelledClips,
    cells: Sequence[Cell],
    seeds: Sequence[int],
    folder: Path,
    evaluation: EvaluationSettings | None = None,
    device: str = "auto",
    quiet: bool = False,
    finished: Callable[[list[CellResult]], None] = lambda results: None,
) -> list[CellResult]:
    """Train and evaluate every cell with every seed.

    What is finished in ``folder`` is not trained, nor evaluated, again; a training that was cut off goes on. A cell
    that fails is noted, and the others go on. Settings of scoring need no training of their own, but for the parts,
    their weights and the surroundings: cells that differ in nothing else share a model.

    Args:
        workspace: whose clips are trained on.
        clips: what is evaluated.
        cells: which settings.
        seeds: of training.
        folder: where the models go.
        evaluation: how figures are made.
        device: where models are trained and run.
        quiet: no progress.
        finished: called with what is there after each cell.
    """
    evaluation = evaluation or EvaluationSettings()
    results: list[CellResult] = []
    for number, cell in enumerate(cells):
        figures: dict[str, list[Figures]] = {}
        failed: dict[int, str] = {}
        for seed in seeds:
            logger.info("cell %d of %d, seed %d: %s", number + 1, len(cells), seed, cell.name)
            try:
                own = trained(workspace, cell.settings, seed, folder, device, quiet)
                for mode, its in evaluated(own, cell.settings, clips, evaluation, device, quiet).items():
                    figures.setdefault(mode, []).append(its)
            except GepcError as error:
                logger.error("%s, seed %d: %s", cell.name, seed, error)
                failed[seed] = str(error)
        results.append(CellResult(cell, figures, failed))
        finished(results)
    return results


def trained(
    workspace: Workspace,
    settings: Settings,
    seed: int,
    folder: Path,
    device: str = "auto",
    quiet: bool = False,
) -> Path:
    """The folder that holds, as ``model``, the bundle of these settings and seed; trains it unless it is there.

    Several processes may ask for the same one: one trains, the others wait.

    Args:
        workspace: whose clips are trained on.
        settings: of everything. Of those of scoring, `_FIXED` ones alone make a difference.
        seed: of training.
        folder: where models go.
        device: where it is trained.
        quiet: no progress.

    Raises:
        TrainingError: as `pipeline.training.train` does.
    """
    learned_from = [(entry.clip, entry.key) for entry in workspace.training_clips()]
    # Of scoring, only what is fixed in training: the same model can be scored with in any other way.
    shaping = {name: asdict(getattr(settings, name)) for name in SECTIONS}
    shaping["scoring"] = {name: shaping["scoring"][name] for name in _FIXED}
    for name in _ALARMS:
        del shaping["calibration"][name]
    made_from = {"settings": shaping, "seed": seed, "clips": learned_from}
    if settings.windows.patches:
        paths = [workspace.tracks_path(entry.clip) for entry in workspace.training_clips()]
        made_from["patches"] = patches_for_training(paths, settings.patches, workspace).kind
    key = _digest(made_from)
    own = folder / "models" / key[:16]
    with writing(own):
        own.mkdir(parents=True, exist_ok=True)
    with FileLock(own / ".lock"):
        if not _is_finished(own, key):
            train(_CellWorkspace(workspace, own), settings, seed=seed, device=device, quiet=quiet)
            _write_json(own / _MARK, {"key": key, **made_from})
    return own


def _is_finished(own: Path, key: str) -> bool:
    try:
        read_card(own / "model")
        return json.loads((own / _MARK).read_text(encoding="utf-8"))["key"] == key
    except (OSError, ValueError, KeyError, TypeError, ModelError):
        return False


def evaluated(
    own: Path,
    settings: Settings,
    clips: LabelledClips,
    evaluation: EvaluationSettings,
    device: str = "auto",
    quiet: bool = False,
) -> dict[str, Figures]:
    """Mode -> figures of a model of `trained`, scored as the settings say; they are computed unless they are there."""
    scoring = {f"scoring.{k}": v for k, v in asdict(settings.scoring).items()}
    scoring |= {f"calibration.{name}": getattr(settings.calibration, name) for name in _ALARMS}
    scoring |= {f"events.{k}": v for k, v in asdict(settings.events).items()}
    overrides = [f"{name}={json.dumps(value)}" for name, value in scoring.items()]
    files = {clip: (path.stat().st_size, path.stat().st_mtime_ns) for clip, path in clips.paths.items()}
    key = _digest(
        {
            "model": hashlib.sha256((own / "model" / CARD).read_bytes()).hexdigest(),
            "overrides": overrides,
            "evaluation": asdict(evaluation),
            "program": versions().get("gepc-pipeline"),
            "tracks": files,
            "masks": {
                clip: [
                    hashlib.sha256(masks[clip].tobytes()).hexdigest()
                    for masks in (clips.abnormal, clips.kept)
                ]
                for clip in clips.paths
            },
        }
    )
    path = own / f"figures-{key[:16]}.json"
    with FileLock(own / ".lock"):
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            return {mode: Figures(**_from_json(its)) for mode, its in known["figures"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        found = evaluate_model(own / "model", clips, evaluation, overrides, device, quiet)
        _write_json(path, {"key": key, "figures": {m: _to_json(asdict(f)) for m, f in found.figures.items()}})
    return found.figures


def _to_json(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in figures.items()}


def _from_json(figures: dict[str, float | None]) -> dict[str, float]:
    return {name: float("nan") if value is None else value for name, value in figures.items()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(value, indent=1, sort_keys=True).encode())
