"""Logs as lines of JSON, and in a file."""

import json
import logging

import pytest

from pipeline.cli import main
from pipeline.commands.logs import logging_to


def test_a_record_is_a_line_of_json(tmp_path, capsys):
    log = tmp_path / "log.txt"
    with logging_to(logging.INFO, "json", str(log)):
        logging.getLogger("pipeline.live").info("camera %s is lost:\nno picture", "door")
        try:
            raise ValueError("odd")
        except ValueError:
            logging.getLogger("pipeline.live").exception("it failed")
    logging.getLogger("pipeline.live").warning("nobody hears this any more")
    for text in (capsys.readouterr().err, log.read_text()):
        first, second = (json.loads(line) for line in text.splitlines())
        assert first["message"] == "camera door is lost:\nno picture"
        assert (first["level"], first["logger"]) == ("info", "pipeline.live")
        assert "ValueError: odd" in second["traceback"]


def test_a_file_keeps_what_earlier_commands_logged(tmp_path, capsys):
    log = tmp_path / "log.txt"
    for number in (1, 2):
        with logging_to(logging.WARNING, "text", str(log)):
            logging.getLogger("anomaly").warning("message %d", number)
    lines = log.read_text().splitlines()
    assert [line.split("WARNING: ")[1] for line in lines] == ["message 1", "message 2"]
    assert capsys.readouterr().err == "WARNING: message 1\nWARNING: message 2\n"
    with pytest.raises(OSError), logging_to(logging.INFO, "text", str(tmp_path / "no" / "log.txt")):
        pass


@pytest.mark.parametrize("content", [b"PK\x03\x04tracks", b"_base_: default\n", b"\n"])
def test_nothing_is_appended_to_what_is_no_log(tmp_path, content):
    path = tmp_path / "precious"
    path.write_bytes(content)
    with pytest.raises(OSError, match="no log"), logging_to(logging.INFO, "json", str(path)):
        logging.getLogger("pipeline").warning("a message")
    assert path.read_bytes() == content


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_ended_a_command_is_in_its_log_and_said_once(tmp_path, capsys, form):
    log, video = tmp_path / "log.txt", tmp_path / "no video.mp4"
    assert main(["extract", str(video), "--log", form, "--log-file", str(log)]) != 0
    said, kept = capsys.readouterr().err, log.read_text()
    assert (said.count("no video"), kept.count("no video")) == (1, 1)
    if form == "text":
        assert said.startswith("gepc-pipeline extract: error: ")
        assert "ERROR: " in kept
    else:
        assert json.loads(said.splitlines()[-1])["level"] == "error"
        assert said == kept
    assert main(["extract", str(video), "--log", form, "--log-file", str(tmp_path)]) == 9  # which is no file
    assert "--log-file" in capsys.readouterr().err
