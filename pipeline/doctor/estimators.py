"""Check the pose estimators: which of them can run, and whether their weights are there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.doctor import probes
from pipeline.doctor.facts import Fact, Job, State
from pipeline.doctor.machine import SOME_FOLDER, environment_line, writable
from pipeline.doctor.packages import Package, install_extra, of_extra, reinstall
from pose_extract.errors import GepcError

if TYPE_CHECKING:
    from pose_extract.estimators.openmmlab.settings import OpenMMLabSettings


def job_estimator(name: str, offline: bool) -> str:
    """What the name of a job's estimator stands for, as far as one can tell without fetching anything."""
    from pose_extract.estimators.base import AUTO, BEST, FALLBACK

    if name != AUTO:
        return name
    here = {state == "present" for state in _weights_module(BEST).weights_states().values()}
    return BEST if here == {True} or not offline else FALLBACK


def embedded_facts(name: str, job: Job, bad: State) -> Iterator[Fact]:
    """An estimator whose weights come out of a registry; ``bad`` is what it means if it cannot run."""
    from pose_extract.estimators.downloads import weights_folder

    weights = _weights_module(name)
    line = f"gepc-pipeline weights --pose {name}"
    states = weights.weights_states()
    if wrong := {key: state for key, state in states.items() if state != "present"}:
        damaged = [key for key, state in wrong.items() if state == "damaged"]
        what = f"{' and '.join(damaged)} damaged" if damaged else "not there yet"
        files = " and ".join(weights.FILES[key].name for key in wrong)
        origin = f"; bring {files} from a machine that ran `{line}`" if job.offline else ""
        yield _to_fetch("weights", f"{what}, in {weights_folder()}{origin}", job, bad, line)
        return
    yield Fact("weights", "ok", f"whole, in {weights_folder()}")
    error = probes.ask("estimator", [name])[1]
    yield Fact("runs", bad if error else "ok", f"no: {error}" if error else "yes, its networks load")


def _weights_module(name: str) -> Any:
    """The module of an embedded estimator's weights."""
    return import_module(f"pose_extract.estimators.{name}.weights")


def openmmlab_facts(
    job: Job, settings: OpenMMLabSettings | None, packages: list[Package], import_error: str, bad: State
) -> Iterator[Fact]:
    """mmdet and mmpose with the models of ``settings``.

    Args:
        job: the job.
        settings: None if they cannot be read here.
        packages: those that gepc-pipeline asks for.
        import_error: what importing OpenMMLab said.
        bad: what it means if it cannot run.
    """
    from pose_extract.estimators.openmmlab.compat import missing_packages

    if lacking := missing_packages():
        yield Fact("runs", bad, f"no: not installed: {', '.join(lacking)}", (install_extra("openmmlab"),))
        return
    if import_error:
        mine = of_extra("openmmlab", packages)
        fits = all(package.state == "fits" for package in mine)  # then INSTALL would find nothing to do
        yield Fact(
            "runs", bad, f"no: {import_error}", (reinstall(mine) if fits else install_extra("openmmlab"),)
        )
        return
    yield Fact("runs", "ok", "yes, its packages can be imported")
    if settings is None:
        yield Fact("models", "note", "not looked at: the config cannot be read with these packages")
        return

    from pose_extract.estimators.openmmlab.names import detector_source, is_one_stage, pose_source

    for role, source_of in (("pose model", pose_source), ("detector", detector_source)):
        try:
            source = source_of(settings)
        except GepcError as error:
            yield Fact(role, bad, str(error))
            continue
        yield Fact(role, "ok", source.name)
        yield _weights(f"{role.removesuffix(' model')} weights", source.weights, job, settings, bad)
        if role == "pose model" and is_one_stage(source.config):
            return  # it has no detector


def _weights(name: str, weights: str, job: Job, settings: OpenMMLabSettings, bad: State) -> Fact:
    from pose_extract.estimators.downloads import cached, is_whole

    if "://" not in weights:
        there = Path(weights).is_file()
        return Fact(name, "ok" if there else bad, weights if there else f"there is no file {weights}")
    path = cached(weights)
    if is_whole(path, weights):
        return Fact(name, "ok", str(path))
    what = "damaged" if path.exists() else "not there yet"
    origin = f"; bring it from {weights.partition('#')[0]}" if job.offline else ""
    return _to_fetch(name, f"{what}: {path}{origin}", job, bad, _weights_line(settings))


def _weights_line(settings: OpenMMLabSettings) -> str:
    """The line that fetches the weights of these models."""
    usual = type(settings)()
    keys = ("checkpoint", "detector", "detector_checkpoint", "skeleton")
    changed = [key for key in keys if getattr(settings, key) != getattr(usual, key)]
    sets = [f"--set openmmlab.{key}={shlex.quote(getattr(settings, key))}" for key in changed]
    return " ".join([f"gepc-pipeline weights --pose openmmlab:{shlex.quote(settings.model)}", *sets])


def _to_fetch(name: str, text: str, job: Job, bad: State, line: str) -> Fact:
    """What weights that are not there mean: those of the job's estimator are fetched on first use, if they can be."""
    from pose_extract.estimators.downloads import weights_folder

    if not writable(weights_folder())[0]:
        line = f"{environment_line('GEPC_CACHE_DIR', SOME_FOLDER)} && {line}"
    elif bad == "gap" and not job.offline:
        bad = "fetch"
    return Fact(name, bad, text, (line,))
