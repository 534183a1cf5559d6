"""The model's action words as a picture: what it takes for normal, drawn as skeletons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly.scoring.model import Model
from anomaly.settings import WindowSettings
from pipeline.pictures.plot import save_figure
from pose_extract.errors import ModelError

LEFT, RIGHT, MIDDLE = "#1f6fd6", "#e2761b", "#3d4148"
_LIGHTER = {LEFT: "#86b4ee", RIGHT: "#f4b67f", MIDDLE: "#9ba1aa"}  # the second person of two
_POSES = 5  # of a sequence
_MOST_WORDS = 40  # a picture of more rows is not looked at
_STEP, _GAP, _ROW = (
    1.0,
    0.7,
    1.55,
)  # from pose to pose, between sequences, from row to row; a body is about 1 high
_LABEL = 2.3  # room for a row's name
_FAINTEST = 0.15


def write_words(path: Path, model: Model) -> int:
    """Draw each cluster as its most typical training sequences; returns how many clusters have some.

    A row a cluster, the most used first: its number, its share of the training windows, and a few poses of each
    sequence over time, seen in the image plane (3-D joints without their depth). The arrow beneath is the way that the
    body goes meanwhile.

    Raises:
        ModelError: if the model keeps no typical windows.
        OutputError: if the picture cannot be written, or its name is not a picture's.
    """
    if model.words is None:
        raise ModelError("this model keeps no typical windows to draw: train it again (gepc-pipeline train)")
    shares = np.asarray(model.facts.get("cluster_shares") or np.zeros(len(model.words)), float)
    filled: NDArray[np.bool_] = np.asarray(np.isfinite(model.words).all(axis=(2, 3, 4)))  # (K, E)
    used = [int(k) for k in np.argsort(-shares, kind="stable") if filled[k].any()]
    figure = draw_words(
        [(k + 1, shares[k], model.words[k][filled[k]]) for k in used[:_MOST_WORDS]], model, len(used)
    )
    save_figure(figure, path)
    return len(used)


def draw_words(words: Sequence[tuple[int, float, NDArray[np.float32]]], model: Model, used: int) -> Any:
    """A figure with a row for each (number, share, windows (E, C, T, V)); ``used`` clusters have windows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings = model.settings.windows.without_patches
    examples = max((len(windows) for _, _, windows in words), default=1)
    poses = _frames_shown(settings.frames)
    step = _STEP * (1 + 0.6 * (settings.people - 1))
    width = _LABEL + examples * (len(poses) * step + _GAP)
    height = len(words) * _ROW
    inch = 0.72  # a unit
    figure = Figure(figsize=(width * inch, (height + 2.2) * inch))
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height + 0.7, -1.5), aspect="equal")
    axes.axis("off")
    _heading(axes, settings, model, width, used, len(words))
    upright = upright_sign(words, settings)
    for row, (number, share, windows) in enumerate(words):
        if row % 2 == 0:
            axes.axhspan(row * _ROW, (row + 1) * _ROW, color="#f4f5f7", lw=0, zorder=0)
        middle = (row + 0.5) * _ROW
        axes.text(
            0.25, middle - 0.18, f"word {number}", fontsize=12, weight="bold", va="center", color="#202226"
        )
        axes.text(
            0.25, middle + 0.24, f"{100 * share:.1f} % of windows", fontsize=9, va="center", color="#5b6068"
        )
        for example, window in enumerate(windows):
            left = _LABEL + example * (len(poses) * step + _GAP)
            _draw_sequence(axes, window, settings, poses, left, step, middle, upright)
    return figure


def _heading(axes: Any, settings: WindowSettings, model: Model, width: float, used: int, shown: int) -> None:
    seconds = "whole clips" if settings.extent == "clip" else f"{settings.frames / settings.fps:.2g} s"
    axes.text(
        0.25,
        -1.12,
        "What this model takes for normal",
        fontsize=15,
        weight="bold",
        va="center",
        color="#202226",
    )
    some = f"the {shown} most used of {used}" if shown < used else f"{used}"
    axes.text(
        0.25,
        -0.66,
        f"{some} action words; of each, the most typical sequences of training people ({seconds}, left to right)."
        + (" Arrow: the way the body goes meanwhile." if settings.people == 1 else ""),
        fontsize=9.5,
        va="center",
        color="#5b6068",
    )
    sides = [("left limbs", LEFT), ("right limbs", RIGHT)]
    if settings.people == 2:
        sides.append(("second person, lighter", _LIGHTER[MIDDLE]))
    for place, (name, colour) in enumerate(sides):
        axes.plot(
            [0.25 + 1.6 * place, 0.6 + 1.6 * place],
            [-0.26, -0.26],
            color=colour,
            lw=3,
            solid_capstyle="round",
        )
        axes.text(0.7 + 1.6 * place, -0.26, name, fontsize=9.5, va="center", color=colour)


def _draw_sequence(
    axes: Any,
    window: NDArray[np.float32],
    settings: WindowSettings,
    poses: NDArray[np.int64],
    left: float,
    step: float,
    middle: float,
    upright: float,
) -> None:
    """Some poses of a window (C, T, V) side by side in cells ``step`` wide, on the scale that the largest fits."""
    from matplotlib.collections import LineCollection

    xy, seen = window_joints(window, settings, upright)
    if not (seen > 0).any():
        return
    certain = np.maximum(seen, 1e-9)[..., None]
    centres = (xy * certain).sum(axis=1) / certain.sum(axis=1)  # of the body, in each frame
    shown = xy - np.stack([centres[:, 0], np.full(len(xy), centres[:, 1].mean())], axis=1)[:, None]
    low, high = shown[seen > 0].min(axis=0), shown[seen > 0].max(axis=0)
    scale = 1 / max((high - low)[1], (high - low)[0] / step, 1e-6)
    cells = np.stack(
        [left + (np.arange(len(poses)) + 0.5) * step, np.full(len(poses), middle - 0.08)], axis=1
    )
    at = (shown[poses] - (low + high) / 2 * [0, 1]) * scale + cells[:, None]
    seen = seen[poses]
    colours = np.array(_joint_colours(settings))
    bones = np.array([edge for edge in settings.body.edges if not _joins_people(*edge, settings)])
    sides = np.array([_bone_colour(colours[i], colours[j]) for i, j in bones])
    pose, bone = np.nonzero((seen[:, bones] > 0).all(axis=2))
    axes.add_collection(
        LineCollection(
            at[pose[:, None], bones[bone]],
            colors=sides[bone],
            alpha=np.maximum(seen[pose[:, None], bones[bone]].min(axis=1), _FAINTEST),
            linewidths=2.1,
            capstyle="round",
            zorder=2,
        )
    )
    pose, joint = np.nonzero(seen > 0)
    faint = np.maximum(seen[pose, joint], _FAINTEST)
    axes.scatter(*at[pose, joint].T, s=5, c=colours[joint], alpha=faint, zorder=3, linewidths=0)
    way = float(centres[-1, 0] - centres[0, 0]) * scale
    if settings.people == 1 and abs(way) > 0.08:
        start = left + len(poses) * step / 2 - np.clip(way, -2, 2) / 2
        axes.annotate(
            "",
            (start + np.clip(way, -2, 2), middle + _ROW / 2 - 0.12),
            (start, middle + _ROW / 2 - 0.12),
            arrowprops={"arrowstyle": "-|>", "color": "#8a9099", "lw": 1.1, "shrinkA": 0, "shrinkB": 0},
        )


def window_joints(
    window: NDArray[np.float32], settings: WindowSettings, upright: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (T, V, 2), y down, and confidences (T, V), 1 where the model has none."""
    xy = window[:2].transpose(1, 2, 0).astype(np.float64) * [1, upright]
    seen = window[-1].astype(np.float64) if settings.confidence else np.ones(window.shape[1:])
    return xy, np.clip(seen, 0, 1)


def upright_sign(words: Sequence[tuple[int, float, NDArray[np.float32]]], settings: WindowSettings) -> float:
    """1 where y points down, as in images, -1 where it points up, as in some 3-D joints."""
    names = settings.body.joints
    heads = [i for i, name in enumerate(names) if "head" in name or "nose" in name]
    feet = [i for i, name in enumerate(names) if "ankle" in name or "foot" in name]
    if not settings.depth or not heads or not feet or not words:
        return 1.0
    y = np.concatenate([windows[:, 1] for _, _, windows in words])
    return 1.0 if np.median(y[..., feet].mean(axis=2) - y[..., heads].mean(axis=2)) >= 0 else -1.0


def _frames_shown(frames: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, frames - 1, min(_POSES, frames)).round().astype(np.int64))


def _joint_colours(settings: WindowSettings) -> list[str]:
    names = settings.person.joints
    one = [LEFT if "left" in name else RIGHT if "right" in name else MIDDLE for name in names]
    return one if settings.people == 1 else one + [_LIGHTER[colour] for colour in one]


def _bone_colour(a: str, b: str) -> str:
    """Of its limb; a bone between the sides is of the middle."""
    sides = {a, b} - {MIDDLE, _LIGHTER[MIDDLE]}
    if len(sides) == 1:
        return sides.pop()
    return MIDDLE if a in _LIGHTER else _LIGHTER[MIDDLE]


def _joins_people(a: int, b: int, settings: WindowSettings) -> bool:
    count = settings.person.num_joints
    return a // count != b // count
