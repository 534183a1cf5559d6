"""Whatever stands in a model's card, in the list of clips or in a bundle's bytes: noticed in one line, or harmless."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomaly.bundle.card import CARD
from anomaly.bundle.files import read_bundle
from pipeline.workspace import Workspace
from pose_extract.errors import ModelError
from tests.robustness.broken_poses import FOREIGN, changed, paths_of

EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ANY = st.sampled_from(FOREIGN) | JSON
HOW = st.sampled_from(["other", "other", "other", "without", "twice"])


@pytest.fixture(scope="module")
def workspace(truth_workspace, tmp_path_factory):
    """A copy to be changed."""
    root = tmp_path_factory.mktemp("foreign") / "workspace"
    shutil.copytree(truth_workspace, root)
    return root


def _changed(data, whole):
    places = [path for path in paths_of(whole) if path and len(path) < 5]
    return changed(whole, data.draw(st.sampled_from(places)), data.draw(HOW), data.draw(ANY))


@EXAMPLES
@given(data=st.data())
def test_a_card_of_any_values_is_one_or_an_error_of_the_model(workspace, truth_workspace, data):
    path = workspace / "model" / CARD
    whole = json.loads((truth_workspace / "model" / CARD).read_text())
    for name in (CARD, "marked_threshold"):  # else any change would be noticed by these alone
        whole["digests"].pop(name, None)
    path.write_bytes(json.dumps(_changed(data, whole)).encode("utf-8", "surrogatepass"))
    try:
        with suppress(ModelError):
            read_bundle(workspace / "model")
    finally:
        shutil.copy(truth_workspace / "model" / CARD, path)


@EXAMPLES
@given(data=st.data())
def test_a_change_of_a_card_is_noticed(workspace, truth_workspace, data):
    path = workspace / "model" / CARD
    whole = json.loads((truth_workspace / "model" / CARD).read_text())
    other = _changed(data, whole)
    path.write_bytes(json.dumps(other).encode("utf-8", "surrogatepass"))
    said = {key: value for key, value in whole.items() if key != "digests"}
    says = {key: value for key, value in other.items() if key != "digests"}
    try:
        if other.get("digests") == whole["digests"] and _text(says) != _text(said):
            with pytest.raises(ModelError):
                read_bundle(workspace / "model")
    finally:
        shutil.copy(truth_workspace / "model" / CARD, path)


@EXAMPLES
@given(data=st.data())
def test_a_changed_byte_in_a_bundle_is_noticed_or_harmless(workspace, truth_workspace, data):
    sound = truth_workspace / "model"
    name = data.draw(st.sampled_from(sorted(path.name for path in sound.iterdir())))
    content = bytearray((sound / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (workspace / "model" / name).write_bytes(content)
    try:
        read_bundle(workspace / "model")
        noticed = False
    except ModelError:
        noticed = True
    finally:
        shutil.copy(sound / name, workspace / "model" / name)
    # Without its digest a card is an older one; what else is in it has not changed then.
    assert noticed or (name == CARD and _as_before(content, (sound / name).read_text()))


def _text(value):
    return json.dumps(value, sort_keys=True)


def _as_before(content, sound):
    card, whole = json.loads(content), json.loads(sound)
    return {**card, "digests": None} == {**whole, "digests": None} or "digests" not in card


@EXAMPLES
@given(data=st.data())
def test_a_list_of_clips_of_any_values_costs_no_clip(workspace, truth_workspace, data):
    path = workspace / "tracks" / "manifest.json"
    sound = Workspace(truth_workspace).entries()
    whole = json.loads((truth_workspace / "tracks" / "manifest.json").read_text())
    path.write_bytes(json.dumps(_changed(data, whole)).encode("utf-8", "surrogatepass"))
    try:
        found = {entry.clip: entry for entry in Workspace(workspace).entries()}
    finally:
        shutil.copy(truth_workspace / "tracks" / "manifest.json", path)
    assert found.keys() == {entry.clip for entry in sound}
    for entry in found.values():
        assert entry.frames >= 1
        assert 0 <= entry.coverage <= 1
        assert f"{entry.rows / entry.frames:.1f} {entry.seconds:.1f}"
