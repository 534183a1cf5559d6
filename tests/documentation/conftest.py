"""A config whose pose estimator sees people in any video."""

import pytest

from tests.helpers.scarecrow import install_estimators
from tests.integration.test_run_command import POSES


@pytest.fixture(scope="module")
def walking(tmp_path_factory):
    """A config whose estimator sees the walkers."""
    folder = tmp_path_factory.mktemp("walking")
    install_estimators(folder / "site", "replay_poses", POSES, replay="Replay")
    (folder / "walking.yaml").write_text("_base_: default\npose: {estimator: replay}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "site")
        patch.setenv("PYTHONPATH", str(folder / "site"))  # for processes of several videos at a time
        patch.setenv("GEPC_CONFIG", str(folder / "walking.yaml"))
        yield patch
