import base64
import json
import time
from email.utils import formatdate

import jsonschema
import pytest
from standardwebhooks import Webhook as Receiver
from standardwebhooks import WebhookVerificationError

from pipeline.live.events.schema import event_schema
from pipeline.live.sinks.base import Message, NotDelivered, Refused
from pipeline.live.sinks.settings import WebhookSettings
from pipeline.live.sinks.webhook import Webhook, cloud_event
from pose_extract.errors import ConfigError
from tests.pipeline.live.helpers import WebServer, event, free_port

KEY = "whsec_" + base64.b64encode(b"a key that two know").decode()


@pytest.fixture
def server():
    server = WebServer()
    yield server
    server.close()


def test_an_event_is_posted_as_the_schema_says(server):
    Webhook(WebhookSettings(server.url)).deliver(Message.of(event()))
    headers, body = server.requests[0]
    jsonschema.validate(json.loads(body), event_schema())
    assert headers["Content-Type"] == "application/json"
    assert "webhook-signature" not in headers


def test_the_signature_is_what_the_reference_library_of_standard_webhooks_accepts(server):
    Webhook(WebhookSettings(server.url, secret=KEY)).deliver(Message.of(event()))
    headers, body = server.requests[0]
    assert Receiver(KEY).verify(body, headers)["id"] == "door-1"
    with pytest.raises(WebhookVerificationError):
        Receiver(KEY).verify(body.replace(b"door", b"yard"), headers)
    with pytest.raises(WebhookVerificationError):
        Receiver("whsec_" + base64.b64encode(b"another key").decode()).verify(body, headers)


def test_a_repetition_carries_the_same_id(server):
    sink, message = Webhook(WebhookSettings(server.url, secret=KEY)), Message.of(event(1, "update"), event(1))
    server.answer = 500
    with pytest.raises(NotDelivered, match="answered 500"):
        sink.deliver(message)
    server.answer = 200
    sink.deliver(Message.from_bytes(message.to_bytes()))
    assert len({headers["webhook-id"] for headers, _ in server.requests}) == 1
    assert Message.of(event(1, "update")).id != message.id


def test_cloudevents_are_what_their_library_reads(server):
    from cloudevents.v1.http import from_http

    Webhook(WebhookSettings(server.url, format="cloudevents")).deliver(Message.of(event(1, "end")))
    headers, body = server.requests[0]
    found = from_http(dict(headers), body)
    assert (found["id"], found["type"], found["subject"]) == ("door-1.end", "gepc.anomaly.end", "door-1")
    assert found["time"] == found.data["end_time"]
    jsonschema.validate(found.data, event_schema())


def test_a_camera_of_any_name_gives_a_source_that_is_a_uri():
    assert cloud_event(Message.of(event(camera="hof tür/1")))["source"] == "/gepc-pipeline/hof%20t%C3%BCr%2F1"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 503])
def test_answers_that_may_change_are_tried_again(server, status):
    server.answer = status
    with pytest.raises(NotDelivered, match=str(status)):
        Webhook(WebhookSettings(server.url)).deliver(Message.of(event()))


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_an_event_that_is_not_wanted_is_not_tried_again(server, status):
    server.answer = status
    with pytest.raises(Refused, match=str(status)):
        Webhook(WebhookSettings(server.url)).deliver(Message.of(event()))


def test_a_redirect_is_not_followed_and_says_where_to(server):
    server.answer, server.headers = 301, {"Location": "http://127.0.0.1:1/new"}
    with pytest.raises(NotDelivered, match="put that into the config"):
        Webhook(WebhookSettings(server.url)).deliver(Message.of(event()))


def test_a_server_that_asks_for_time_gets_it(server):
    server.answer, server.headers = 429, {"Retry-After": "7"}
    with pytest.raises(NotDelivered) as caught:
        Webhook(WebhookSettings(server.url)).deliver(Message.of(event()))
    assert caught.value.wait_s == 7


def test_a_server_that_names_a_date_is_left_alone_until_then(server):
    for seconds, least, most in ((90, 80, 90), (-90, 0, 0), (86_400, 3600, 3600)):
        date = formatdate(time.time() + seconds, usegmt=True)
        server.answer, server.headers = 503, {"Retry-After": date}
        with pytest.raises(NotDelivered) as caught:
            Webhook(WebhookSettings(server.url)).deliver(Message.of(event()))
        assert least <= caught.value.wait_s <= most


@pytest.mark.parametrize("value", ["soon", "-5", "", "1.5", "Mon, 99 Foo 2026 00:00:00 GMT", "\u00b2"])
def test_a_time_that_nobody_can_read_is_none(server, value):
    server.answer, server.headers = 503, {"Retry-After": value}
    with pytest.raises(NotDelivered) as caught:
        Webhook(WebhookSettings(server.url)).deliver(Message.of(event()))
    assert caught.value.wait_s == 0


def test_an_address_from_the_environment_that_is_none_is_told_before_it_is_needed(monkeypatch):
    monkeypatch.setenv("HOOK", "http://[::1/a-token")
    with pytest.raises(ConfigError, match=r"webhook.url: expected a host.*\$HOOK") as caught:
        Webhook(WebhookSettings("$HOOK"))
    assert "a-token" not in str(caught.value)


def test_a_server_that_hangs_is_given_up_after_the_time_limit(server):
    server.answer = "hang"
    begin = time.monotonic()
    with pytest.raises(NotDelivered, match="timed out"):
        Webhook(WebhookSettings(server.url, timeout_s=0.3)).deliver(Message.of(event()))
    assert time.monotonic() - begin < 10


def test_nobody_there_is_not_delivered():
    with pytest.raises(NotDelivered, match="refused"):
        Webhook(WebhookSettings(f"http://127.0.0.1:{free_port()}/")).deliver(Message.of(event()))


def test_address_and_headers_may_come_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("HOOK", server.url)
    monkeypatch.setenv("TOKEN", "Bearer abc")
    Webhook(WebhookSettings("$HOOK", headers={"Authorization": "$TOKEN"})).deliver(Message.of(event()))
    assert server.requests[0][0]["Authorization"] == "Bearer abc"


def test_a_secret_that_is_no_base64_is_told():
    with pytest.raises(ConfigError, match="expected Base64 after whsec_"):
        Webhook(WebhookSettings("http://a", secret="whsec_***"))


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer \u20ac"}, {"X-A": "one\ntwo"}, {"X A:": "one"}]
)
def test_headers_that_cannot_be_sent_are_told_at_the_start_and_without_what_they_hold(headers, monkeypatch):
    with pytest.raises(ConfigError, match=r"webhook\.headers.*expected a name and a value") as told:
        WebhookSettings("http://127.0.0.1:9/", headers=headers)
    assert "Bearer" not in str(told.value)
    name, value = next(iter(headers.items()))
    monkeypatch.setenv("HOOK_HEADER", value)
    settings = WebhookSettings("http://127.0.0.1:9/", headers={"X-A": "$HOOK_HEADER"})
    if name != "X A:":
        with pytest.raises(ConfigError, match=r"webhook\.headers.*expected a name and a value"):
            Webhook(settings)
