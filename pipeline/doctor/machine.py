"""Check the machine: devices, ffmpeg, the cache folder and the workspace."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.defaults import workspace_option
from pipeline.doctor.facts import Fact, Job
from pipeline.doctor.packages import pip
from pose_extract.devices import processors

_OLDEST_FFMPEG = (4, 3)
_LITTLE_SPACE = 2 * 2**30
_MOST_CLIPS = 5  # that are named
SOME_FOLDER = "/a/folder/that/can/be/written"


def device_facts(device: str, torch: dict[str, Any] | None, error: str) -> Iterator[Fact]:
    """torch, the GPUs, and what ``auto`` and the device asked for come to; ``torch`` is the probe's answer."""
    named = os.environ.get("OMP_NUM_THREADS")
    variable = f"OMP_NUM_THREADS={named}" if named else "OMP_NUM_THREADS is not set"
    if torch is None:
        yield Fact("torch", "gap", f"cannot be used: {error}")  # how to mend it, the packages say
        yield Fact("processor", "ok", f"cores: {processors()}; {variable}")
        return
    build = f"built for CUDA {torch['cuda']}" if torch["cuda"] else "built without CUDA"
    yield Fact("torch", "ok", f"{torch['version']}, {build}")
    for i, gpu in enumerate(torch["gpus"]):
        yield Fact(f"cuda:{i}", "ok", f"{gpu['name']}, {_gib(gpu['bytes'])}")
    if torch["mps_bytes"]:
        yield Fact("mps", "ok", f"Apple GPU, {_gib(torch['mps_bytes'])} for it")
    if not torch["gpus"] and (shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()):
        why = "the driver may be too old, see nvidia-smi" if torch["cuda"] else "it is built without CUDA"
        # On Linux the index's plain torch is a CUDA build; on others it is not.
        mend = (f"{pip()} install --force-reinstall torch",) * (sys.platform == "linux" and not torch["cuda"])
        yield Fact("cuda", "note", f"an NVIDIA driver is there, but this torch cannot use it: {why}", mend)
    for name in dict.fromkeys(("auto", device)):
        if name in torch["errors"]:
            yield Fact(
                f"device {name}", "gap", torch["errors"][name], ("gepc-pipeline doctor --device auto",)
            )
        else:
            yield Fact(f"device {name}", "ok", f"takes {torch['devices'][name]}")
    yield Fact("processor", "ok", f"cores: {processors()}, torch's threads: {torch['threads']}; {variable}")


def ffmpeg_facts() -> Iterator[Fact]:
    """Which ffmpeg is used, and what it can do."""
    from pose_extract.errors import VideoError
    from pose_extract.video.ffmpeg import BINARY_VARIABLE, encoders, ffmpeg_version, find_ffmpeg

    try:
        binary = find_ffmpeg()
    except VideoError as error:
        wheel = f"{pip()} install --force-reinstall imageio-ffmpeg"
        mend = (
            (environment_line(BINARY_VARIABLE),)
            if os.environ.get(BINARY_VARIABLE)
            else (wheel, *_system_ffmpeg())
        )
        yield Fact("ffmpeg", "gap", str(error), mend)
        return
    version = ffmpeg_version(binary) or (0, 0)
    number = "development build" if version[0] == 99 else ".".join(map(str, version))
    if version < _OLDEST_FFMPEG:
        yield Fact("ffmpeg", "note", f"{number}, expected 4.3 or newer; {binary}", _system_ffmpeg())
    else:
        yield Fact("ffmpeg", "ok", f"{number}, {binary}")
    if "libx264" in encoders(binary):
        yield Fact("libx264", "ok", "in this ffmpeg; encodes overlay videos")
    else:
        text = "not in this ffmpeg; overlay videos get another encoder and are larger"
        yield Fact("libx264", "note", text, _system_ffmpeg())
    yield Fact("ffprobe", "ok", shutil.which("ffprobe") or "not there, and nothing needs it")


def _system_ffmpeg() -> tuple[str, ...]:
    """The line that installs the system's ffmpeg, where the system is one that we know."""
    lines = {
        "apt-get": "sudo apt-get install -y ffmpeg",
        "brew": "brew install ffmpeg",
        "winget": "winget install Gyan.FFmpeg",
    }
    return tuple(line for tool, line in lines.items() if shutil.which(tool))[:1]


def folder_facts(job: Job) -> Iterator[Fact]:
    """The cache folder and the workspace: whether they can be written to, and their space."""
    from pose_extract.estimators.downloads import weights_folder

    cache = weights_folder()
    can_write, text = writable(cache)
    mend = (environment_line("GEPC_CACHE_DIR", SOME_FOLDER),)
    yield Fact("cache", "ok" if can_write else "note", f"{cache}, {text}", () if can_write else mend)
    can_write, text = writable(job.workspace)
    yield Fact(
        "workspace",
        "ok" if can_write else "gap",
        f"{job.workspace}, {text}" if job.workspace.exists() else f"{job.workspace}, none yet; {text}",
        () if can_write else (f"gepc-pipeline doctor --workspace {SOME_FOLDER}",),
    )


def workspace_facts(job: Job, strange: list[str] | None, model_error: str) -> Iterator[Fact]:
    """What the workspace holds, if there is one.

    Args:
        job: what should be able to run.
        strange: what its model has not seen the like of, a line for each clip.
        model_error: why the model cannot be used.
    """
    from pipeline.workspace import Workspace

    workspace = Workspace(job.workspace)
    if not workspace.root.is_dir():
        return
    option = workspace_option(job.workspace)
    clips = workspace.entries()
    training = [clip for clip in clips if clip.train]
    if training:
        yield Fact("clips", "ok", f"{len(training)} to train on, {len(clips) - len(training)} only scored")
    else:
        yield Fact("clips", "note", "none to train on yet", (f"gepc-pipeline extract videos/{option}",))
    if not workspace.model.exists():
        yield Fact("model", "note", "none yet", (f"gepc-pipeline train{option}",))
    elif model_error:
        yield Fact("model", "note", f"cannot be used: {model_error}", (f"gepc-pipeline train{option}",))
    else:
        yield Fact("model", "ok", str(workspace.model))
        yield _alarms(workspace.model)
        for text in (strange or [])[:_MOST_CLIPS]:
            yield Fact("unlike training", "note", text)
        if strange and len(strange) > _MOST_CLIPS:
            yield Fact("unlike training", "note", f"and {len(strange) - _MOST_CLIPS} clips more")


def _alarms(model: Path) -> Fact:
    """What the model's alarm threshold rests on."""
    from anomaly.bundle.card import read_card
    from pipeline.scoring.expected import expected_alarms

    facts = read_card(model).get("facts", {})
    budget = str(facts.get("alarm_budget", ""))
    if budget.startswith("warning"):
        return Fact("alarms", "note", budget.removeprefix("warning: "))
    return Fact("alarms", "ok", budget or expected_alarms(facts))


def environment_line(name: str, value: str = "") -> str:
    """The line that sets an environment variable, or takes it away."""
    if sys.platform == "win32":
        return f"set {name}={value}"
    return f"export {name}={value}" if value else f"unset {name}"


def writable(folder: Path) -> tuple[bool, str]:
    """Whether a file can be made in a folder, or in the one it would be made in; and the space there."""
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return False, f"cannot be written to: {error.strerror or error}"
    return True, f"{_gib(free)} free" + (": that is little" if free < _LITTLE_SPACE else "")


def _gib(number: float) -> str:
    return f"{number / 2**30:.1f} GiB"
