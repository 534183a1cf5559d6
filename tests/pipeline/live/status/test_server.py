import json
import socket
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from pipeline.live.status.server import StatusServer
from pipeline.live.status.settings import StatusSettings
from pose_extract.checking import build
from pose_extract.errors import ConfigError, UsageError


@pytest.fixture
def server():
    state: dict[str, Any] = {"alive": True}

    def health() -> tuple[bool, dict[str, Any]]:
        if state.get("broken"):
            raise RuntimeError("defect")
        return state["alive"], {"cameras": {"door": "online"}}

    server = StatusServer("127.0.0.1", 0, health, lambda: (b"gepc_up 1\n", "text/plain; version=1.0.0"))
    server.state = state  # type: ignore[attr-defined]
    yield server
    server.close()


def ask(server: StatusServer, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def test_it_says_whether_it_lives(server):
    status, kind, body = ask(server, "/healthz")
    assert (status, kind, json.loads(body)) == (200, "application/json", {"cameras": {"door": "online"}})
    server.state["alive"] = False
    assert ask(server, "/healthz?verbose")[0] == 503
    assert ask(server, "/healthz", "HEAD") == (503, "application/json", b"")


def test_it_gives_metrics_as_prometheus_asks(server):
    assert ask(server, "/metrics") == (200, "text/plain; version=1.0.0", b"gepc_up 1\n")


def test_other_paths_and_methods_are_refused(server):
    assert ask(server, "/../etc/passwd")[0] == 404
    assert ask(server, "/healthz", "POST")[0] == 501


def test_a_defect_in_an_answer_ends_nothing(server):
    server.state["broken"] = True
    assert ask(server, "/healthz")[0] == 500
    server.state["broken"] = False
    assert ask(server, "/healthz")[0] == 200


def test_who_connects_and_says_nothing_delays_nobody(server):
    with socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server, "/healthz")[0] == 200


def test_a_port_that_is_taken_is_told_in_one_line(server):
    with pytest.raises(UsageError, match=f"cannot listen at 127.0.0.1:{server.port}: .*in use"):
        StatusServer("127.0.0.1", server.port, lambda: (True, {}), lambda: (b"", ""))
    with pytest.raises(UsageError, match="cannot listen"):
        StatusServer("no-such-host.invalid", 0, lambda: (True, {}), lambda: (b"", ""))


def test_closing_frees_the_port_and_ends_the_thread():
    server = StatusServer("127.0.0.1", 0, lambda: (True, {}), lambda: (b"", ""))
    server.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "status"]
    StatusServer("127.0.0.1", server.port, lambda: (True, {}), lambda: (b"", "")).close()


def test_by_default_there_is_none_and_only_this_machine_may_ask():
    assert (StatusSettings().port, StatusSettings().host) == (0, "127.0.0.1")
    with pytest.raises(ConfigError, match=r"status\.port"):
        build(StatusSettings, {"port": 70000})
