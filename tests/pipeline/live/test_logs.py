"""Logs as lines of JSON."""

import io
import json
import logging

from pipeline.live.logs import log_as_json


def test_a_record_is_a_line_of_json():
    root, out = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(out)
    before = [(each, each.formatter) for each in root.handlers]
    root.addHandler(handler)
    try:
        log_as_json()
        logging.getLogger("pipeline.live").warning("camera %s is lost:\nno picture", "door")
        try:
            raise ValueError("odd")
        except ValueError:
            logging.getLogger("pipeline.live").exception("it failed")
    finally:
        root.removeHandler(handler)
        for each, formatter in before:
            each.setFormatter(formatter)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert first["message"] == "camera door is lost:\nno picture"
    assert (first["level"], first["logger"]) == ("warning", "pipeline.live")
    assert "ValueError: odd" in second["traceback"]
