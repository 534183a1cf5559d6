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

_STUDENT: Changes = {"clustering.assignment": "student", "clustering.temperature": 1.0}
_SOFT_STUDENT: Changes = {"clustering.assignment": "student", "clustering.temperature": 0.0}
_SOFT: Changes = {"clustering.bias": True, "clustering.temperature": 0.0}
_DEC: Changes = {**_STUDENT, "clustering.target": "batch"}
_A, _AB = ["static"], ["static", "global"]


_EVERYWHERE: Changes = {"windows.score_stride": 2}  # half the windows to score, half the time
_START: Changes = {"clustering.clusters": 16}
_OF_BASE = {"start": _START, "k-means": {**_START, "training.finetune_epochs": 0}, "paper": PAPER}


_CHOSEN = ("by both", "K 32, by both")  # besides the bases


@dataclass(frozen=True)
class Form:
    """One row of the table.

    Attributes:
        name: what it says of the form.
        base: what it starts from: "clustering", the config of that name; "start", the same as it was before forms were
            compared; "k-means", that without fine-tuning; "paper", the paper's form on the same network; or
            "published", the paper's config.
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
        for name, value in {**_EVERYWHERE, **_OF_BASE.get(self.base, {}), **self.changes}.items():
            section, key = name.split(".")
            sections[section] = {**sections.get(section, {}), key: value}
        known = ModelSettings.__dataclass_fields__
        return settings_from_dict({name: values for name, values in sections.items() if name in known})


def _forms(base: str, table: dict[str, Changes]) -> list[Form]:
    return [
        Form(name, base, changes, chosen=base == "start" and name in _CHOSEN)
        for name, changes in table.items()
    ]


DEFAULT = Form("configs/clustering.yaml", "clustering", chosen=True)
START = Form("before the comparison", "start", chosen=True)
PAPERS = Form("paper's form, small network", "paper", chosen=True)

KMEANS = Form("without fine-tuning", "k-means")

_ASSIGNMENTS: dict[str, Changes] = {
    "softmax without bias": {"clustering.bias": False},
    "softmax, temperature 1": {"clustering.temperature": 1.0},
    "softmax without bias, temperature 1": {"clustering.bias": False, "clustering.temperature": 1.0},
    "student": _STUDENT,
    "student, automatic temperature": _SOFT_STUDENT,
    "start_entropy 0.15": {"clustering.start_entropy": 0.15},
    "start_entropy 0.5": {"clustering.start_entropy": 0.5},
    "K 10": {"clustering.clusters": 10},
    "K 20": {"clustering.clusters": 20},
    "K 32": {"clustering.clusters": 32},
    "K 64": {"clustering.clusters": 64},
}
_MIXTURES: dict[str, Changes] = {
    "normality gaussian": {"normality.form": "gaussian"},
    "normality logratio": {"normality.form": "logratio"},
    "normality dirichlet": {"normality.form": "dirichlet"},
    "logratio, shrink 0.001": {"normality.form": "logratio", "normality.shrink": 0.001},
    "5 components": {"normality.components": 5},
    "20 components": {"normality.components": 20},
    "student, gaussian": {**_STUDENT, "normality.form": "gaussian"},
    "student, dirichlet": {**_STUDENT, "normality.form": "dirichlet"},
    "automatic student, dirichlet": {**_SOFT_STUDENT, "normality.form": "dirichlet"},
    "K 32, 20 components": {"clustering.clusters": 32, "normality.components": 20},
    "K 64, 20 components": {"clustering.clusters": 64, "normality.components": 20},
    "K 64, 5 components": {"clustering.clusters": 64, "normality.components": 5},
    "1 component": {"normality.components": 1},
    "K 32, dirichlet": {"clustering.clusters": 32, "normality.form": "dirichlet"},
    "start_entropy 0.5, dirichlet": {"clustering.start_entropy": 0.5, "normality.form": "dirichlet"},
}
_SCORING: dict[str, Changes] = {
    "tail linear": {"scoring.tail": "linear"},
    "not smoothed": {"scoring.smoothing_s": 0.0},
    "smoothing 0.5 s": {"scoring.smoothing_s": 0.5},
    "smoothing 1.67 s": {"scoring.smoothing_s": 40 / 24},
    "online": {"scoring.frames": "online"},
    "by reconstruction": {"scoring.by": "reconstruction"},
    "by both": {"scoring.by": "both"},
    "by both, tail linear": {"scoring.by": "both", "scoring.tail": "linear"},
    "K 32, by both": {"clustering.clusters": 32, "scoring.by": "both"},
}
_FINE_TUNING: dict[str, Changes] = {
    "target batch": {"clustering.target": "batch"},
    "divergence model_target": {"clustering.divergence": "model_target"},
    "reduction sum": {"clustering.reduction": "sum"},
    "batch, model_target, sum": {
        "clustering.target": "batch",
        "clustering.divergence": "model_target",
        "clustering.reduction": "sum",
    },
    "lambda 0": {"clustering.weight": 0.0},
    "lambda 0.01": {"clustering.weight": 0.01},
    "lambda 0.6": {"clustering.weight": 0.6},
    "student, batch (DEC)": _DEC,
}
_NETWORKS: dict[str, Changes] = {
    "adjacency A": {"model.adjacencies": _A},
    "adjacencies A + B": {"model.adjacencies": _AB},
    "partition distance": {"model.partition": "distance"},
    "partition uniform": {"model.partition": "uniform"},
}
_WINDOWS: dict[str, Changes] = {
    "scale none": {"windows.scale": "none"},
    "scale largest": {"windows.scale": "largest"},
    "min_certainty 0": {"windows.min_certainty": 0.0},
    "features xy": {"windows.features": "xy"},
    "the five transforms": {"training.transforms": PAPER["training.transforms"]},
}
_LONGER: dict[str, Changes] = {
    "pre-training of 15 epochs": {"training.pretrain_epochs": 15},
    "pre-training of 15 epochs, by both": {"training.pretrain_epochs": 15, "scoring.by": "both"},
    "pre-training of 15 epochs, K 32": {"training.pretrain_epochs": 15, "clustering.clusters": 32},
    "pre-training of 15 epochs, K 32, by both": {
        "training.pretrain_epochs": 15,
        "clustering.clusters": 32,
        "scoring.by": "both",
    },
}
_WITHOUT_FINE_TUNING = {**_LONGER, **_ASSIGNMENTS, **_MIXTURES, **_SCORING, **_NETWORKS, **_WINDOWS}

FORMS: list[Form] = [
    DEFAULT,
    START,
    *_forms("start", {**_FINE_TUNING, **_WITHOUT_FINE_TUNING}),
    KMEANS,
    *_forms("k-means", _WITHOUT_FINE_TUNING),
    PAPERS,
    Form("smoothing 0.25 s", "paper", {"scoring.smoothing_s": 0.25}, chosen=True),
    *_forms(
        "paper",
        {
            "smoothing 0.25 s, tail log": {"scoring.smoothing_s": 0.25, "scoring.tail": "log"},
            # From here on with the shipped form's smoothing, which fits events of a few seconds.
            **{
                f"{name} (0.25 s)": {"scoring.smoothing_s": 0.25, **changes}
                for name, changes in {
                    "bias": {"clustering.bias": True},
                    "bias, automatic temperature": _SOFT,
                    "automatic temperature": {"clustering.temperature": 0.0},
                    "student": _STUDENT,
                    "student, batch (DEC)": _DEC,
                    "target batch": {"clustering.target": "batch"},
                    "divergence model_target": {"clustering.divergence": "model_target"},
                    "reduction sum": {"clustering.reduction": "sum"},
                    "no fine-tuning": {"training.finetune_epochs": 0},
                    "lambda 0.1": {"clustering.weight": 0.1},
                    "K 20": {"clustering.clusters": 20},
                    "normality logratio": {"normality.form": "logratio"},
                    "normality dirichlet": {"normality.form": "dirichlet"},
                    "adjacency A": {"model.adjacencies": _A},
                    "adjacencies A + B": {"model.adjacencies": _AB},
                    "scale largest": {"windows.scale": "largest"},
                    "scale body": {"windows.scale": "body"},
                    "scale body, logratio": {"windows.scale": "body", "normality.form": "logratio"},
                    "scale body, bias and automatic temperature, logratio": {
                        "windows.scale": "body",
                        **_SOFT,
                        "normality.form": "logratio",
                    },
                    "identity and mirror only": {"training.transforms": ["identity", "mirror"]},
                    "by reconstruction": {"scoring.by": "reconstruction"},
                }.items()
            },
        },
    ),
    Form("published network, shortened (0.25 s)", "published", PAPER_IN_FULL),
    Form("published network, shortened", "published", {**PAPER_IN_FULL, "scoring.smoothing_s": 40 / 24}),
]

# What each form is compared with.
BASES = {"clustering": START, "start": START, "k-means": KMEANS, "paper": PAPERS, "published": PAPERS}

QUICK: list[Form] = [
    DEFAULT,
    KMEANS,
    *[form for form in FORMS if form.title in ("k-means: normality gaussian", "k-means: student")],
    PAPERS,
]
