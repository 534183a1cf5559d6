"""The systemd unit and the compose file run commands that exist, with options that exist."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from pipeline.cli import build_parser
from tests.helpers import ROOT

UNIT = ROOT / "docker" / "gepc-watch.service"


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(UNIT)
    return found


def test_the_unit_starts_watch_with_options_that_it_has():
    service = unit()["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    args = build_parser().parse_args(arguments)
    assert (program.rsplit("/", 1)[1], args.command, args.log) == ("gepc-pipeline", "watch", "json")
    assert str(args.out) == service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    text = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text())
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / UNIT.name], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_of_the_compose_file_starts_watch_and_asks_for_its_health():
    service = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]["watch"]
    args = build_parser().parse_args(service["command"])
    assert (args.command, args.source, args.log) == ("watch", "watch.yaml", "json")
    kind, program, option, code = service["healthcheck"]["test"]
    assert (kind, program, option) == ("CMD", "python3", "-c")
    found = re.search(r"http://127\.0\.0\.1:(\d+)/healthz", code)
    assert found is not None
    assert f"port: {found[1]}" in (ROOT / "docker" / "compose.yaml").read_text()  # as its comment says


def test_what_commands_leave_behind_in_a_container_has_a_parent():
    # As the first process, `watch` would be the parent of what they leave, and never ask how it ended.
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    assert services["watch"]["init"] is True


@pytest.mark.parametrize(("alive", "code"), [(True, 0), (False, 1)])
def test_the_health_check_of_the_compose_file_sees_whether_watch_lives(alive, code):
    from pipeline.live.status.server import StatusServer

    service = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]["watch"]
    server = StatusServer("127.0.0.1", 0, lambda: (alive, {}), lambda: (b"", "text/plain"))
    try:
        check = service["healthcheck"]["test"][3].replace("9105", str(server.port))
        done = subprocess.run([sys.executable, "-c", check], capture_output=True, timeout=60)
    finally:
        server.close()
    assert done.returncode == code
