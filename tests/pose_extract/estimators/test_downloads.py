"""Weights come whole or not at all: cuts, wrong content, odd servers and missing networks."""

import errno
import hashlib
import http.server
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pose_extract.errors import WeightsError
from pose_extract.estimators import downloads
from pose_extract.estimators.downloads import cached, fetch, is_whole, watched_by

CONTENT = bytes(range(256)) * 4096  # 1 MiB, four blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"model_256x192-{DIGEST[:8]}_20230504.pth"


class Server(http.server.ThreadingHTTPServer):
    """Serves one content under every name, as badly as a test asks for."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.ranges, self.cut_after = CONTENT, '"1"', True, []
        self.status, self.kind, self.location, self.length, self.delay = (
            200,
            "application/zip",
            None,
            True,
            None,
        )
        self.requests = []

    def handle_error(self, *_):
        """Clients that hang up are part of the tests."""

    def url(self, name=NAME):
        return f"http://127.0.0.1:{self.server_port}/folder/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.location:
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        start, size = 0, len(server.content)
        if asked and server.ranges and self.headers.get("If-Range") == server.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", server.kind)
        if server.etag:
            self.send_header("ETag", server.etag)
        if server.length:
            self.send_header("Content-Length", str(size - start))
        self.end_headers()
        if server.delay:
            server.delay.wait(20)
        end = start + server.cut_after.pop(0) if server.cut_after else size
        self.wfile.write(server.content[start:end])
        if server.hang:
            server.hang.wait(20)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(downloads, "_PAUSE_S", 0.0)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def visible(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_a_file_is_fetched_once_and_nothing_else_stays(server, tmp_path):
    path = fetch(server.url(), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / NAME
    assert path.read_bytes() == CONTENT
    assert fetch(server.url(), path.parent) == path
    assert len(server.requests) == 1
    assert visible(path.parent) == [NAME]


def test_the_default_folder_is_that_of_the_weights(server, tmp_path, monkeypatch):
    monkeypatch.setenv("GEPC_CACHE_DIR", str(tmp_path))
    assert cached(server.url()) == tmp_path / "weights" / NAME
    assert fetch(server.url()) == tmp_path / "weights" / NAME


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path):
    server.cut_after = [300_000, 200_000]
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-", "bytes=500000-"]


def test_a_run_that_was_killed_is_taken_up_by_the_next(server, tmp_path):
    server.cut_after = [300_000, 0]
    with pytest.raises(WeightsError, match="connection broke"):
        fetch(server.url(), tmp_path)
    assert not is_whole(tmp_path / NAME, server.url())
    server.requests.clear()
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=300000-"]


def test_a_process_that_was_killed_holds_nobody_up(server, tmp_path):
    server.cut_after, server.hang = [300_000], threading.Event()
    process = another_process(server, tmp_path)
    part = tmp_path / f"{NAME}.part"
    while not (part.exists() and part.stat().st_size >= 256_000) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    server.hang.set()
    kept = part.stat().st_size
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, f"bytes={kept}-"]


def test_a_file_that_was_whole_but_not_yet_in_place_is_not_fetched_again(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    (tmp_path / f"{NAME}.part.tag").write_text(server.etag)
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT
    assert server.requests == [f"bytes={len(CONTENT)}-"]
    assert visible(tmp_path) == [NAME]


def test_a_rest_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"more")
    (tmp_path / f"{NAME}.part.tag").write_text(server.etag)
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("change", [{"ranges": False}, {"etag": '"2"'}, {"etag": None}])
def test_a_server_without_ranges_or_with_a_new_file_sends_it_from_the_start(server, tmp_path, change):
    server.cut_after = [300_000, 0]
    with pytest.raises(WeightsError):
        fetch(server.url("model.pth"), tmp_path)
    vars(server).update(change)
    server.content = CONTENT[::-1]
    assert fetch(server.url("model.pth"), tmp_path).read_bytes() == CONTENT[::-1]
    assert server.requests[-1] == "bytes=300000-"


def test_a_rest_of_another_file_is_found_out_by_the_hash(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(b"x" * 1000)
    (tmp_path / f"{NAME}.part.tag").write_text(server.etag)
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-", None]


def test_content_of_another_hash_is_fetched_once_more_and_then_refused(server, tmp_path):
    server.content = b"something else" * 1000
    with pytest.raises(WeightsError, match=f"{DIGEST[:8]}.*{hashlib.sha256(server.content).hexdigest()}"):
        fetch(server.url(), tmp_path)
    assert len(server.requests) == 2
    assert visible(tmp_path) == []


def test_a_damaged_file_in_the_folder_is_replaced(server, tmp_path, caplog):
    (tmp_path / NAME).write_bytes(CONTENT[:-1])
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT
    assert "not the published file" in caplog.text


def test_a_file_put_there_by_hand_is_taken_without_a_connection(tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch(f"http://127.0.0.1:1/{NAME}", tmp_path) == tmp_path / NAME
    (tmp_path / "unnamed.pth").write_bytes(b"whatever")
    assert fetch("http://127.0.0.1:1/unnamed.pth", tmp_path) == tmp_path / "unnamed.pth"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.pth", ("e48f03d0",)),
        ("rtmdet_tiny_8xb32-300e_coco_20220902_112414-78e30dcc.pth", ("78e30dcc",)),
        ("resnest101_coco_384x288-80660658_20210320.pth", ("80660658",)),
        ("pisa_retinanet_r50_fpn_1x_coco-76409952.pth", ("76409952",)),
        ("yolo-x_8xb8-300e_coco-face_13274d7c.pth", ("13274d7c",)),
        ("rtmw-dw-x-l_simcc-cocktail14_270e-256x192-20231122.pth", ()),
        ("hand5_210e-256x256-74fb594_20230320.pth", ()),
        ("edpose_res50_coco_3rdparty.pth", ()),
        ("e48f03d0.pth", ("e48f03d0",)),
        ("named-e48f03d0.pth#sha256=", ()),
        ("named-e48f03d0.pth#sha256=0E2DA635", ("0e2da635", "e48f03d0")),
    ],
)
def test_the_hash_is_told_from_dates_and_sizes(name, found):
    assert downloads._hashes(f"https://example.org/{name}") == found


def test_a_hash_in_the_address_counts_beside_that_in_the_name(server, tmp_path):
    assert fetch(server.url(f"m-00000000.pth#sha256={DIGEST}"), tmp_path).read_bytes() == CONTENT
    assert fetch(server.url("n-00000000.pth#sha256="), tmp_path).read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="11111111"):
        fetch(server.url("model.pth#sha256=11111111"), tmp_path)


@pytest.mark.parametrize("status", [404, 403, 503])
def test_a_server_that_refuses_is_told_with_what_to_do(server, tmp_path, status):
    server.status = status
    with pytest.raises(WeightsError) as caught:
        fetch(server.url(), tmp_path)
    for text in (server.url(), NAME, str(tmp_path), f"answered {status}", "GEPC_CACHE_DIR"):
        assert text in str(caught.value)


def test_offline_the_message_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{NAME}"
        with pytest.raises(WeightsError) as caught:
            fetch(url, tmp_path)
        assert visible(tmp_path) == []
        (tmp_path / NAME).write_bytes(CONTENT[:1000])
        with pytest.raises(WeightsError, match=f"{NAME} is damaged in"):
            fetch(url, tmp_path)
    for text in (url, NAME, str(tmp_path), "refused", "GEPC_CACHE_DIR", "proxy"):
        assert text in str(caught.value)


def test_a_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetch(f"http://weights.invalid/{NAME}", tmp_path).read_bytes() == CONTENT


def test_a_log_in_page_is_not_taken_for_weights(server, tmp_path):
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(WeightsError, match="web page"):
        fetch(server.url("model.pth"), tmp_path)
    assert visible(tmp_path) == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.pth", "file:///etc/passwd", "a.pth"])
def test_only_web_addresses_are_fetched(url, tmp_path):
    with pytest.raises(WeightsError, match="http"):
        fetch(url, tmp_path)


@pytest.mark.parametrize(
    "url", ["https://example.org/", "https://example.org", "https://example.org/a/%2e%2e"]
)
def test_an_address_must_name_a_file(url):
    with pytest.raises(WeightsError, match="address of a file"):
        cached(url)


def test_a_name_cannot_lead_out_of_the_folder(tmp_path):
    for name in ("..%2F..%2Fa.pth", "..%5Ca.pth", "a%2Fa.pth"):
        assert cached(f"https://example.org/x/{name}", tmp_path) == tmp_path / "a.pth"


def test_a_redirection_to_another_scheme_is_not_followed(server, tmp_path):
    server.location = "ftp://127.0.0.1/model.pth"
    with pytest.raises(WeightsError, match=r"points to ftp|answered 302"):
        fetch(server.url(), tmp_path)


def test_a_redirection_is_followed_and_the_name_stays(server, tmp_path):
    with Server() as other:
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        server.location = other.url("signed-and-long")
        assert fetch(server.url(), tmp_path) == tmp_path / NAME
        other.shutdown()


def test_a_server_that_does_not_say_the_length_is_fine(server, tmp_path):
    server.length = False
    assert fetch(server.url(), tmp_path).read_bytes() == CONTENT


def test_a_disk_too_small_is_told_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(WeightsError, match=r"disk is full.*\n?.*GEPC_CACHE_DIR"):
        fetch(server.url(), tmp_path)


def test_a_disk_that_fills_up_is_told(server, tmp_path, monkeypatch):
    @contextmanager
    def full():
        yield
        raise downloads._WriteError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(downloads, "_writing", full)
    with pytest.raises(WeightsError, match="disk is full"):
        fetch(server.url(), tmp_path)


def test_a_folder_that_cannot_be_made_is_told(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot keep"):
        fetch(server.url(), tmp_path / "file" / "folder")


def another_process(server, folder):
    words = "import sys; from pathlib import Path; from pose_extract.estimators.downloads import fetch;"
    words += "fetch(sys.argv[1], Path(sys.argv[2]))"
    return subprocess.Popen([sys.executable, "-c", words, server.url(), str(folder)])


def test_of_several_processes_one_downloads_and_all_get_it(server, tmp_path):
    server.delay = threading.Event()
    processes = [another_process(server, tmp_path) for _ in range(3)]
    threading.Timer(1.0, server.delay.set).start()
    assert [process.wait(timeout=30) for process in processes] == [0] * 3
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert visible(tmp_path) == [NAME]


def test_who_watches_sees_every_download_from_its_start_to_its_end(server, tmp_path):
    seen = []

    @contextmanager
    def watch(name, total):
        seen.append((name, total))
        yield seen.append
        seen.append("end")

    server.cut_after = [300_000]
    with watched_by(watch):
        fetch(server.url(), tmp_path)
    total = len(CONTENT) / 1e6
    starts = [i for i, entry in enumerate(seen) if entry == (NAME, total)]
    assert len(starts) == 2
    assert seen[starts[1] - 2 : starts[1]] == [0.3, "end"]
    assert seen[-2:] == [total, "end"]
    assert min(seen[starts[1] + 1 : -1]) > 0.3


def test_without_a_watcher_the_log_says_what_is_fetched(server, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(downloads, "_LOG_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO, "pose_extract"):
        fetch(server.url(), tmp_path)
    assert f"fetching {NAME} into {tmp_path} (once)" in caplog.text
    assert f"fetching {NAME}: 1 of 1 MB" in caplog.text
