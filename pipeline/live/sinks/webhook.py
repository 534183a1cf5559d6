"""Events sent to a web address: plain or as CloudEvents 1.0, with the headers of Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from pipeline.live.sinks.base import Message, NotDelivered, Refused
from pipeline.live.sinks.settings import WebhookSettings, expect_header, expect_web_address, secret
from pipeline.versions import package_version
from pose_extract.errors import ConfigError

# Answers that are about this message: another attempt would fare no better. All others may change.
_REFUSALS = frozenset((400, 413, 415, 422))
_MOST_WAIT_S = 3600.0
_MOST_ANSWER = 64 * 1024


class Webhook:
    """Sends each event by POST; 2xx is delivered, 400, 413, 415 and 422 refused, all else is tried again."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._url = secret("webhook.url", settings.url)
        expect_web_address("webhook.url", self._url, settings.url)
        self._key = _key(secret("webhook.secret", settings.secret))
        self._headers = {k: secret(f"webhook.headers.{k}", v) for k, v in settings.headers.items()}
        for name, value in self._headers.items():
            expect_header(f"webhook.headers.{name}", name, value)
        self._opener = urllib.request.build_opener(_NoRedirects)

    def deliver(self, message: Message) -> None:
        """Send it once."""
        if self._settings.format == "cloudevents":
            body = json.dumps(cloud_event(message), ensure_ascii=False).encode()
            kind = "application/cloudevents+json; charset=utf-8"
        else:
            body, kind = message.event.to_json().encode(), "application/json"
        headers = {
            "Content-Type": kind,
            "User-Agent": f"gepc-pipeline/{package_version()}",
            **self._headers,
            **signature_headers(message.id, body, self._key, int(time.time())),
        }
        request = urllib.request.Request(self._url, data=body, headers=headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._settings.timeout_s) as answer:
                answer.read(_MOST_ANSWER)
        except urllib.error.HTTPError as error:
            with error:
                text = f"answered {error.code} {error.reason}"
            if error.code in _REFUSALS:
                raise Refused(text) from error
            if 300 <= error.code < 400:
                text += f"; it names {error.headers.get('Location')}, put that into the config"
            raise NotDelivered(text, _retry_after(error.headers.get("Retry-After"))) from error
        except (
            OSError,
            http.client.HTTPException,
        ) as error:  # refused, unreachable, no answer in time, no HTTP
            reason = getattr(error, "reason", error)
            raise NotDelivered(str(reason) or type(error).__name__) from error

    def tell(self, stats: dict[str, Any]) -> None:
        """A webhook gets events only."""

    def close(self) -> None:
        """Nothing is kept open."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET without its body: the event would be lost as if delivered."""

    def redirect_request(self, *_: Any) -> None:
        return None


def cloud_event(message: Message) -> dict[str, Any]:
    """The event in a CloudEvents 1.0 envelope, structured mode."""
    event = message.event
    return {
        "specversion": "1.0",
        "id": message.id,
        "source": f"/gepc-pipeline/{quote(event.camera, safe='')}",
        "type": f"gepc.{event.kind}.{event.type}",
        "subject": event.id,
        "time": (event.end_time or event.start_time).isoformat(timespec="milliseconds"),
        "datacontenttype": "application/json",
        "data": event.to_dict(),
    }


def signature_headers(message_id: str, body: bytes, key: bytes, seconds: int) -> dict[str, str]:
    """Headers by which the receiver knows a repetition, an old message and a forged one.

    Args:
        message_id: the same in every attempt.
        body: exactly what is sent.
        key: of HMAC-SHA256; empty: no signature.
        seconds: the time of sending since 1970.
    """
    headers = {"webhook-id": message_id, "webhook-timestamp": str(seconds)}
    if key:
        signed = f"{message_id}.{seconds}.".encode() + body
        digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        headers["webhook-signature"] = f"v1,{digest}"
    return headers


def _key(text: str) -> bytes:
    """The bytes of a secret: after ``whsec_`` it is Base64, as Standard Webhooks has it, else the text itself."""
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ConfigError("config: webhook.secret: expected Base64 after whsec_") from error


def _retry_after(value: str | None) -> float:
    """Seconds from now of a Retry-After header, which has seconds or a date; 0 of any other."""
    if value is None:
        return 0.0
    if value.isdecimal():
        return min(float(value), _MOST_WAIT_S)
    try:
        until_s = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(until_s - time.time(), 0.0), _MOST_WAIT_S)
