"""The project's own promises: layout, dependencies with reasons, docker steps that are the Makefile's."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


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


def test_layers_import_only_downwards():
    """`pose_extract` knows nothing of `anomaly`; both know nothing of `pipeline`."""
    for package, forbidden in (("pose_extract", ("anomaly", "pipeline")), ("anomaly", ("pipeline",))):
        for path in (ROOT / package).rglob("*.py"):
            found = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
            assert not set(found) & set(forbidden), path
