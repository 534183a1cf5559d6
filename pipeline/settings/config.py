"""Load configs: YAML files, inherited with ``_base_``, overridden with ``--set a.b=c``, checked into dataclasses.

Only plain YAML is read (`yaml.SafeLoader`): a config is data, it cannot run code. mmengine's own YAML reader could.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from anomaly.settings import ModelSettings
from pipeline.events.settings import EventSettings
from pipeline.settings.dataset import DatasetSettings
from pose_extract.checking import build
from pose_extract.errors import ConfigError, short
from pose_extract.estimators.base import AUTO, ESTIMATORS, known_estimators
from pose_extract.estimators.blazepose.settings import BlazePoseSettings
from pose_extract.estimators.movenet.settings import MoveNetSettings
from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings
from pose_extract.files import write_atomically
from pose_extract.patches.settings import PatchSettings
from pose_extract.things.settings import ThingSettings
from pose_extract.tracking import TrackingSettings
from pose_extract.tracks.settings import CleaningSettings
from pose_extract.video import VideoSettings

# Sections that only `pipeline.experiments.settings` has; a config with them is one of the pipeline too.
OF_EXPERIMENTS = (
    "one_class_svm", "neighbours", "gaussian_mixture", "classifier", "mped_rnn", "frame_prediction", "sparse_coding",
    "latent_autoregression", "actions",
    "experiment",
)  # fmt: skip


@dataclass(frozen=True)
class PoseSettings:
    """Which pose estimator is used.

    Attributes:
        estimator: its name, or "auto"; the config section of that name holds its own settings.
        options: those of an estimator that another package brings, which has no section.
    """

    estimator: str = AUTO
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ours = {AUTO, *ESTIMATORS}
        if self.estimator not in ours and self.estimator not in known_estimators():
            known = ", ".join(sorted({AUTO, *known_estimators()}))
            raise ConfigError(f"pose.estimator: unknown estimator {self.estimator!r}; known: {known}")
        if self.options and self.estimator in ours:
            raise ConfigError(
                f"pose.options: {self.estimator} has settings of its own, in a section of that name"
            )


@dataclass(frozen=True)
class Settings(ModelSettings):
    """Everything that a config can say: the model's sections, and those of the tracks it is fed with."""

    video: VideoSettings = field(default_factory=VideoSettings)
    pose: PoseSettings = field(default_factory=PoseSettings)
    blazepose: BlazePoseSettings = field(default_factory=BlazePoseSettings)
    movenet: MoveNetSettings = field(default_factory=MoveNetSettings)
    openmmlab: OpenMMLabSettings = field(default_factory=OpenMMLabSettings)
    patches: PatchSettings = field(default_factory=PatchSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    things: ThingSettings = field(default_factory=ThingSettings)
    cleaning: CleaningSettings = field(default_factory=CleaningSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    events: EventSettings = field(default_factory=EventSettings)

    def for_model(self) -> ModelSettings:
        """The sections that shape a model."""
        names = [f.name for f in dataclasses.fields(ModelSettings)]
        return ModelSettings(**{name: getattr(self, name) for name in names})

    def with_estimator(self, name: str) -> Settings:
        """The same settings with another estimator."""
        return dataclasses.replace(self, pose=dataclasses.replace(self.pose, estimator=name))

    def of_estimator(self) -> tuple[Any, ...]:
        """What the estimator is made with: its section, the options, or nothing."""
        if self.pose.estimator in ESTIMATORS:
            return (getattr(self, self.pose.estimator),)
        return (self.pose.options,) if self.pose.options else ()

    @cached_property
    def for_tracks(self) -> dict[str, Any]:
        """The sections that shape cached tracks, as plain nested mappings."""
        own = [self.pose.estimator] if self.pose.estimator in ESTIMATORS else []
        return {
            name: dataclasses.asdict(getattr(self, name))
            for name in ("video", "pose", *own, "tracking", "things")
        }


def load_settings(name: str = "default", overrides: Sequence[str] = ()) -> Settings:
    """The checked settings of a config; raises `ConfigError`. Arguments as those of `load_config`."""
    return checked(load_config(name, overrides))


def checked(config: Mapping[str, Any]) -> Settings:
    """The settings of nested mappings, sections that only experiments have left out; raises `ConfigError`."""
    return build(Settings, {name: section for name, section in config.items() if name not in OF_EXPERIMENTS})


def load_config(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a config and what it inherits from, then apply the overrides.

    Args:
        name: path of a YAML file, or the name of a shipped config (``default``, ``paper``).
        overrides: ``a.b=c`` texts; the values are YAML.

    Raises:
        ConfigError: no such file, no valid YAML, or not a mapping.
    """
    return override(_read(_locate(name, None)), overrides)


def override(config: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The config with ``a.b=c`` texts applied; raises `ConfigError` for a text of another form."""
    for text in overrides:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set expects section.key=value, got {short(text)}")
        nested: Any = _parse(value, f"--set {text}")
        for key in reversed(path.split(".")):
            nested = {key: nested}
        config = _merge(config, nested)
    return config


def shipped_configs() -> list[str]:
    """Names of the configs inside the package."""
    return sorted(p.name.removesuffix(".yaml") for p in _folder().iterdir() if p.name.endswith(".yaml"))


def summary_of(name: str) -> str:
    """The first sentence of what a shipped config says of itself."""
    lines = (_folder() / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines)]
    return re.split(r"(?<=[.:])\s", " ".join(said), maxsplit=1)[0].rstrip(".:")


def keep_config(path: Path, base: str | None, overrides: Sequence[str], clear: bool) -> dict[str, Any]:
    """Keep settings in a workspace's config file, beside those that it has.

    Args:
        path: the file.
        base: the config that it is based on from now on; the same as before if None.
        overrides: ``a.b=c`` texts.
        clear: forget what it has.

    Returns:
        What the file says now; empty: there is none any more.

    Raises:
        ConfigError: the file cannot be read, or the settings are wrong; nothing is kept then.
        OutputError: it cannot be written.
    """
    own: dict[str, Any] = {} if clear or not path.is_file() else _own(path)
    if base is not None:
        at = Path(base)
        own = {
            **own,
            "_base_": str(at.resolve()) if at.suffix in (".yaml", ".yml") and at.is_file() else base,
        }
    own = override(own, overrides)
    if not own:
        path.unlink(missing_ok=True)
        return {}
    based_on = own.pop("_base_", None)
    own = {"_base_": "default" if based_on is None else based_on, **own}
    checked(_inherited(own, path))
    text = yaml.safe_dump(own, sort_keys=False, allow_unicode=True)
    write_atomically(path, f"# Kept by gepc-pipeline config set.\n{text}".encode())
    return own


def _own(path: Path) -> dict[str, Any]:
    """What a file says itself, without its base."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    found = _parse(text, str(path))
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected sections with keys, got {type(found).__name__}")
    return found


def _folder() -> Path:
    """Beside this package: a folder of the user's may have the same name."""
    return Path(__file__).resolve().parents[2] / "configs"


def _locate(name: str, relative_to: Path | None) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        for place in (path if relative_to is None else relative_to / path, path):
            if place.is_file():
                return place
    shipped = _folder() / f"{name.removesuffix('.yaml')}.yaml"
    if "/" not in name and shipped.is_file():
        return shipped
    raise ConfigError(
        f"no config {name!r}: expected the path of a .yaml file or one of {', '.join(shipped_configs())}"
    )


def _read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    return _inherited(_own(path), path, seen)


def _inherited(own: Mapping[str, Any], path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a file says, above what it inherits; ``seen`` are the files that inherit from it."""
    place = path.resolve()
    if place in seen:
        raise ConfigError(f"{path}: by _base_, this config would inherit from itself")
    rest = {name: value for name, value in own.items() if name != "_base_"}
    base = own.get("_base_")
    if base is None:
        return rest
    if not isinstance(base, str):
        raise ConfigError(f"{path}: _base_ must be the name or path of one config, got {short(base)}")
    return _merge(_read(_locate(base, path.parent), (*seen, place)), rest)


class _Loader(yaml.SafeLoader):
    """Plain YAML in which nothing stands twice: the second would silently take the place of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(text: str, where: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            value = _merge(merged[key], value)
        merged[key] = value
    return merged
