"""Run the commands as functions, to be imported from `gepc_pipeline`; see docs/api.md."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.api.clips import ScoredClip
from pipeline.builtin import builtin_model
from pipeline.defaults import DEFAULT_WORKSPACE, config_for
from pipeline.progress import Hears, shown_to
from pose_extract.checking import MOST
from pose_extract.errors import UsageError, short

if TYPE_CHECKING:
    from pipeline.evaluation.report import Evaluation
    from pipeline.extraction.run import ExtractReport
    from pipeline.review.write import Report
    from pipeline.training import TrainReport
    from pipeline.workspace import Workspace

PathLike = str | os.PathLike[str]

_WITH_SCORES = {"parquet": frozenset(), "coco-video": frozenset({"frames", "pictures"})}  # and their options


def extract(
    videos: PathLike | Iterable[PathLike],
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    config: str | None = None,
    overrides: Sequence[str] = (),
    train: bool = True,
    jobs: int | None = 1,
    progress: Hears | bool = False,
) -> ExtractReport:
    """Find people, poses and tracks in normal videos, as `gepc-pipeline extract` does; what is done is not done again.

    Args:
        videos: a video, a folder of videos, a folder of numbered images or a glob, or several of them.
        workspace: folder for the tracks; made if need be.
        config: a shipped config's name, or the path of a YAML file; the workspace's own or the default one if left out.
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        train: whether `train` shall learn from these clips.
        jobs: how many videos at once, each in a process of its own; None: as many as the machine carries.
        progress: True shows bars; a function is called with stage, units done and units in all (None: unknown).

    Returns:
        What was made, what was there already, and what could not be used, with its error.

    Raises:
        VideoError: an argument names no video.
        GepcError: the config is wrong, or the estimator cannot run.
    """
    from pipeline.extraction.run import extract_all, find_all_sources
    from pipeline.settings import load_settings
    from pipeline.workspace import Workspace

    sources = find_all_sources(_texts(videos), elsewhere=True)
    settings = load_settings(config or config_for(Path(workspace)), overrides)
    with shown_to(progress) as quiet:
        return extract_all(sources, Workspace(Path(workspace)), settings, train=train, quiet=quiet, jobs=jobs)


def train(
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    config: str | None = None,
    overrides: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    fresh: bool = False,
    jobs: int | None = None,
    progress: Hears | bool = False,
) -> TrainReport:
    """Learn what is normal from every training clip of the workspace, as `gepc-pipeline train` does.

    Args:
        workspace: where the tracks are and the model goes.
        config: a shipped config's name, or the path of a YAML file; the workspace's own or the default one if left out.
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        seed: of everything random.
        device: cpu, cuda, cuda:N, mps or auto.
        fresh: begin anew, whatever a training that was cut off has left.
        jobs: how many processors to use; None: all. On a CPU the same number gives the same model.
        progress: True shows bars; a function is called with stage, units done and units in all (None: unknown).

    Returns:
        What was learned from, and what training found.

    Raises:
        TrainingError: there is nothing to learn from, or too little.
        UsageError: ``seed`` or ``jobs`` is no such number.
        GepcError: the config is wrong, or the model cannot be written.
    """
    from pipeline.settings import load_settings
    from pipeline.training import train as run
    from pipeline.workers.sharing import MOST_WORKERS
    from pipeline.workspace import Workspace

    _expect_whole("seed", seed, 0, MOST)
    if jobs is not None:
        _expect_whole("jobs", jobs, 1, MOST_WORKERS)
    settings = load_settings(config or config_for(Path(workspace)), overrides)
    with shown_to(progress) as quiet:
        report = run(
            Workspace(Path(workspace)),
            settings,
            seed=seed,
            device=device,
            fresh=fresh,
            quiet=quiet,
            jobs=jobs,
        )
    assert report is not None  # only torchrun's further processes have none
    return report


def score(
    source: PathLike,
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    model: PathLike | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    progress: Hears | bool = False,
) -> ScoredClip:
    """Say how unusual each frame of a video is, as `gepc-pipeline score` does.

    Args:
        source: a video, a folder of numbered images, or a tracks file (``.npz``).
        workspace: where the model is and the video's tracks are kept.
        model: another model's folder, or "builtin:walkers".
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        device: where the model runs, and openmmlab's networks: cpu, cuda, cuda:N, mps or auto.
        progress: True shows bars; a function is called with stage, units done and units in all (None: unknown).

    Raises:
        ModelError: there is no model, or it does not fit the tracks.
        VideoError: the video cannot be read.
        UsageError: ``source`` names several videos.
    """
    from pipeline.extraction.run import extract_all, find_all_sources
    from pipeline.scoring import load_scorer
    from pipeline.workspace import Workspace

    place = Workspace(Path(workspace))
    scorer = load_scorer(_model_folder(place, model), overrides, device)
    path, video = Path(source), None
    with shown_to(progress) as quiet:
        if path.suffix != ".npz":
            sources = find_all_sources([os.fspath(source)])
            if len(sources) > 1:
                raise UsageError(
                    f"score takes one video, but {source} holds {len(sources)}; call it for each"
                )
            report = extract_all(sources, place, scorer.settings, train=False, quiet=quiet)
            for _, error in report.failed:
                raise error
            entry = (*report.made, *report.reused)[0]
            path, video = place.tracks_path(entry.clip), str(sources[0].path)
        return ScoredClip.of(scorer, scorer.load(path, video, quiet))


def evaluate(
    masks: PathLike,
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    models: Sequence[PathLike] = (),
    tracks: PathLike | None = None,
    abnormal: int = 1,
    out: PathLike | None = None,
    overrides: Sequence[str] = (),
    device: str = "auto",
    progress: Hears | bool = False,
) -> Evaluation:
    """Compare models' scores with labels, as `gepc-pipeline evaluate` does.

    Args:
        masks: a folder of ``<clip>.npy``, or an ``.npz``: which frames are abnormal.
        workspace: where the clips and the model are.
        models: folders of models, for instance of several seeds; the workspace's if left out.
        tracks: tracks files to score in place of the workspace's.
        abnormal: which value of the masks stands for an abnormal frame, 0 or 1.
        out: a folder for evaluation.json, the scores of all frames, and plots.
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        device: where the models run.
        progress: True shows bars; a function is called with stage, units done and units in all (None: unknown).

    Returns:
        The figures: ``result.figure("auc_micro", result.main)``.

    Raises:
        UsageError: masks and clips do not fit.
        ModelError: there is no model.
        OutputError: ``out`` is what is read.
    """
    from pipeline.evaluation.evaluate import EvaluationSettings
    from pipeline.evaluation.files import evaluate_models
    from pipeline.evaluation.labelled import find_labelled
    from pipeline.workspace import Workspace
    from pose_extract.places import check_outputs

    place = Workspace(Path(workspace))
    of = None if tracks is None else Path(tracks)
    used = [builtin_model(os.fspath(model)) for model in models] or [place.model]
    if out is not None:
        read = [*used, place.tracks, of, Path(masks)]
        check_outputs([("results", Path(out))], [("input that is read", path) for path in read])
    clips = find_labelled(of, place, Path(masks), abnormal)
    inputs = {"tracks": os.path.realpath(of or place.tracks), "masks": os.path.realpath(masks)}
    with shown_to(progress) as quiet:
        return evaluate_models(
            used,
            clips,
            EvaluationSettings(),
            overrides,
            device=device,
            quiet=quiet,
            out=None if out is None else Path(out),
            inputs={**inputs, "abnormal": abnormal, "set": list(overrides)},
        )


def report(
    sources: PathLike | Iterable[PathLike],
    out: PathLike,
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    model: PathLike | None = None,
    title: str = "",
    videos: str = "link",
    overrides: Sequence[str] = (),
    device: str = "auto",
    progress: Hears | bool = False,
) -> Report:
    """Make a page for the browser, as `gepc-pipeline report` does.

    Args:
        sources: videos, folders of videos or of numbered images, globs, or tracks files (``.npz``).
        out: folder of the page.
        workspace: where the model is and the videos' tracks are kept.
        model: another model's folder, or "builtin:walkers".
        title: heading of the page.
        videos: "link" playable videos, "copy" them beside the page, or "none": skeletons alone.
        overrides: ``section.key=value`` texts, as ``--set`` takes them.
        device: where the model runs, and openmmlab's networks.
        progress: True shows bars; a function is called with stage, units done and units in all (None: unknown).

    Raises:
        ModelError: there is no model.
        OutputError: the folder holds something else.
    """
    from pipeline.api.pages import make_page
    from pipeline.scoring import NamedModel
    from pipeline.workspace import Workspace

    place = Workspace(Path(workspace))
    with shown_to(progress) as quiet:
        return make_page(
            _texts(sources),
            Path(out),
            place,
            NamedModel(_model_folder(place, model), tuple(overrides), device),
            title=title,
            videos=videos,
            quiet=quiet,
        )


def export(
    kind: str,
    out: PathLike,
    workspace: PathLike = DEFAULT_WORKSPACE,
    *,
    tracks: Sequence[PathLike] = (),
    clips: str = "*",
    model: PathLike | None = None,
    device: str = "auto",
    **options: Any,
) -> int:
    """Write tracks, or tracks and scores, in another format, as `gepc-pipeline export` does; returns how many clips.

    Args:
        kind: "parquet" or "coco-video" for people with their scores; or a format of poses: "gepc", "alphapose", ...
        out: a folder, or a file where the format has one for all clips.
        workspace: where the tracks are.
        tracks: tracks files, or folders of them, in place of the workspace's.
        clips: names of clips, as a shell's file names: ``"door_*"``.
        model: another model's folder; without one, and without a model in the workspace, there are no scores.
        device: where the model runs.
        **options: the format's own: ``kind`` and ``layout``, ``frames`` and ``pictures``, ``skeleton``.

    Raises:
        UsageError: there are no such tracks, or the format or an option is unknown.
        FormatError: the format cannot hold a clip.
        OutputError: ``out`` is what is read, or a file that the workspace keeps.
    """
    from pipeline.io.export_tracks import export_all, find_tracks
    from pipeline.scoring import load_scorer
    from pipeline.workspace import Workspace
    from pose_extract.places import check_outputs

    place = Workspace(Path(workspace))
    paths = find_tracks(place, [Path(path) for path in tracks], clips)
    # A clip's file is named after it, in the folder.
    folders = {path.parent for path in paths} if kind == "gepc" and options.get("kind") != "json" else set()
    read = [("tracks that are read", path) for path in {*paths, *folders}]
    used = None if model is None else Path(model)
    check_outputs([("export", Path(out))], [*read, ("model that is read", used), *place.kept()])
    if kind not in _WITH_SCORES:
        return export_all(kind, paths, Path(out), **options)
    if odd := sorted(options.keys() - _WITH_SCORES[kind]):
        raise UsageError(f"export {kind} has no option {odd[0]}")
    folder = _model_folder(place, model)
    scorer = load_scorer(folder, device=device) if model is not None or folder.is_dir() else None
    if kind == "parquet":
        from pipeline.io.export_parquet import export_parquet

        return export_parquet(paths, Path(out), scorer, **options)
    from pipeline.io.export_scores import export_coco_video

    return export_coco_video(paths, Path(out), scorer, **options)


def _expect_whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"{name}: expected a whole number of {low} to {high}, got {short(value)}")


def _model_folder(place: Workspace, model: PathLike | None) -> Path:
    return place.model if model is None else builtin_model(os.fspath(model))


def _texts(names: PathLike | Iterable[PathLike]) -> list[str]:
    return [os.fspath(name) for name in ([names] if isinstance(names, (str, os.PathLike)) else names)]
