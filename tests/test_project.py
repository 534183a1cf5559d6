"""The project's own promises: layout, dependencies with reasons, docker steps that are the Makefile's."""

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helpers import ROOT


def makefile_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_makefile_has_the_promised_commands():
    assert {"install", "demo", "test", "check", "bench"} <= makefile_targets()


def test_every_dependency_states_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    extras = [d for group in project["optional-dependencies"].values() for d in group]
    for dependency in (*project["dependencies"], *extras):
        line = next(line for line in text.splitlines() if f'"{dependency}",' in line)
        assert re.search(r"# \S", line), f"no reason given for {dependency}"


@pytest.mark.parametrize("name", ["Dockerfile.cpu", "Dockerfile.cuda"])
def test_docker_images_are_made_by_the_makefile(name):
    steps = re.findall(r"PIP_NO_CACHE_DIR=1 make ([a-z-]+)", (ROOT / "docker" / name).read_text())
    assert {"install", "openmmlab"} & set(steps)  # the second needs the first
    assert set(steps) <= makefile_targets()


def test_compose_runs_makefile_targets_in_images_that_exist():
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    for service in services.values():
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        if service.get("entrypoint", [""])[0] == "make":
            assert set(service["command"]) <= makefile_targets()


PACKAGES = ("pose_extract", "anomaly", "pipeline", "documentation", "benchmarks")

# The floors of the house, lowest first: rooms of a floor import only from floors below it. See ARCHITECTURE.md.
FLOORS = {
    "pose_extract": (
        ("errors",),
        ("checking", "places", "devices"),
        ("files",),
        ("skeletons", "tables"),
        ("tracks",),
        ("video", "tracking", "patches", "estimators"),
        ("things",),
        ("formats",),
    ),
    "anomaly": (
        ("settings", "runtime", "evaluation"),
        ("data", "networks"),
        ("normality",),
        ("scoring",),
        ("training", "bundle"),
        ("baselines",),
    ),
    "pipeline": (
        ("versions", "defaults", "processes", "builtin"),
        ("workers",),
        ("workspace", "progress", "events", "labels", "synthetic"),
        ("adding", "settings", "pictures", "patches"),
        ("following", "scoring"),
        ("extraction", "training", "doctor"),
        ("io", "evaluation", "review", "outputs"),
        ("live",),
        ("api",),
        ("datasets", "demo"),
        ("experiments",),
        ("commands",),
        ("cli",),
    ),
    "documentation": (("markdown",), ("settings", "commands", "formats", "pictures"), ("site",)),
    "benchmarks": (("helpers",),),
}

MOST_LINES, MOST_FILES = 350, 12


@functools.cache
def sources() -> dict[str, Path]:
    """Module -> its file, of everything but the tests."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


@functools.cache
def imports() -> dict[str, set[str]]:
    """Module -> the project's modules that it imports anywhere: lazily and for the type checker only, too."""
    found: dict[str, set[str]] = {}
    for module, path in sources().items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {
                    inner if (inner := f"{node.module}.{alias.name}") in sources() else node.module
                    for alias in node.names
                }
        found[module] = {name for name in names if name in sources() and name != module}
    return found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The sets of modules each of which leads back to itself (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph.get(module, ())):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1:
                found.append(sorted(circle))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return found


def floor_of(module: str) -> tuple[int, int, str]:
    """The package's number, the floor within it (a package's own face is on its roof), and the room."""
    package, *rest = module.split(".")
    floors = FLOORS[package]
    room = rest[0] if rest else ""
    for number, rooms in enumerate(floors):
        if room in rooms:
            return PACKAGES.index(package), number, room
    if package == "benchmarks" or not room:
        return PACKAGES.index(package), len(floors), room
    raise AssertionError(f"{module} stands on no floor: add its folder to FLOORS and to ARCHITECTURE.md")


def test_no_module_imports_itself_by_a_detour():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    found = circles(imports())
    arrows = [f"{a} -> {b}" for circle in found for a in circle for b in sorted(imports()[a] & set(circle))]
    assert not found, "modules import each other:\n" + "\n".join(arrows)


def test_contributing_names_what_is_there():
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text().split())
    for path in re.findall(r"`([\w/.-]+/[\w.-]+)`", text):
        assert (ROOT / path).exists() or "NAME" in path, path
    found = re.findall(r"`(\w+)`(?:'s methods)? \(`(\w+/[\w/]+\.py)`", text)
    assert len(found) > 5
    for name, path in found:
        assert re.search(rf"\b{name}\b", (ROOT / path).read_text()), f"there is no {name} in {path}"


def test_imports_lead_to_lower_floors_only():
    wrong = []
    for module, others in imports().items():
        here = floor_of(module)
        for other in sorted(others):
            there = floor_of(other)
            if here[0] == there[0] == PACKAGES.index("benchmarks"):
                continue  # measurements use each other
            if there[::2] != here[::2] and there[:2] >= here[:2]:
                wrong.append(f"{module} -> {other}")
    assert not wrong, "imports that lead upwards or sideways:\n" + "\n".join(wrong)


def test_a_file_is_read_in_one_go():
    long = {m: n for m, path in sources().items() if (n := len(path.read_text().splitlines())) > MOST_LINES}
    assert not long, f"more than {MOST_LINES} lines: {long}"


def test_a_folder_with_many_files_says_why():
    for folder in {path.parent for path in sources().values()}:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        purpose = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        assert purpose, f"{folder.relative_to(ROOT)}: its __init__.py says nothing of what it is for"
        assert len(files) <= MOST_FILES or "Many files:" in purpose, (
            f"{folder.relative_to(ROOT)} has {len(files)} files; divide it, or say why in its __init__.py"
        )


def test_architecture_names_every_room_and_only_files_that_exist():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    outside = ("benchmarks", "documentation")
    rooms = {m.split(".")[1] for m in sources() if m.count(".") and not m.startswith(outside)}
    missing = {room for room in rooms if f"`{room}`" not in text and f"{room}/" not in text}
    assert not missing, f"ARCHITECTURE.md says nothing of {sorted(missing)}"
    for paths in re.findall(r"`((?:anomaly|pipeline|pose_extract|tests|benchmarks)/[\w/{},.*]+)`", text):
        head, brace, rest = paths.partition("{")
        inner, _, tail = rest.partition("}")
        for name in inner.split(",") if brace else [""]:
            path = f"{head}{name}{tail}"
            assert list(ROOT.glob(path)), f"ARCHITECTURE.md: there is no {path}"


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def slugs(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in slugs(target)):
            dead.append(link)
    assert not dead
