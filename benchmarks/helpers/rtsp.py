"""An RTSP server on loopback in a process of its own, which can be frozen, killed and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class RtspServer:
    """Serves a folder of mp4 files, each for ever: ``server.url("door")`` plays ``door.mp4`` from its beginning."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._child: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        """Address of a file's endless repetition."""
        return f"rtsp://127.0.0.1:{self.port}/{name}.mp4?play_count=0"

    def start(self) -> None:
        """Begin to serve; returns when it can be connected to."""
        code = (
            "import asyncio, aio_rtsp_toolkit.server as s\n"
            f"asyncio.run(s.serve({str(self.folder)!r}, '127.0.0.1', {self.port}))"
        )
        self._child = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, "the RTSP server does not start"
                time.sleep(0.05)

    def freeze(self) -> None:
        """Let it stop in the middle of what it does, connections open."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self.thaw()
        self.kill()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
