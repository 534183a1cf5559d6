import pytest

from pipeline.live.sinks.settings import SinkSettings, secret
from pose_extract.checking import build
from pose_extract.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "expected one of jsonl, csv, webhook, mqtt, command, apprise, got none"),
        ({"jsonl": {}, "csv": {}}, "got jsonl and csv"),
        ({"webhok": {}}, "did you mean 'webhook'"),
        ({"webhook": {"url": "example.org"}}, "expected http:// or https://"),
        ({"webhook": {"url": "http://[::1"}}, "webhook.url: expected a host"),
        ({"webhook": {"url": "http://"}}, "webhook.url: expected a host"),
        ({"webhook": {"url": "http://:80/x"}}, "webhook.url: expected a host"),
        ({"webhook": {"url": "http://a:http/"}}, "webhook.url: expected a host"),
        ({"webhook": {"url": "http://a:99999/"}}, "webhook.url: expected a host"),
        ({"webhook": {"url": "http://a/t\u00fcr"}}, "webhook.url: expected %20 and the like"),
        ({"webhook": {"url": "http://a/b c"}}, "webhook.url: expected %20 and the like"),
        ({"webhook": {"url": "http://a", "format": "cloudevent"}}, "did you mean 'cloudevents'"),
        ({"webhook": {"url": "http://a", "timeout_s": 0}}, "webhook.timeout_s: expected a number above 0"),
        ({"webhook": {}}, "url"),
        ({"mqtt": {"host": ""}}, "mqtt.host: expected a text"),
        ({"mqtt": {"host": "a", "port": 0}}, "mqtt.port"),
        ({"mqtt": {"host": "a", "prefix": "a/#"}}, "mqtt.prefix: expected a topic"),
        ({"mqtt": {"host": "a"}, "types": ["new"]}, "expected new and end"),
        ({"command": {"arguments": []}}, "expected a program"),
        ({"command": {"arguments": "notify"}}, "command.arguments"),
        ({"apprise": {"url": ""}}, "apprise.url"),
        ({"jsonl": {}, "types": ["begin"]}, "sinks.types: expected one of new, update, end"),
        ({"jsonl": {}, "queue_events": 0}, "queue_events"),
        ({"jsonl": {}, "retry_first_s": 5.0, "retry_most_s": 1.0}, "retry_most_s"),
    ],
)
def test_what_a_sink_cannot_be_is_told_by_its_key(values, said):
    with pytest.raises(ConfigError, match=said):
        build(SinkSettings, values)


def test_a_person_is_told_of_beginnings_only_unless_asked_otherwise():
    assert build(SinkSettings, {"apprise": {"url": "json://a"}}).types == ("new",)
    assert build(SinkSettings, {"apprise": {"url": "json://a"}, "types": ["new", "end"]}).types == (
        "new",
        "end",
    )
    assert build(SinkSettings, {"jsonl": {}}).types == ("new", "update", "end")


def test_secrets_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HOOK_KEY", "abc")
    assert secret("webhook.secret", "$HOOK_KEY") == secret("webhook.secret", "${HOOK_KEY}") == "abc"
    assert secret("webhook.secret", "plain") == "plain"
    settings = build(SinkSettings, {"webhook": {"url": "http://a", "headers": {"Authorization": "$MISSING"}}})
    with pytest.raises(ConfigError, match=r"webhook.headers: expected the environment variable MISSING"):
        settings.check_secrets()
