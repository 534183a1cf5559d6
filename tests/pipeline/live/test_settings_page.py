"""The examples of docs/live.md and docs/alarms.md are settings that `watch` takes."""

import re

import pytest
import yaml

from pipeline.live.settings import WatchSettings
from pipeline.live.status.figures import CameraFigures
from pose_extract.checking import build
from tests.helpers import ROOT

PAGE = "".join((ROOT / "docs" / name).read_text() for name in ("live.md", "alarms.md"))
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=[text.split(":")[0] for text in EXAMPLES])
def test_an_example_is_what_watch_takes(text):
    build(WatchSettings, yaml.safe_load(text))


def test_all_kinds_of_sinks_and_of_privacy_are_told():
    from pipeline.live.recording.settings import PRIVACY
    from pipeline.live.sinks.settings import SINK_KINDS

    assert len(EXAMPLES) >= 4
    kinds = {
        kind for text in EXAMPLES for sink in yaml.safe_load(text).get("sinks", {}).values() for kind in sink
    }
    assert kinds >= set(SINK_KINDS)
    assert all(f"| `{name}` |" in PAGE for name in PRIVACY)


def test_every_metric_is_told():
    from prometheus_client.parser import text_string_to_metric_families

    from pipeline.live.sinks.dispatcher import SinkFigures
    from pipeline.live.status.metrics import Metrics

    full = CameraFigures("door", "online", 0.1, 1.0, 1.0, 1, 1, 1, 0.1, 0.1, {"quiet": 1})
    text = Metrics(lambda: [full], lambda: {"a": SinkFigures(0, 0, 0, 0, 0, "")}).text().decode()
    told = PAGE.replace("gepc_sink_{delivered,refused,dropped,failures}_total", "")
    told += " ".join(f"gepc_sink_{name}_total" for name in ("delivered", "refused", "dropped", "failures"))
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        if not name.endswith("_created"):  # prometheus-client's own
            assert name in told, name
