"""What `watch.yaml` may hold."""

import pytest

from pipeline.live.settings import CameraSettings, LiveSettings, camera_name, load_watch
from pose_extract.errors import ConfigError


def load(tmp_path, text, cameras=(), realtime=False):
    path = tmp_path / "watch.yaml"
    path.write_text(text)
    return load_watch(path, cameras, realtime)


def test_a_whole_file_is_read_and_the_command_line_adds_to_it(tmp_path):
    text = """
cameras:
  door: {source: rtsp://host/1, rules: {zones: [{name: gate, polygon: [[0, 0], [1, 0], [1, 1]]}]}}
  yard: {source: 0.mp4, model: models/yard, realtime: true}
live: {lost_after_s: 8, hysteresis: 0.5}
sinks:
  table: {csv: {folder: tables}}
set: [calibration.false_alarm_rate=0.01]
"""
    settings = load(tmp_path, text, ["cellar=rtsp://host/3"])
    assert list(settings.cameras) == ["door", "yard", "cellar"]
    assert settings.cameras["door"].rules.zones[0].name == "gate"
    assert settings.cameras["yard"] == CameraSettings("0.mp4", "models/yard", True)
    assert settings.live == LiveSettings(lost_after_s=8.0, hysteresis=0.5)
    assert settings.sinks["table"].kind == "csv"
    assert settings.set == ("calibration.false_alarm_rate=0.01",)


def test_without_sinks_events_are_lines_on_standard_output():
    settings = load_watch(None, ["door=rtsp://host/1"])
    assert [sink.jsonl.path for sink in settings.sinks.values()] == ["-"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cameras: {door: {source: ''}}", "source"),
        ("cameras: {'../door': {source: x}}", "names of letters"),
        ("cameras: {door: {source: x, realtme: true}}", "did you mean 'realtime'"),
        ("live: {lost_after_s: 0}", "lost_after_s"),
        ("live: {hysteresis: 100}", "hysteresis"),
        ("sinks: {a: {}}", "expected one of jsonl"),
        ("camera: {}", "did you mean 'cameras'"),
        (
            "cameras: {door: {source: $GEPC_NOWHERE}}",
            r"cameras\.door\.source: .* GEPC_NOWHERE, which is not set",
        ),
        ("cameras:\n  door: {source: x}\n  door: {source: y}", "'door' stands twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        load(tmp_path, text)


def test_a_sink_for_a_camera_that_there_is_not_is_refused(tmp_path):
    text = "cameras: {door: {source: x}}\nsinks: {phone: {jsonl: {}, cameras: [dor]}}"
    with pytest.raises(ConfigError, match=r"sinks\.phone\.cameras: there is no camera 'dor'; known: door"):
        load(tmp_path, text).check_names()
    load(tmp_path, text, ["dor=rtsp://host/2"]).check_names()


def test_an_address_with_a_password_can_lie_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GEPC_DOOR", "rtsp://user:word@host/1")
    text = "cameras: {door: {source: $GEPC_DOOR, realtime: true}}"
    assert load(tmp_path, text).cameras["door"] == CameraSettings("rtsp://user:word@host/1", realtime=True)


@pytest.mark.parametrize("text", ["door", "=rtsp://x", "a b=rtsp://x"])
def test_a_camera_of_the_command_line_has_a_name(text):
    with pytest.raises(ConfigError, match="NAME=SOURCE"):
        load_watch(None, [text])


def test_no_two_cameras_have_one_name():
    with pytest.raises(ConfigError, match="already"):
        load_watch(None, ["door=rtsp://a/1", "door=rtsp://a/2"])


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("videos/door.mp4", "door"),
        ("rtsp://host/stream", "camera"),
        ("0", "camera"),
        ("ein tor.mp4", "camera"),
    ],
)
def test_a_camera_without_a_name_is_called_as_its_file(source, name):
    assert camera_name(source) == name
