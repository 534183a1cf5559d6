"""Find configs and published weights of models by name, in the indices inside mmpose's and mmdet's wheels.

Needs neither torch nor OpenMMLab in memory: the packages' folders are looked up and their indices read as plain YAML.
"""

from __future__ import annotations

import difflib
import importlib.util
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from pose_extract.errors import ConfigError, EstimatorError
from pose_extract.estimators.openmmlab.compat import INSTALL
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.skeletons import HALPE26

PRESETS: dict[str, tuple[str, str]] = {
    "lightweight": ("rtmpose-s", "rtmdet-nano-person"),
    "balanced": ("rtmpose-m", "rtmdet-m-person"),
    "performance": ("rtmpose-x", "rtmdet-m-person"),
}
"""Name -> short names of the pose model and of its detector."""

POSE_NAMES: dict[str, str] = {
    "rtmpose-t": "rtmpose-t_8xb256-420e_body8-256x192",
    "rtmpose-s": "rtmpose-s_8xb256-420e_body8-256x192",
    "rtmpose-m": "rtmpose-m_8xb256-420e_body8-256x192",
    "rtmpose-l": "rtmpose-l_8xb256-420e_body8-384x288",
    # Published with Halpe's 26 joints only; the 17 of COCO are among them.
    "rtmpose-x": "rtmpose-x_8xb256-700e_body8-halpe26-384x288",
    "rtmo-t": "rtmo-t_8xb32-600e_body7-416x416",
    "rtmo-s": "rtmo-s_8xb32-600e_body7-640x640",
    "rtmo-m": "rtmo-m_16xb16-600e_body7-640x640",
    "rtmo-l": "rtmo-l_16xb16-600e_body7-640x640",
    "vitpose-s": "td-hm_ViTPose-small-simple_8xb64-210e_coco-256x192",
    "vitpose-b": "td-hm_ViTPose-base-simple_8xb64-210e_coco-256x192",
    "vitpose-l": "td-hm_ViTPose-large-simple_8xb64-210e_coco-256x192",
    "vitpose-h": "td-hm_ViTPose-huge-simple_8xb64-210e_coco-256x192",
    "hrnet-w32": "td-hm_hrnet-w32_8xb64-210e_coco-256x192",
    "hrnet-w48": "td-hm_hrnet-w48_8xb32-210e_coco-256x192",
    "rtmw-m": "rtmw-m_8xb1024-270e_cocktail14-256x192",
    "rtmw-l": "rtmw-l_8xb320-270e_cocktail14-384x288",
    "rtmw-x": "rtmw-x_8xb320-270e_cocktail14-384x288",
}
"""Short name -> the name under which mmpose publishes the model."""

_HALPE26_NAMES = {
    "rtmpose-t": "rtmpose-t_8xb1024-700e_body8-halpe26-256x192",
    "rtmpose-s": "rtmpose-s_8xb1024-700e_body8-halpe26-256x192",
    "rtmpose-m": "rtmpose-m_8xb512-700e_body8-halpe26-256x192",
    "rtmpose-l": "rtmpose-l_8xb512-700e_body8-halpe26-384x288",
}

DETECTOR_NAMES: dict[str, str] = {
    "rtmdet-nano": "rtmdet_nano_320-8xb32_coco-person",
    "rtmdet-nano-person": "rtmdet_nano_320-8xb32_coco-person",
    "rtmdet-m-person": "rtmdet_m_640-8xb32_coco-person",
    "rtmdet-tiny": "rtmdet_tiny_8xb32-300e_coco",
    "rtmdet-s": "rtmdet_s_8xb32-300e_coco",
    "rtmdet-m": "rtmdet_m_8xb32-300e_coco",
    "rtmdet-l": "rtmdet_l_8xb32-300e_coco",
    "rtmdet-x": "rtmdet_x_8xb32-300e_coco",
}
"""Short name -> the name under which mmdet, or mmpose for people alone, publishes the detector."""

_RTMPOSE = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/"

# Detectors of people that mmpose ships configs for, but no index names. Their weights were saved anew in 2023, without
# what training had left in them, under their old names: the hashes in those are not theirs.
_PERSON_DETECTORS = {
    "rtmdet_nano_320-8xb32_coco-person": _RTMPOSE
    + "rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.pth"
    + "#sha256=0e2da635c75e25dc88af08d01eb34bfe9cac06a7841cba223bdf04eed288b3dc",
    "rtmdet_m_640-8xb32_coco-person": _RTMPOSE
    + "rtmdet_m_8xb32-100e_coco-obj365-person-235e8209.pth#sha256=",
}
# So were the pose models of that folder that existed then; newer ones are what their names say.
_SAVED_ANEW = (_RTMPOSE, 20230418)


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        name: under which it is published; of a config of the user's own, the file's name.
        config: path of its config.
        weights: address, as `pose_extract.estimators.downloads.fetch` takes it, or path of its weights.
    """

    name: str
    config: Path
    weights: str


def pose_source(settings: OpenMMLabSettings) -> ModelSource:
    """The pose model that the settings ask for.

    Raises:
        ConfigError: no model of that name is published and no config is there, or a config has no weights.
        EstimatorError: mmpose is not installed.
    """
    name = PRESETS[settings.model][0] if settings.model in PRESETS else settings.model
    short = POSE_NAMES | (_HALPE26_NAMES if settings.skeleton == HALPE26.name else {})
    return _source("model", "checkpoint", name, settings.checkpoint, "mmpose", short, tuple(PRESETS))


def detector_source(settings: OpenMMLabSettings) -> ModelSource:
    """The person detector that the settings ask for, or the one that fits their pose model.

    Raises:
        ConfigError: no detector of that name is published and no config is there, or a config has no weights.
        EstimatorError: mmdet is not installed.
    """
    name = settings.detector or _fitting_detector(settings.model)
    return _source(
        "detector", "detector_checkpoint", name, settings.detector_checkpoint, "mmdet", DETECTOR_NAMES, ()
    )


def is_one_stage(config: Path) -> bool:
    """Whether a config of mmpose is of a model that needs no detector, as far as its text tells without running it."""
    named = {"rtmo", "yoloxpose"} & set(config.parts)  # of the wheel's, the folder tells: their texts inherit
    return bool(named) or "BottomupPoseEstimator" in config.read_text(encoding="utf-8", errors="replace")


def _fitting_detector(model: str) -> str:
    if model in PRESETS:
        return PRESETS[model][1]
    return "rtmdet-nano-person" if model in ("rtmpose-t", "rtmpose-s") else "rtmdet-m-person"


def _source(
    key: str,
    checkpoint_key: str,
    name: str,
    checkpoint: str,
    package: str,
    short: dict[str, str],
    presets: tuple[str, ...],
) -> ModelSource:
    published = _published(package)
    source = published.get(short.get(name, name))
    if source is None:
        path = Path(name).expanduser()
        if path.suffix != ".py" or not path.is_file():
            raise _unknown(key, name, package, (*presets, *short, *published))
        shipped = (s for s in published.values() if s.config.samefile(path))
        source = replace(next(shipped, ModelSource(path.stem, path, "")), config=path)
    if checkpoint:
        return replace(
            source, weights=checkpoint if "://" in checkpoint else str(Path(checkpoint).expanduser())
        )
    if not source.weights:
        raise ConfigError(
            f"openmmlab.{key}: {name} has no published weights; "
            f"give the path of yours as openmmlab.{checkpoint_key}"
        )
    return source


def _unknown(key: str, name: str, package: str, known: tuple[str, ...]) -> ConfigError:
    wanted = name.removesuffix(".py").lower()
    names = {other.lower(): other for other in reversed(known)}
    near = (
        difflib.get_close_matches(wanted, names, 4, 0.6) or [other for other in names if wanted in other][-4:]
    )
    what = "there is no such config file" if name.endswith(".py") else "unknown name"
    hint = "near ones" if near else "known are"
    return ConfigError(
        f"openmmlab.{key}: {what}: {name!r}; {hint} {', '.join(names[n] for n in near) or ', '.join(known[:16])}. "
        f"Expected such a name, another one that {package} publishes, or the path of a config (.py)"
    )


@cache
def _published(package: str) -> dict[str, ModelSource]:
    """Every model of which the package's wheel has config and address, by its name and its other names."""
    found: dict[str, ModelSource] = {}
    also: dict[str, ModelSource] = {}
    root = _mim_folder(package)
    if package == "mmdet":
        configs = _mim_folder("mmpose") / "demo" / "mmdetection_cfg"
        for name, address in _PERSON_DETECTORS.items():
            found[name] = ModelSource(name, configs / f"{name}.py", address)
    for metafile in _read(root / "model-index.yml")["Import"]:
        content = _read(root / metafile)
        for entry in content["Models"] if isinstance(content, dict) else content or []:
            config, weights = root / unquote(entry.get("Config") or ""), entry.get("Weights")
            # Some entries name files that their wheel lacks; some of trackers have several weights.
            if not isinstance(weights, str) or not config.is_file():
                continue
            source = ModelSource(entry["Name"], config, _address(weights))
            found.setdefault(source.name, source)
            others = entry.get("Alias") or []
            for other in [others] if isinstance(others, str) else others:
                also.setdefault(other, source)
    return also | found


def _address(weights: str) -> str:
    """The address, with a note where the hash in the file's name is not that of the file."""
    folder, until = _SAVED_ANEW
    date = weights.removesuffix(".pth").rpartition("_")[2]
    old = weights.startswith(folder) and len(date) == 8 and date.isdigit() and int(date) <= until
    return f"{weights}#sha256=" if old else weights


def _mim_folder(package: str) -> Path:
    """The folder of configs and indices inside the installed package."""
    spec = importlib.util.find_spec(package)
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / ".mim"
        if (folder / "model-index.yml").is_file():
            return folder
    what = "is not installed" if spec is None else "is installed without its configs (an editable install?)"
    raise EstimatorError(
        f"the estimator openmmlab needs {package}, which {what}. Install it with:\n  {INSTALL}"
    )


def _read(path: Path) -> Any:
    try:
        with path.open(encoding="utf-8") as file:
            return yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError) as error:
        raise EstimatorError(
            f"{path}: cannot be read ({' '.join(str(error).split())}). Install the package again with:\n  {INSTALL}"
        ) from error
