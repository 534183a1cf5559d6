"""Models that come with the package: a first, rough result before any training."""

from __future__ import annotations

from pathlib import Path

from pose_extract.errors import ModelError

PREFIX = "builtin:"
NAMES = ("walkers",)


def builtin_model(name: str | Path) -> Path:
    """The folder of a model: of a built-in one for ``builtin:NAME``, of any other the path that it is.

    Raises:
        ModelError: there is no built-in model of that name.
    """
    text = str(name)
    if not text.startswith(PREFIX):
        return Path(name)
    if (own := text.removeprefix(PREFIX)) not in NAMES:
        known = ", ".join(PREFIX + each for each in NAMES)
        raise ModelError(f"there is no built-in model {own!r}; known: {known}")
    return Path(__file__).resolve().parent / own


def builtin_name(folder: Path) -> str:
    """What names a model on the command line: ``builtin:NAME`` or its folder."""
    return PREFIX + folder.name if _is_builtin(folder) else str(folder)


def _is_builtin(folder: Path) -> bool:
    return folder.resolve().parent == Path(__file__).resolve().parent


def worth_of(folder: Path) -> str:
    """What a built-in model is worth, in a sentence for who scores with it; empty of any other model."""
    if not _is_builtin(folder):
        return ""
    import json

    figures = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
    return (
        f"{PREFIX}{folder.name} has never seen this camera, only a synthetic street: a first, rough result. On the "
        f"cameras of HR-Avenue and of ShanghaiTech its frame AUC is {figures['walkers_avenue_micro_auc']} and "
        f"{figures['walkers_cameras_micro_auc']} (0.5 is chance). Look at the highest scores: alarms are not set for "
        "this camera, and may sound all the time. Better train on your own normal video"
    )
