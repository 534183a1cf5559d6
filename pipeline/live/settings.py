"""Settings of `watch`: what `watch.yaml` may hold. No implementation is imported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.live.recording.settings import RecordingSettings
from pipeline.live.rules.settings import RuleSettings
from pipeline.live.sinks.settings import JsonLinesSettings, SinkSettings, secret
from pipeline.live.status.settings import StatusSettings
from pose_extract.checking import expect_between
from pose_extract.errors import ConfigError, short

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class LiveSettings:
    """How cameras are watched (section ``live``). All times in seconds.

    Attributes:
        lost_after_s: a camera that has given no frame for so long is lost, and connected to anew.
        retry_first_s: the longest wait before the first new connection; each further one is twice as long.
        retry_most_s: the longest wait of all.
        blind_after_s: a black, covered or blurred picture for so long makes a camera blind.
        frozen_after_s: so does one that does not change at all for so long.
        moved_after_s: a scene that fits the learned one no more for so long makes a camera moved.
        moved_below: how little of the learned scene's edges is left then, as a correlation, 0 to 1; 0 turns it off.
        hysteresis: an alarm that is on stays on down to a percentile so much lower, 0 to 100.
        cooldown_s: after an event, the next one is told so much later, if it still goes on.
        update_s: news of an event that goes on is told at most so often.
        most_event_s: an event that goes on for so long is ended, and another begun.
        marks: file of an operator's marks of events (JSON lines or CSV with ``id`` and ``verdict``, right or false);
            looked at all the time. Empty: there is none.
    """

    lost_after_s: float = 5.0
    retry_first_s: float = 0.5
    retry_most_s: float = 8.0
    blind_after_s: float = 5.0
    frozen_after_s: float = 60.0
    moved_after_s: float = 20.0
    moved_below: float = 0.25
    hysteresis: float = 0.0
    cooldown_s: float = 0.0
    update_s: float = 5.0
    most_event_s: float = 3600.0
    marks: str = ""

    def __post_init__(self) -> None:
        expect_between(
            "live", self, 0.5, 3600, "lost_after_s", "blind_after_s", "frozen_after_s", "moved_after_s"
        )
        expect_between("live", self, 0, 3600, "retry_first_s", "retry_most_s", above=True)
        expect_between("live", self, 0, 1, "moved_below", below=True)
        expect_between("live", self, 0, 100, "hysteresis", below=True)
        expect_between("live", self, 0, 86_400, "cooldown_s", "update_s")
        expect_between("live", self, 1, 86_400, "most_event_s")


@dataclass(frozen=True)
class CameraSettings:
    """One camera.

    Attributes:
        source: rtsp://, http(s)://, a device (0, /dev/video0), a file or a folder; or "$NAME", an environment variable
            that holds it, so that no file holds a password.
        model: folder of its model; null: that of the workspace.
        realtime: of a file: play it at its own speed, as a camera would.
        rules: what must hold before an alarm is sent.
    """

    source: str
    model: str | None = None
    realtime: bool = False
    rules: RuleSettings = field(default_factory=RuleSettings)

    def __post_init__(self) -> None:
        if not self.source.strip():
            raise ConfigError("config: cameras: expected a source, got an empty one")

    def model_folder(self, usual: Path) -> Path:
        """The folder of its model: its own, or the ``usual`` one."""
        return usual if self.model is None else Path(self.model)


@dataclass(frozen=True)
class WatchSettings:
    """Everything that `watch.yaml` says.

    Attributes:
        cameras: name -> camera.
        live: how they are watched.
        sinks: name -> where events go; none: lines of JSON on standard output.
        recording: pictures and clips of events.
        status: where it may be asked how it is.
        set: ``section.key=value`` changes of the models' settings, as ``--set`` has them.
    """

    cameras: dict[str, CameraSettings] = field(default_factory=dict)
    live: LiveSettings = field(default_factory=LiveSettings)
    sinks: dict[str, SinkSettings] = field(default_factory=dict)
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    status: StatusSettings = field(default_factory=StatusSettings)
    set: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.cameras:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"config: cameras: expected names of letters, digits, dots, dashes and underscores, got "
                    f"{short(name)}"
                )

    def check_names(self) -> None:
        """Raise ConfigError where a sink is for a camera that there is not."""
        for name, sink in self.sinks.items():
            for camera in sink.cameras:
                if camera not in self.cameras:
                    known = ", ".join(self.cameras)
                    raise ConfigError(
                        f"config: sinks.{name}.cameras: there is no camera {short(camera)}; known: {known}"
                    )


def is_camera_name(text: str) -> bool:
    """Whether a camera may be called so."""
    return _NAME.fullmatch(text) is not None


def camera_name(source: str) -> str:
    """What a camera is called that has no name: as its file, or "camera"."""
    stem = Path(source).stem if "://" not in source and not source.isdecimal() else ""
    return stem if _NAME.fullmatch(stem) else "camera"


def load_watch(path: Path | None, cameras: Sequence[str] = (), realtime: bool = False) -> WatchSettings:
    """The settings of `watch`: a file's, and what the command line adds.

    Args:
        path: `watch.yaml`; None: there is none.
        cameras: ``NAME=SOURCE`` texts.
        realtime: play all files at their own speed.

    Raises:
        ConfigError: the file is no valid config, it names a variable that is not set, or a text has another form.
    """
    from pipeline.settings.config import load_config
    from pose_extract.checking import build

    values: dict[str, Any] = {} if path is None else load_config(str(path))
    settings = build(WatchSettings, values)
    named = {
        name: replace(camera, source=secret(f"cameras.{name}.source", camera.source))
        for name, camera in settings.cameras.items()
    }
    for text in cameras:
        name, equals, source = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise ConfigError(f"--camera expects NAME=SOURCE, got {short(text)}")
        if name in named:
            raise ConfigError(f"--camera {name}: there is a camera of this name already")
        named[name] = CameraSettings(source)
    if realtime:
        named = {name: replace(camera, realtime=True) for name, camera in named.items()}
    sinks = settings.sinks or {"stdout": SinkSettings(jsonl=JsonLinesSettings())}
    return replace(settings, cameras=named, sinks=sinks)
