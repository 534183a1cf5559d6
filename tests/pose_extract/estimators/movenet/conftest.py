import pytest

from pose_extract.errors import WeightsError
from pose_extract.estimators.movenet.weights import ensure_weights


@pytest.fixture(scope="session")
def networks():
    """Paths of the converted networks."""
    try:
        return ensure_weights()
    except WeightsError as error:
        pytest.skip(f"MoveNet's weights cannot be had here: {error}")
