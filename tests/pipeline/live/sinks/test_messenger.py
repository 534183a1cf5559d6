import json
import sys

import pytest

from pipeline.live.sinks.base import Message, NotDelivered
from pipeline.live.sinks.messenger import Messenger, body, title
from pipeline.live.sinks.settings import AppriseSettings
from pose_extract.errors import ConfigError, UsageError
from tests.pipeline.live.helpers import WebServer, event, free_port, state


def test_a_person_gets_title_reasons_and_the_picture(tmp_path):
    (tmp_path / "p.jpg").write_bytes(b"picture")
    server = WebServer()
    try:
        sink = Messenger(AppriseSettings(f"json://127.0.0.1:{server.port}/"))
        sink.deliver(Message.of(event(zone="gate", picture=str(tmp_path / "p.jpg"))))
        found = json.loads(server.requests[0][1])
    finally:
        server.close()
    assert found["title"] == "Unusual: door, gate"
    assert "moves faster than 99.9 % of people here" in found["message"]
    assert found["attachments"][0]["filename"] == "p.jpg"


def test_a_picture_that_is_gone_does_not_keep_the_message(tmp_path):
    server = WebServer()
    try:
        Messenger(AppriseSettings(f"json://127.0.0.1:{server.port}/")).deliver(
            Message.of(event(picture=str(tmp_path / "gone.jpg")))
        )
    finally:
        server.close()
    assert len(server.taken) == 1


def test_a_service_that_fails_is_tried_again():
    with pytest.raises(NotDelivered):
        Messenger(AppriseSettings(f"json://127.0.0.1:{free_port()}/")).deliver(Message.of(event()))


def test_an_address_that_is_none_is_told_without_repeating_it():
    with pytest.raises(ConfigError, match=r"apprise\.url") as caught:
        Messenger(AppriseSettings("nothing://user:password@host"))
    assert "password" not in str(caught.value)


def test_a_missing_extra_gives_the_line_that_mends_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError, match=r"pip install 'gepc-pipeline\[live\]'"):
        Messenger(AppriseSettings("json://a"))


def test_words_of_events():
    assert title(state("lost")) == "Camera door sends no pictures"
    assert title(event(1, "end")) == "Over: door"
    assert "until 2026-11-29 10:00:06+00:00" in body(event(1, "end"))
    assert "more unusual than 99.90 %" in body(event())
