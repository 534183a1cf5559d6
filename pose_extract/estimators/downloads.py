"""Fetch published weights on first use into the user's cache folder: resumed after a cut, and checked.

A file is put in place by renaming when it is whole: whoever finds it may use it. Files put there by hand are as good.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urldefrag, urlsplit

from filelock import FileLock, Timeout

from pose_extract.errors import WeightsError

logger = logging.getLogger(__name__)

_BLOCK = 1 << 18
_TIMEOUT_S = 30.0
_PAUSE_S = 1.0  # before a broken connection is tried again
_LOG_EVERY_S = 10.0
_MB = 1e6


Watch = Callable[[str, float | None], AbstractContextManager[Callable[[float], object]]]
"""Shows a download while its block runs. Gets the file's name and its size in MB, if known; what it gives is called
with the MB that are there so far."""


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """Let ``watch`` show the downloads within the block, in the place of lines in the log."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def cached(url: str, folder: Path | None = None) -> Path:
    """Where `fetch` keeps the file of this address, there or not."""
    name = unquote(urlsplit(url).path).replace("\\", "/").rpartition("/")[2]
    if name in ("", ".", ".."):
        raise WeightsError(f"expected the address of a file, got {url!r}")
    return (folder or weights_folder()) / name


def is_whole(path: Path, url: str) -> bool:
    """Whether the file is there and, as far as its name or ``url`` tells a hash, the published one."""
    try:
        return _is_published(path, url)
    except OSError:
        return False


def fetch(url: str, folder: Path | None = None) -> Path:
    """Return the path of the file at ``url``; download it if it is not there or not the published one.

    Where the file's name carries the beginning of its SHA-256, as OpenMMLab's do (``…-e48f03d0_20230504.pth``), it is
    checked every time: a second for a GB. ``#sha256=…`` at the end of ``url`` says the hash where the name says none
    or a wrong one; ``#sha256=`` alone, that there is nothing to check against.

    Safe to call from several processes at once: one downloads, the others wait. Proxies are those of the environment.

    Args:
        url: an http or https address.
        folder: where to keep the file; `weights_folder` if not given.

    Raises:
        WeightsError: the file is not there and cannot be fetched, or what was fetched is not the published file.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise WeightsError(f"weights are fetched from http and https addresses only, got {url!r}")
    target = cached(url, folder)
    if is_whole(target, url):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            if is_whole(target, url):  # another process has fetched it meanwhile
                return target
            if target.exists():
                logger.warning("%s is not the published file; it is fetched again", target)
            _download(url, target)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else error.strerror or str(error)
        raise WeightsError(
            f"cannot keep {target.name} in {target.parent}: {what}. "
            "Make room or make the folder writable, or set GEPC_CACHE_DIR to another folder."
        ) from error
    return target


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Wait until no other process fetches this file."""
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("another process fetches %s; waiting for it", target.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(url: str, target: Path) -> None:
    """Fetch the file and move it into place; what is not the published file is fetched once more."""
    part = target.with_name(target.name + ".part")
    for last in (False, True):
        _transfer(url, part, target)
        _tag_file(part).unlink(missing_ok=True)
        if _is_published(part, url):
            os.replace(part, os.path.realpath(target))
            return
        found = _sha256(part)
        part.unlink()
        if not last:
            logger.warning("what arrived is not the published %s; it is fetched again", target.name)
    raise WeightsError(
        f"{url}\n  does not serve the published {target.name}: its SHA-256 begins with "
        f"{' or '.join(_hashes(url))}, that of what was fetched twice is {found}.\n"
        "  A proxy or a mirror may have put something else in its place. If you know the file to be right, fetch it "
        "by hand and give its path as the checkpoint."
    )


def _transfer(url: str, part: Path, target: Path) -> None:
    """Bring ``part`` to its full length, from where it stands; goes on after cuts as long as bytes come in."""
    logger.info("fetching %s into %s (once)", target.name, target.parent)
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(url, part, target):
                return
            reason: object = "the connection broke"
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, _WriteError):
                raise OSError(error.errno, error.strerror) from error
            if isinstance(error, urllib.error.HTTPError):
                _unavailable(url, target, f"the server answered {error.code} {error.reason}", error)
            reason = getattr(error, "reason", None) or error
        if not part.exists() or part.stat().st_size <= before:
            _unavailable(url, target, reason)
        logger.info("%s: %s; going on where it stopped", target.name, reason)
        time.sleep(_PAUSE_S)


def _receive(url: str, part: Path, target: Path) -> bool:
    """One request for what ``part`` lacks; returns whether it has its full length then."""
    request = urllib.request.Request(urldefrag(url).url, headers={"User-Agent": "gepc-pipeline"})
    tag = _tag_file(part)
    start = part.stat().st_size if part.exists() else 0
    if start and tag.exists():
        # With If-Range, a server whose file has changed since sends the new one from its start.
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", tag.read_text(encoding="latin-1"))
    try:
        # Made anew each time: it takes the proxies from the environment as that is now.
        response = urllib.request.build_opener(_Redirects).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        if error.headers.get("Content-Range", "").endswith(f"/{start}"):
            return True  # it was whole, but for the renaming
        part.unlink()
        return _receive(url, part, target)
    with response:
        if response.headers.get_content_type() == "text/html":
            _unavailable(url, target, "a web page came in its place; does the network want a log-in?")
        length = response.headers.get("Content-Length")
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise http.client.HTTPException("the server sent another part of the file than was asked for")
        else:
            start = 0
            with _writing():
                tag.unlink(missing_ok=True)
                part.unlink(missing_ok=True)
                if validator := _validator(response.headers):
                    tag.write_text(validator, encoding="latin-1")
        total = start + int(length) if length else None
        if total is not None and shutil.disk_usage(part.parent).free < total - start:
            raise _WriteError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with _watch.get()(target.name, total and total / _MB) as update, part.open("ab") as out:
            while block := response.read(_BLOCK):
                with _writing():
                    out.write(block)
                start += len(block)
                update(start / _MB)
            with _writing():
                out.flush()
                os.fsync(out.fileno())
    return total is None or start >= total


class _WriteError(OSError):
    """The disk's fault, not the network's."""


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _WriteError(error.errno, error.strerror) from error


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows only where the connection stays as safe as it was."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("https", req.type):
            raise urllib.error.URLError(f"the server points to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _validator(headers: Any) -> str | None:
    """What tells this version of the file from others, as If-Range wants it."""
    tag: str | None = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _unavailable(url: str, target: Path, reason: object, cause: BaseException | None = None) -> NoReturn:
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    raise WeightsError(
        f"{target.name} is {'damaged' if target.exists() else 'not'} in {target.parent} and could not be fetched.\n"
        f"  address: {urldefrag(url).url}\n  reason: {text}\n"
        "  With a connection (a proxy is taken from the variable https_proxy), run the command again: what has "
        "arrived is kept.\n"
        "  Without one, fetch the file at this address on another machine and put it into the folder above under its "
        "own name (`gepc-pipeline doctor --offline` lists all that are missing).\n"
        "  The variable GEPC_CACHE_DIR sets another folder."
    ) from cause


def _hashes(url: str) -> tuple[str, ...]:
    """The hex digits that the SHA-256 of the file may begin with; none if nothing is known."""
    name, fragment = cached(url).name, urlsplit(url).fragment
    # A part of the name of 8 or more hex digits; a date looks like one.
    date = r"20[1-3]\d[01]\d[0-3]\d(?![0-9a-f])"
    named = tuple(re.findall(rf"(?<![0-9A-Za-z])(?!{date})[0-9a-f]{{8,64}}(?=[-_.]|$)", name))[-1:]
    if not fragment.startswith("sha256="):
        return named
    stated = fragment.removeprefix("sha256=").lower()
    return (stated, *named) if stated else ()


def _is_published(path: Path, url: str) -> bool:
    hashes = _hashes(url)
    if not hashes:
        return path.is_file()
    return _sha256(path).startswith(hashes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _log(name: str, total: float | None) -> Iterator[Callable[[float], object]]:
    """Say in the log now and then how far a download is."""
    next_line = time.monotonic() + _LOG_EVERY_S

    def update(done: float) -> None:
        nonlocal next_line
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + _LOG_EVERY_S
            logger.info("fetching %s: %.0f%s MB", name, done, f" of {total:.0f}" if total else "")

    yield update


_watch: ContextVar[Watch] = ContextVar("watch", default=_log)


def weights_folder() -> Path:
    """Where the networks are kept: ``$GEPC_CACHE_DIR``, else ``$XDG_CACHE_HOME/gepc-pipeline``, then ``weights``."""
    if own := os.environ.get("GEPC_CACHE_DIR"):
        return Path(own).expanduser() / "weights"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gepc-pipeline" / "weights"
