"""Answer ``/metrics`` and ``/healthz`` while `watch` runs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pose_extract.errors import UsageError

logger = logging.getLogger(__name__)

_SLOW_S = 10.0  # a client that takes longer to ask is let go


class StatusServer:
    """A web server in threads of its own, which never stops `watch`.

    Args:
        host: the address to listen at.
        port: 0 takes any free one.
        health: gives whether `watch` lives, and an object that says more.
        metrics: gives the text and its content type.

    Attributes:
        port: the one that is listened at.

    Raises:
        UsageError: the address cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        health: Callable[[], tuple[bool, dict[str, Any]]],
        metrics: Callable[[], tuple[bytes, str]],
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = _SLOW_S
            server_version, sys_version = "gepc-pipeline", ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                try:
                    if path == "/healthz":
                        alive, said = health()
                        self._answer(200 if alive else 503, json.dumps(said).encode(), "application/json")
                    elif path == "/metrics":
                        self._answer(200, *metrics())
                    else:
                        self._answer(404, b"there are /metrics and /healthz\n", "text/plain; charset=utf-8")
                except OSError:
                    pass  # who asked is gone
                except Exception as error:
                    logger.error("%s failed", path, exc_info=error)
                    self._answer(500, b"see the log\n", "text/plain; charset=utf-8")

            do_HEAD = do_GET

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, form: str, *values: Any) -> None:
                logger.debug(form, *values)

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"cannot listen at {host}:{port}: {reason}; name another port") from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="status", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2)
