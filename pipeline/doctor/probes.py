"""Ask questions whose answer needs an import that may crash, in a process of their own.

A package whose binary part does not fit ends the process that imports it; here that is an answer, not an end.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 180.0
"""How long a process may take: the first import of torch from a slow disk takes a minute."""

_MARK = "gepc-probe "  # begins our lines: packages print things of their own while they are imported
_MOST_CHARACTERS = 300


@dataclass(frozen=True)
class Trial:
    """One import that was tried.

    Attributes:
        error: what went wrong; "" if it worked.
        died: whether the process ended or hung over it, so that nobody who wants to live on should import it.
    """

    error: str = ""
    died: bool = False


def try_imports(modules: Sequence[str], timeout_s: float = TIMEOUT_S) -> dict[str, Trial]:
    """Import modules one after the other, in a process that is started again without the one that ended it."""
    trials: dict[str, Trial] = {}
    while waiting := [name for name in modules if name not in trials]:
        answers, end = _ask("imports", waiting, timeout_s)
        trials |= {name: Trial(error) for name, error in answers}
        unfinished = [name for name in waiting if name not in trials]
        if unfinished:
            trials[unfinished[0]] = Trial(end or "its import ended the process", died=True)
    return trials


def ask(question: str, arguments: Sequence[str] = (), timeout_s: float = TIMEOUT_S) -> tuple[Any, str]:
    """The answer to one of ``QUESTIONS``, and what went wrong ("" if nothing did)."""
    answers, end = _ask(question, arguments, timeout_s)
    if not answers:
        return None, end or "no answer"
    answer, error = answers[-1]
    return answer, error


def _ask(question: str, arguments: Sequence[str], timeout_s: float) -> tuple[list[Any], str]:
    """The child's answers, and how it ended if not well."""
    # Modules are looked for where this process looks, and nowhere else: not in the folder the user happens to be in.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-P", "-m", "pipeline.doctor.probes", question, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, env=environment
        )
        out, end = done.stdout, _end(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as error:
        out, end = error.stdout or b"", f"no answer within {timeout_s:.0f} s"
    except OSError as error:
        out, end = b"", f"{sys.executable} cannot be run: {error.strerror or error}"
    lines = out.decode(errors="replace").splitlines()
    return [json.loads(line.removeprefix(_MARK)) for line in lines if line.startswith(_MARK)], end


def _end(code: int, stderr: bytes) -> str:
    if code == 0:
        return ""
    if code < 0:
        try:
            return f"it crashes Python ({signal.Signals(-code).name})"
        except ValueError:
            return f"it crashes Python (signal {-code})"
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return f"it ends Python with code {code}" + (f": {lines[-1][:_MOST_CHARACTERS]}" if lines else "")


def describe(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_MOST_CHARACTERS]


def _imports(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        try:
            importlib.import_module(name)
            yield name, ""
        except (Exception, SystemExit) as error:
            yield name, describe(error)


def _torch(devices: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """torch's version, GPUs, threads, and for each device name what it stands for here or why it cannot be used."""
    import torch

    from pose_extract.devices import pick_device
    from pose_extract.errors import GepcError

    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    mps = torch.backends.mps.is_available()
    taken, errors = {}, {}
    for name in devices:
        try:
            taken[name] = pick_device(name)
            torch.ones(2, device=taken[name]).sum().item()  # a GPU may be there and too old for this torch
        except (GepcError, RuntimeError) as error:
            errors[name] = describe(error) if isinstance(error, RuntimeError) else str(error)
    yield (
        {
            "version": torch.__version__,
            "cuda": torch.version.cuda or "",
            "gpus": [{"name": gpu.name, "bytes": gpu.total_memory} for gpu in gpus],
            "mps_bytes": torch.mps.recommended_max_memory() if mps else 0,
            "threads": torch.get_num_threads(),
            "devices": taken,
            "errors": errors,
        },
        "",
    )


def _estimator(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Whether an estimator's networks load; for a machine that has their weights, else they would be fetched."""
    from pose_extract.errors import GepcError
    from pose_extract.estimators.base import create_estimator

    try:
        create_estimator(names[0]).close()
        yield "", ""
    except GepcError as error:
        yield "", str(error)


def _openmmlab(_: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Whether OpenMMLab's packages can be imported."""
    from pose_extract.errors import EstimatorError
    from pose_extract.estimators.openmmlab.compat import import_openmmlab

    try:
        import_openmmlab()
        yield "", ""
    except EstimatorError as error:
        # The line that mends it stands on a line of its own.
        yield "", " ".join(str(error).splitlines()[0].split())


def _model(folders: Sequence[str]) -> Iterator[tuple[list[str], str]]:
    """What of the clips to be scored in a workspace its model has not seen the like of; and why it cannot be used."""
    from pathlib import Path

    from pipeline.scoring import load_scorer
    from pipeline.scoring.familiarity import strange_clips
    from pipeline.workspace import Workspace
    from pose_extract.errors import GepcError

    workspace = Workspace(Path(folders[0]))
    try:
        scorer = load_scorer(workspace.model, device="cpu")
        clips = [workspace.tracks_path(entry.clip) for entry in workspace.entries() if not entry.train]
        yield strange_clips(clips, scorer.seen, scorer.model.settings.windows), ""
    except GepcError as error:
        yield [], str(error)


QUESTIONS: dict[str, Callable[[Sequence[str]], Iterator[Any]]] = {
    "imports": _imports,
    "torch": _torch,
    "estimator": _estimator,
    "openmmlab": _openmmlab,
    "model": _model,
}
"""What can be asked, and who answers."""


def main() -> None:
    """Answer one question, a line of JSON an answer."""
    question, *arguments = sys.argv[1:]
    try:
        for answer in QUESTIONS[question](arguments):
            print(_MARK + json.dumps(answer), flush=True)
    except (Exception, SystemExit) as error:
        print(_MARK + json.dumps((None, describe(error))), flush=True)


if __name__ == "__main__":
    main()
