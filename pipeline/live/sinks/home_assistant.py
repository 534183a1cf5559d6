"""Home Assistant's MQTT discovery: each camera appears as a device, without a line of config there."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from pipeline.live.events.record import STATES
from pipeline.versions import package_version


def topic_level(camera: str) -> str:
    """A camera's name as one level of an MQTT topic: what a topic may not hold becomes ``_``, and names stay apart."""
    level = re.sub(r"[+#/$\x00-\x20\x7f]", "_", camera)
    return level if level == camera else f"{level}-{_short(camera)}"


def discovery(home: str, prefix: str, camera: str) -> dict[str, dict[str, Any]]:
    """Topic -> configuration, both to be retained.

    Args:
        home: Home Assistant's discovery prefix.
        prefix: of our topics.
        camera: its name.
    """
    level = topic_level(camera)
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", f"{prefix}_{camera}")
    node = f"{plain}_{_short(f'{prefix}/{camera}')}"
    shared = {
        "availability": [{"topic": f"{prefix}/available"}],
        "device": {
            "identifiers": [node],
            "name": camera,
            "manufacturer": "gepc-pipeline",
            "model": "watched camera",
            "sw_version": package_version(),
        },
        "origin": {"name": "gepc-pipeline", "sw_version": package_version()},
    }
    watched = {
        "topic": f"{prefix}/{level}/status",
        "value_template": "{{ 'online' if value == 'online' else 'offline' }}",
    }
    return {
        f"{home}/binary_sensor/{node}/unusual/config": {
            **shared,
            "name": "Unusual behaviour",
            "unique_id": f"{node}_unusual",
            "state_topic": f"{prefix}/{level}/unusual",
            "json_attributes_topic": f"{prefix}/{level}/event",
            "device_class": "problem",
            # Nobody is judged where the camera is lost, blind or moved: "off" would say that all is well.
            "availability": [*shared["availability"], watched],
            "availability_mode": "all",
        },
        f"{home}/sensor/{node}/status/config": {
            **shared,
            "name": "Status",
            "unique_id": f"{node}_status",
            "state_topic": f"{prefix}/{level}/status",
            "device_class": "enum",
            "options": list(STATES),
            "entity_category": "diagnostic",
        },
    }


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
