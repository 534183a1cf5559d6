import pytest

from pipeline.synthetic.clips import render_clip, simulate_clip
from pipeline.synthetic.street.scene import StreetSettings
from pose_extract.errors import WeightsError
from pose_extract.estimators.movenet.weights import ensure_weights


@pytest.fixture(scope="session")
def networks():
    """Paths of the converted networks."""
    try:
        return ensure_weights()
    except WeightsError as error:
        pytest.skip(f"MoveNet's weights cannot be had here: {error}")


@pytest.fixture(scope="session")
def street():
    """A clip of people who walk by: its first frames and its true tracks."""
    clip = simulate_clip("street", 11, StreetSettings(seconds=1.5))
    images = [image for image, _ in zip(render_clip(clip), range(12), strict=False)]
    return images, clip.truth
