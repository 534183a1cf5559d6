"""The supplement's ablations: parts of the model left out, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.evaluation.ablate import SECTIONS, evaluated, trained
from pipeline.evaluation.evaluate import EvaluationSettings
from pipeline.experiments.methods.fine import Clips, flat
from pipeline.experiments.options import GROUPS
from pipeline.experiments.published import ADJACENCIES, FEATURES, STAGES
from pipeline.experiments.running.cells import Cell, Result
from pipeline.experiments.running.tables import Row, Table, differences
from pipeline.experiments.settings import ExperimentSettings
from pipeline.experiments.table1 import COLUMNS, values
from pipeline.settings import override
from pipeline.workspace import Workspace
from pose_extract.checking import build

METHOD = "ours"  # the one method of an ablation


@dataclass(frozen=True)
class Variant:
    """A model with parts left out or exchanged.

    Attributes:
        group: of variants that are compared with each other.
        name: what is different.
        overrides: ``section.key=value`` texts on top of the config.
    """

    group: str
    name: str
    overrides: tuple[str, ...]


VARIANTS = (
    Variant("spatial operator", "A", ("model.adjacencies=[static]",)),
    Variant("spatial operator", "A + B", ("model.adjacencies=[static, global]",)),
    Variant("spatial operator", "A + B + C", ("model.adjacencies=[static, global, inferred]",)),
    Variant("clustering", "k-means start, DEC", ("clustering.start=kmeans",)),
    Variant("clustering", "k-means start, no DEC", ("clustering.start=kmeans", "training.finetune_epochs=0")),
    Variant("clustering", "random start, DEC", ("clustering.start=random",)),
    Variant("clustering", "random start, no DEC", ("clustering.start=random", "training.finetune_epochs=0")),
    Variant("normality", "DPMM of Gaussians", ("normality.form=gaussian",)),
    Variant("normality", "DPMM of Gaussians, log-ratios", ("normality.form=logratio",)),
    Variant("normality", "DPMM of Dirichlets", ("normality.form=dirichlet",)),
    Variant("normality", "one Gaussian, log-ratios", ("normality.form=logratio", "normality.components=1")),
    Variant("normality", "none: reconstruction", ("scoring.by=reconstruction",)),
    *(
        Variant(
            "features",
            f"{operator}, {features}",
            (f"model.adjacencies={kinds}", f"windows.features={features}"),
        )
        for features in ("pose", "patch", "pose+patch")
        for operator, kinds in (("GCN", "[static]"), ("SAGC", "[static, global, inferred]"))
    ),
)


class Ablation:
    """Every variant with every seed: an `Experiment` of one method.

    Args:
        config: that the variants start from, as nested mappings.
        clips: to train and to test on.
        seeds: of everything random.
        folder: where models are kept.
        device: where networks run.

    Attributes:
        reference: the row of the variant that is the config as it is; "" where none is.

    Raises:
        ConfigError: a variant does not go with the config.
    """

    methods: Sequence[str] = (METHOD,)

    def __init__(
        self,
        config: Mapping[str, Any],
        clips: Clips,
        seeds: Sequence[int],
        folder: Path,
        device: str = "cpu",
    ) -> None:
        self.clips, self.folder, self.device = clips, folder, device
        groups = build(ExperimentSettings, dict(config)).experiment.ablation
        self._variants = {
            variant: build(ExperimentSettings, override(dict(config), variant.overrides))
            for variant in VARIANTS
            if variant.group in groups
        }
        base = build(ExperimentSettings, dict(config))
        unchanged = [v for v, settings in self._variants.items() if settings == base]
        self.reference = f"{unchanged[0].group}: {unchanged[0].name}" if unchanged else ""
        self._of: dict[str, Variant] = {}
        self._cells = []
        for seed in seeds:
            for variant in self._variants:
                facts = {"group": variant.group, "variant": variant.name, "data": clips.name}
                cell = Cell(f"{variant.group}: {variant.name}, seed {seed}", seed, facts)
                self._cells.append(cell)
                self._of[cell.name] = variant

    def cells(self) -> Sequence[Cell]:
        """As `Experiment.cells`."""
        return self._cells

    def made_from(self, cell: Cell, method: str) -> dict[str, Any]:
        """As `Experiment.made_from`."""
        settings = self._variants[self._of[cell.name]]
        patches = {"patches": asdict(settings.patches)} if settings.windows.patches else {}
        return {
            "clips": self.clips.identity(cell.seed),
            "seed": cell.seed,
            "settings": {name: asdict(getattr(settings, name)) for name in (*SECTIONS, "events")} | patches,
        }

    def begin(self, cell: Cell) -> tuple[Cell, Workspace, Any]:
        """As `Experiment.begin`."""
        return cell, *self.clips.clips(cell.seed)

    def measure(self, shared: tuple[Cell, Workspace, Any], method: str) -> dict[str, Any]:
        """As `Experiment.measure`: the figures of both modes."""
        cell, workspace, clips = shared
        settings = self._variants[self._of[cell.name]]
        own = trained(workspace, settings, cell.seed, self.folder, self.device, quiet=True)
        return flat(evaluated(own, settings, clips, EvaluationSettings(), self.device, quiet=True))


def tables(
    results: Sequence[Result],
    seeds: Sequence[int],
    data: str,
    published: bool,
    groups: Sequence[str] = GROUPS[:3],
    reference: str = "",
) -> list[Table]:
    """A row for each variant, groups one after another.

    Args:
        results: what has been measured.
        seeds: of the cells.
        data: its name.
        published: whether it is ShanghaiTech Campus.
        groups: of variants.
        reference: the row that is the config as it is, or "": what others differ from.
    """
    rows = []
    for variant in (v for v in VARIANTS if v.group in groups):
        here = [
            r
            for r in results
            if (r.cell.facts["group"], r.cell.facts["variant"]) == (variant.group, variant.name)
        ]
        paper = None
        if published and variant.group == "spatial operator":
            settings = override({}, variant.overrides)
            paper = ADJACENCIES.get(tuple(settings["model"]["adjacencies"]))
        if published and variant.group == "features":
            paper = FEATURES.get(variant.name)
        rows.append(Row(f"{variant.group}: {variant.name}", values(here, len(seeds), paper), False))
    heading = (
        f"Ablation on {data}: what is named is exchanged, everything else is as in the config; frame AUC, mean and "
        f"standard deviation over seeds {', '.join(map(str, seeds))}."
    )
    notes = [f"Stages of the clustering, {STAGES}."] if "clustering" in groups else []
    if "features" in groups and not published:
        shown = ", ".join(f"{name} {value:.3f}" for name, value in FEATURES.items())
        notes.append(f"Published on ShanghaiTech Campus, by operator and features: {shown}.")
    if "spatial operator" in groups and not published:
        notes.append(
            "Published on ShanghaiTech Campus, by the spatial operator: A "
            f"{ADJACENCIES[('static',)]:.3f}, A + B + C {ADJACENCIES[('static', 'global', 'inferred')]:.3f}."
        )
    names, forms = [c[0] for c in COLUMNS], [c[2] for c in COLUMNS]
    table = Table("ablation", heading, "variant", names, rows, notes, forms)
    return [table, *differences(table, reference)]
