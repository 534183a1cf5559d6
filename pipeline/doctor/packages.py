"""Check the packages that gepc-pipeline asks for: installed or not, which version, whether they work."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.doctor.facts import Fact, State
from pipeline.doctor.probes import Trial

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# The module to import where it is not called like its package: the one that loads the package's binary part.
_MODULES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "ffmpeg-python": "ffmpeg",
    "imageio-ffmpeg": "imageio_ffmpeg",
    "mmcv-lite": "mmcv",  # as does mmcv, with compiled operators
    "opencv-python": "cv2",
    "paho-mqtt": "paho.mqtt.client",
    "pillow": "PIL.Image",
    "pyyaml": "yaml",
    "safetensors": "safetensors.torch",
    "scikit-learn": "sklearn.mixture",
    "scipy": "scipy.optimize",
    "setuptools": "pkg_resources",  # what mmengine needs of it
}
_LEFT_OUT = ("dev", "docs")  # extras that only developers need


@dataclass(frozen=True)
class Package:
    """A package that gepc-pipeline asks for.

    Attributes:
        name: its name on the package index.
        extra: the extra that asks for it; "" if it is always needed.
        asked: the versions that will do, "" for any.
        version: the one installed, "" if there is none.
        state: "fits", "other" (not a version asked for), "missing", or "damaged" (its metadata cannot be read).
    """

    name: str
    extra: str
    asked: str
    version: str
    state: Literal["fits", "other", "missing", "damaged"]

    @property
    def module(self) -> str:
        """The module that shows whether it works."""
        return _MODULES.get(self.name, self.name.replace("-", "_"))

    @property
    def install(self) -> str:
        """The line that installs it."""
        return f'{pip()} install "{self.name}{self.asked}"'


def packages() -> list[Package]:
    """Every package asked for, those always needed first, then by extra; raises PackageNotFoundError.

    The metadata of the installed gepc-pipeline says which: the same lines as in pyproject.toml.
    """
    from packaging.requirements import Requirement

    found = []
    for line in requires("gepc-pipeline") or []:
        requirement = Requirement(line)
        extra = _extra(requirement)
        if extra is not None and extra not in _LEFT_OUT:
            asked = ",".join(sorted(map(str, requirement.specifier), reverse=True))  # >= before <
            found.append(look_at(requirement.name, asked, extra))
    return sorted(found, key=lambda package: (package.extra, package.name))


def look_at(name: str, asked: str, extra: str = "") -> Package:
    """How one package stands."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        version = distribution(name).version
        fits = SpecifierSet(asked).contains(Version(version), prereleases=True)
    except PackageNotFoundError:
        return Package(name, extra, asked, "", "missing")
    except (InvalidVersion, TypeError, KeyError, OSError, ValueError):  # what a torn METADATA leads to
        return Package(name, extra, asked, "", "damaged")
    return Package(name, extra, asked, version, "fits" if fits else "other")


def pip() -> str:
    """What to type for the pip of this Python: ``pip`` if that is the first in PATH, else the long form."""
    beside = Path(sys.executable).parent
    first = shutil.which("pip")
    if first is not None and Path(first).parent == beside:
        return "pip"
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{python} -m pip"


def install_extra(extra: str) -> str:
    """The line that installs an extra with the pip of this Python."""
    from pose_extract.estimators.openmmlab.compat import INSTALL

    line = INSTALL if extra == "openmmlab" else f'pip install "gepc-pipeline[{extra}]"'
    return line.replace("pip install", f"{pip()} install")


def needed_facts(found: list[Package], trials: dict[str, Trial]) -> Iterator[Fact]:
    """A fact for each package that is always needed; ``trials`` are the imports of their modules."""
    for package in found:
        if package.extra:
            continue
        error = trials[package.module].error
        if package.state == "fits" and error:
            yield Fact(
                package.name,
                "gap",
                f"{package.version}, but its import fails: {error}",
                _mend(package, error, found),
            )
        else:
            yield _fact(package, "gap" if error else "note", not error)


def of_extra(extra: str, found: list[Package]) -> list[Package]:
    """The packages of an extra, with mmpose, which comes by itself."""
    from pose_extract.estimators.openmmlab.compat import INSTALL

    mine = [package for package in found if package.extra == extra]
    if extra == "openmmlab":
        name, _, version = INSTALL.split()[-1].partition("==")
        mine.append(look_at(name, f"=={version}", extra))
    return mine


def extra_facts(extra: str, found: list[Package], missing: State) -> Iterator[Fact]:
    """A fact for each package of an extra; ``missing`` is what it means if one is not there."""
    for package in of_extra(extra, found):
        fact = _fact(package, missing if package.state == "missing" else "note", _is_there(package.module))
        whole = package.state == "missing" and fact.mend
        yield replace(fact, mend=(install_extra(extra),)) if whole else fact


def reinstall(found: list[Package]) -> str:
    """The line that brings packages again, in the versions that are there if those fit."""
    wanted = [f"{p.name}=={p.version}" if p.state == "fits" else f'"{p.name}{p.asked}"' for p in found]
    return f"{pip()} install --force-reinstall --no-deps {' '.join(wanted)}"


def _fact(package: Package, bad: State, module_is_there: bool) -> Fact:
    if package.state == "fits":
        return Fact(package.name, "ok", package.version)
    if package.state == "missing" and module_is_there:
        return Fact(package.name, "ok", f"module {package.module} comes from another package")
    text = {
        "other": f"{package.version}, expected {package.asked}",
        "missing": f"not installed, expected {package.asked or 'any version'}",
        "damaged": "its metadata is damaged",
    }[package.state]
    line = reinstall([package]) if package.state == "damaged" else package.install
    return Fact(package.name, bad, text, (line,))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _mend(package: Package, error: str, found: list[Package]) -> tuple[str, ...]:
    """What mends a package that is installed and cannot be imported; nothing if another one's line does."""
    lacks = re.match(r"ModuleNotFoundError: No module named '(\w+)", error)
    if lacks is None or lacks[1] == package.module.partition(".")[0]:
        return (_system_library(error) or reinstall([package]),)
    if any(other.state == "missing" and other.module.partition(".")[0] == lacks[1] for other in found):
        return ()
    return (package.install,)  # which also brings what it asks for itself


def _system_library(error: str) -> str:
    """The line that brings a shared library of the system that an import error names; "" if it names none."""
    if shutil.which("apt-get") and any(name in error for name in ("libGL.so", "libgthread", "libglib")):
        return "sudo apt-get install -y libgl1 libglib2.0-0"
    return ""


def _extra(requirement: Requirement) -> str | None:
    """The extra that asks for a requirement, "" if it is always needed; None if it is not for this platform."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return ""
    extras = distribution("gepc-pipeline").metadata.get_all("Provides-Extra") or []
    wanted = [name for name in extras if name not in _LEFT_OUT]
    return next((name for name in wanted if marker.evaluate({"extra": name})), None)
