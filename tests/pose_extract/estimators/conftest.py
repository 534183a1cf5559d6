import pytest

from pipeline.synthetic.clips import render_clip, simulate_clip
from pipeline.synthetic.street.scene import StreetSettings


@pytest.fixture(scope="session")
def street():
    """A clip of people who walk by: its first frames and its true tracks."""
    clip = simulate_clip("street", 11, StreetSettings(seconds=1.5))
    images = [image for image, _ in zip(render_clip(clip), range(12), strict=False)]
    return images, clip.truth
