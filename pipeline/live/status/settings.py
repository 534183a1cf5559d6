"""Where `watch` may be asked how it is: the section ``status`` of `watch.yaml`."""

from __future__ import annotations

from dataclasses import dataclass

from pose_extract.checking import expect_between
from pose_extract.errors import ConfigError


@dataclass(frozen=True)
class StatusSettings:
    """A small web server with ``/metrics`` for Prometheus and ``/healthz`` for whoever starts and stops services.

    Attributes:
        port: 0: there is no server.
        host: the address that it listens at; by default this machine only, since nobody has to log in.
        stalled_after_s: where no camera's frames were looked at for so long, ``/healthz`` says that it does not live.
    """

    port: int = 0
    host: str = "127.0.0.1"
    stalled_after_s: float = 30.0

    def __post_init__(self) -> None:
        expect_between("status", self, 0, 65535, "port")
        expect_between("status", self, 1, 3600, "stalled_after_s")
        if not self.host:
            raise ConfigError("config: status.host: expected an address, got an empty text")
