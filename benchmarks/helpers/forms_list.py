"""The forms that `benchmarks.forms` compares: what each changes of one of two bases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from anomaly.settings import ModelSettings, settings_from_dict
from pipeline.settings import load_config

Changes = dict[str, Any]

# The paper's choices on the shipped network and schedule: published forms without the published size.
PAPER: Changes = {
    "windows.scale": "none",
    "windows.min_joints": 1,
    "windows.min_certainty": 0.0,
    "training.transforms": ["identity", "mirror", "rotate90", "mirror_rotate90", "rotate45"],
    "clustering.clusters": 10,
    "clustering.assignment": "softmax",
    "clustering.bias": False,
    "clustering.temperature": 1.0,
    "clustering.target": "whole",
    "clustering.divergence": "target_model",
    "clustering.reduction": "mean",
    "clustering.weight": 0.6,
    "normality.form": "gaussian",
    "normality.every": 10,
    "normality.max_iterations": 500,
    "scoring.frames": "backtracked",
    "scoring.by": "clustering",
    "scoring.smoothing_s": 40 / 24,
    "scoring.tail": "linear",
}
# What a table of forms leaves time for: the published schedule on all windows would take an hour a seed.
PAPER_IN_FULL: Changes = {
    "windows.train_stride": 12,
    "windows.score_stride": 6,
    "normality.every": 1,
    "training.all_transforms": False,
    "training.batch_size": 128,
    "training.pretrain_epochs": 4,
    "training.pretrain_swings": 1,
    "training.finetune_epochs": 4,
    "scoring.smoothing_s": 0.25,
}

_SOFT_STUDENT: Changes = {"clustering.assignment": "student", "clustering.temperature": 0.0}
_EVERYWHERE: Changes = {"windows.score_stride": 2}  # half the windows to score, half the time
_SMOOTHED: Changes = {"scoring.smoothing_s": 0.25}  # which fits events of a few seconds


@dataclass(frozen=True)
class Form:
    """One row of the table.

    Attributes:
        name: what it says of the form.
        base: what it starts from: "clustering", the config of that name; "paper", the paper's form on the same
            network; or "published", the paper's config.
        changes: dotted settings that differ from the base.
        chosen: whether it is also measured on the held-out streets.
    """

    name: str
    base: str
    changes: Changes = field(default_factory=dict)
    chosen: bool = False

    @property
    def title(self) -> str:
        """Base and name."""
        return f"{self.base}: {self.name}"

    @property
    def settings(self) -> ModelSettings:
        """The model's settings."""
        sections = load_config("paper" if self.base == "published" else "clustering")
        for name, value in {**_EVERYWHERE, **(PAPER if self.base == "paper" else {}), **self.changes}.items():
            section, key = name.split(".")
            sections[section] = {**sections.get(section, {}), key: value}
        known = ModelSettings.__dataclass_fields__
        return settings_from_dict({name: values for name, values in sections.items() if name in known})


DEFAULT = Form("configs/clustering.yaml", "clustering", chosen=True)
BOTH = Form("by both", "clustering", {"scoring.by": "both"}, chosen=True)
PAPERS = Form("paper's form, small network", "paper", chosen=True)

_CHANGES: dict[str, Changes] = {
    "no fine-tuning": {"training.finetune_epochs": 0},
    "target batch": {"clustering.target": "batch"},
    "divergence model_target": {"clustering.divergence": "model_target"},
    "lambda 0.6": {"clustering.weight": 0.6},
    "softmax without bias, temperature 1": {"clustering.bias": False, "clustering.temperature": 1.0},
    "student, automatic temperature": _SOFT_STUDENT,
    "K 10": {"clustering.clusters": 10},
    "K 16": {"clustering.clusters": 16},
    "K 64": {"clustering.clusters": 64},
    "normality gaussian": {"normality.form": "gaussian"},
    "normality dirichlet": {"normality.form": "dirichlet"},
    "student, dirichlet": {**_SOFT_STUDENT, "normality.form": "dirichlet"},
    "log-ratios shrunk by 0.001": {"normality.shrink": 0.001},
    "1 component": {"normality.components": 1},
    "20 components": {"normality.components": 20},
    "tail linear": {"scoring.tail": "linear"},
    "not smoothed": {"scoring.smoothing_s": 0.0},
    "smoothing 1.67 s": {"scoring.smoothing_s": 40 / 24},
    "online": {"scoring.frames": "online"},
    "by reconstruction": {"scoring.by": "reconstruction"},
    "adjacency A": {"model.adjacencies": ["static"]},
    "scale none": {"windows.scale": "none"},
    "features xy": {"windows.features": "xy"},
    "the five transforms": {"training.transforms": PAPER["training.transforms"]},
}
_OF_PAPER: dict[str, Changes] = {
    "scale body (0.25 s)": {**_SMOOTHED, "windows.scale": "body"},
    "log-ratios (0.25 s)": {**_SMOOTHED, "normality.form": "logratio"},
    "scale body, log-ratios (0.25 s)": {**_SMOOTHED, "windows.scale": "body", "normality.form": "logratio"},
}

FORMS: list[Form] = [
    DEFAULT,
    BOTH,
    *(Form(name, "clustering", changes) for name, changes in _CHANGES.items()),
    PAPERS,
    Form("smoothing 0.25 s", "paper", _SMOOTHED, chosen=True),
    *(Form(name, "paper", changes) for name, changes in _OF_PAPER.items()),
    Form("published network, shortened (0.25 s)", "published", PAPER_IN_FULL),
]

# What each form is compared with.
BASES = {"clustering": DEFAULT, "paper": PAPERS, "published": PAPERS}

QUICK: list[Form] = [
    DEFAULT,
    *(
        form
        for form in FORMS
        if form.title in ("clustering: no fine-tuning", "clustering: normality gaussian")
    ),
    PAPERS,
]
