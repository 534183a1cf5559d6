"""The pictures of README and docs were made by the code that is here."""

import json

from documentation.pictures import IMAGES, PICTURES, made_from
from tests.helpers import ROOT


def test_the_pictures_are_current():
    kept = json.loads((IMAGES / "made.json").read_text())
    old = [name for name, digest in made_from().items() if kept.get(name) != digest]
    assert not old, f"{', '.join(old)} changed since the pictures were made: make pictures, then look at them"


def test_every_picture_is_shown_and_every_one_that_is_shown_is_made():
    text = "".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert {path.name for path in IMAGES.iterdir()} == {*PICTURES, "made.json"}
    for name in PICTURES:
        assert f"images/{name})" in text
