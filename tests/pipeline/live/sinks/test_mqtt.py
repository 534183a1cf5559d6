import json
import sys
import time

import jsonschema
import pytest
import trustme

from pipeline.live.events.schema import event_schema
from pipeline.live.sinks.base import Message, NotDelivered
from pipeline.live.sinks.home_assistant import discovery, topic_level
from pipeline.live.sinks.mqtt import Mqtt
from pipeline.live.sinks.settings import MqttSettings
from pose_extract.errors import ConfigError, UsageError
from tests.pipeline.live.helpers import MqttBroker, MqttListener, event, free_port, state, wait_for


@pytest.fixture
def broker():
    broker = MqttBroker(free_port())
    yield broker
    broker.close()


def deliver(sink: Mqtt, message: Message) -> None:
    """Until the broker is there."""

    def done() -> bool:
        try:
            sink.deliver(message)
        except NotDelivered:
            return False
        return True

    wait_for(done)


def test_events_go_to_the_topics_that_are_promised(broker):
    listener = MqttListener(broker.port)
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port), ["door"])
    first = event(1)
    for message in (Message.of(state("online")), Message.of(first), Message.of(event(1, "end"), first)):
        deliver(sink, message)
    wait_for(lambda: listener.last("gepc/door/unusual") == "OFF")
    wait_for(lambda: len(listener.all("gepc/events")) == 3)
    sent = listener.all("gepc/events")
    assert [each["type"] for each in sent] == ["new", "new", "end"]
    assert sent[1]["before"] is None
    assert sent[2]["before"] == first.to_dict()
    for each in sent:
        jsonschema.validate(each["after"], event_schema())
    unusual = [text for topic, text, _ in listener.messages if topic == "gepc/door/unusual"]
    assert unusual == ["OFF", "ON", "OFF"]  # before the first event it is known that there is none
    assert listener.last("gepc/available") == "online"
    stats = {"cameras": {"door": {"state": "lost"}}}
    sink.tell(stats)
    assert wait_for(lambda: listener.all("gepc/stats")) == [stats]
    assert listener.last("gepc/door/status") == "online"  # events tell it, in their order
    sink.close()
    wait_for(lambda: listener.last("gepc/available") == "offline")
    listener.close()


def test_who_comes_later_gets_the_states_and_no_old_event(broker):
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port), ["door"])
    deliver(sink, Message.of(state("blind")))
    deliver(sink, Message.of(event(1)))
    listener = MqttListener(broker.port)
    wait_for(lambda: listener.last("gepc/available") == "online")
    assert wait_for(lambda: listener.last("gepc/door/status")) == "blind"
    assert wait_for(lambda: listener.last("gepc/door/unusual")) == "ON"
    time.sleep(0.3)
    topics = {topic for topic, _, _ in listener.messages}
    assert not {"gepc/events", "gepc/door/event"} & topics
    found = [topic for topic in topics if topic.startswith("homeassistant/")]
    assert len(found) == 2
    sink.close()
    listener.close()


def test_a_camera_that_went_on_while_the_sink_was_made_anew_has_its_state(broker):
    listener = MqttListener(broker.port)
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port), ["door", "yard"])
    wait_for(lambda: listener.last("gepc/available") == "online")
    sink.tell({"cameras": {"door": {"state": "blind"}, "yard": {"state": None}, "gone": {"state": "online"}}})
    assert wait_for(lambda: listener.last("gepc/door/status")) == "blind"
    assert wait_for(lambda: listener.all("gepc/stats"))
    assert listener.last("gepc/yard/status") is None
    assert listener.last("gepc/gone/status") is None
    sink.close()
    listener.close()


def test_an_event_whose_end_found_no_room_does_not_go_on_for_ever(broker):
    listener = MqttListener(broker.port)
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port), ["door"])
    for message in (event(1), event(2), event(2, "end")):
        deliver(sink, Message.of(message))
    wait_for(lambda: len(listener.all("gepc/events")) == 3)
    wait_for(lambda: listener.last("gepc/door/unusual") == "OFF")
    sink.close()
    listener.close()


def test_a_process_that_dies_is_reported_by_its_last_will(broker):
    listener = MqttListener(broker.port)
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port))
    wait_for(lambda: listener.last("gepc/available") == "online")
    sink._client.loop_stop()
    sink._client._sock_close()  # as the kernel does for a killed process: no good-bye
    wait_for(lambda: listener.last("gepc/available") == "offline")
    listener.close()


def test_a_broker_that_comes_late_and_comes_back_loses_nothing():
    port = free_port()
    sink = Mqtt(MqttSettings("127.0.0.1", port, timeout_s=2.0), ["door"])
    with pytest.raises(NotDelivered, match=f"no connection to 127.0.0.1:{port}"):
        sink.deliver(Message.of(event(1)))
    broker = MqttBroker(port)
    deliver(sink, Message.of(state("lost")))
    broker.close()
    with pytest.raises(NotDelivered):
        wait_for(lambda: sink.deliver(Message.of(event(2))))
    broker = MqttBroker(port)  # it has forgotten what was retained
    deliver(sink, Message.of(event(2)))
    listener = MqttListener(port)
    wait_for(lambda: listener.last("gepc/available") == "online")
    assert wait_for(lambda: listener.last("gepc/door/status")) == "lost"
    sink.close()
    listener.close()
    broker.close()


def test_a_broker_with_a_certificate_of_its_own_is_trusted_where_it_is_named(tmp_path):
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    named, key, chain = (str(tmp_path / name) for name in ("ca.pem", "key.pem", "chain.pem"))
    authority.cert_pem.write_to_path(named)
    server.private_key_pem.write_to_path(key)
    server.cert_chain_pems[0].write_to_path(chain)
    broker = MqttBroker(free_port(), (chain, key))
    trusting = Mqtt(MqttSettings("127.0.0.1", broker.port, tls=True, ca_file=named), ["door"])
    deliver(trusting, Message.of(event(1)))
    trusting.close()
    strange = Mqtt(MqttSettings("127.0.0.1", broker.port, tls=True, client_id="other"))
    wait_for(lambda: "certificate" in strange._why)
    with pytest.raises(NotDelivered, match="certificate"):
        strange.deliver(Message.of(event(2)))
    strange.close()
    broker.close()
    for wrong, why in ((tmp_path / "none.pem", "No such file"), (key, "PEM|certificate")):
        with pytest.raises(ConfigError, match=f"mqtt.ca_file.*({why})"):
            Mqtt(MqttSettings("127.0.0.1", tls=True, ca_file=str(wrong)))
    with pytest.raises(ConfigError, match="tls: true"):
        MqttSettings("127.0.0.1", ca_file=named)


def test_two_events_of_a_camera_that_overlap_are_one_on(broker):
    listener = MqttListener(broker.port)
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port), ["door"])
    for each in (event(1), event(2), event(1, "end"), event(2, "end")):
        deliver(sink, Message.of(each))
    wait_for(lambda: listener.last("gepc/door/unusual") == "OFF")
    unusual = [text for topic, text, _ in listener.messages if topic == "gepc/door/unusual"]
    assert unusual == ["OFF", "ON", "ON", "ON", "OFF"]
    sink.close()
    listener.close()


def retained(port: int) -> set[str]:
    """The topics that the broker retains, of ours and of Home Assistant's."""
    listener = MqttListener(port)
    listener._client.publish("marker", "", qos=1)
    wait_for(lambda: listener.last("marker") is not None)
    time.sleep(0.3)
    listener.close()
    return {topic for topic, text, _ in listener.messages if text}


def test_a_camera_that_is_taken_out_leaves_nothing_with_the_broker(broker, tmp_path):
    settings, path = MqttSettings("127.0.0.1", broker.port), tmp_path / "home.published.json"
    sink = Mqtt(settings, ["door", "yard"], path)
    for camera in ("door", "yard"):
        deliver(sink, Message.of(state("online", 1, camera)))
    sink.close()
    both = retained(broker.port)
    assert len(both) == 9  # of each a status, an alarm, and two of discovery; and whether we are there
    elsewhere = Mqtt(MqttSettings("127.0.0.1", free_port()), ["yard"], path)  # the broker is not there
    elsewhere.close()
    sink = Mqtt(settings, ["yard"], path)
    for each in (event(1), event(1, "end"), state("lost", 2, "door")):  # they waited for it, from before
        deliver(sink, Message.of(each))
    left = retained(broker.port)
    assert len(left) == 5
    assert left < both
    assert not any("door" in topic for topic in left)
    sink.tell({})
    assert set(json.loads(path.read_text())) | {"gepc/available"} == left
    sink.close()


def test_a_camera_that_comes_back_has_its_topics_again(broker, tmp_path):
    settings, path = MqttSettings("127.0.0.1", broker.port), tmp_path / "home.published.json"
    for cameras in (["door"], [], ["door"]):
        sink = Mqtt(settings, cameras, path)
        deliver(sink, Message.of(state("online")))
        sink.close()
    assert {"gepc/door/status", "gepc/door/unusual"} < retained(broker.port)


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', "[1, null]"])
def test_a_file_of_topics_that_is_damaged_counts_for_nothing(broker, tmp_path, content):
    path = tmp_path / "home.published.json"
    path.write_text(content)
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port), ["door"], path)
    deliver(sink, Message.of(event(1)))
    sink.close()
    assert len(json.loads(path.read_text())) == 4


def test_a_place_that_cannot_be_written_costs_no_event(broker, tmp_path, caplog):
    (tmp_path / "file").touch()
    sink = Mqtt(MqttSettings("127.0.0.1", broker.port), ["door"], tmp_path / "file" / "home.published.json")
    deliver(sink, Message.of(event(1)))
    sink.close()
    assert "would stay with the broker" in caplog.text


def test_a_camera_of_any_name_has_a_topic_of_its_own():
    names = ["door", "a/b", "a_b", "a+b", "a#b", "hof tür", "$SYS"]
    levels = [topic_level(name) for name in names]
    assert levels[0] == "door"
    assert len(set(levels)) == len(names)
    assert not any(sign in level for level in levels for sign in "+#/ $")


def test_discovery_names_topics_that_are_published_and_states_that_exist():
    found = discovery("homeassistant", "gepc", "door")
    configs = {topic.split("/")[1]: config for topic, config in found.items()}
    assert configs["binary_sensor"]["state_topic"] == "gepc/door/unusual"
    assert configs["sensor"]["state_topic"] == "gepc/door/status"
    assert configs["sensor"]["options"] == ["online", "lost", "blind", "moved", "no-model"]
    assert {a["topic"] for a in configs["binary_sensor"]["availability"]} == {
        "gepc/available",
        "gepc/door/status",
    }
    for topic in found:  # what Home Assistant allows in the parts of a discovery topic
        assert all(part.replace("-", "").replace("_", "").isalnum() for part in topic.split("/"))
    ids = {c["unique_id"] for name in ("a b", "a_b") for c in discovery("h", "gepc", name).values()}
    assert len(ids) == 4
    json.dumps(found)


def test_a_missing_extra_gives_the_line_that_mends_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt", None)
    with pytest.raises(UsageError, match=r"pip install 'gepc-pipeline\[live\]'"):
        Mqtt(MqttSettings("a"))
