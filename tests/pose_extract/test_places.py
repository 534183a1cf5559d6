from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_extract.errors import OutputError
from pose_extract.files import write_atomically
from pose_extract.places import check_outputs


@pytest.mark.parametrize("given_as", ["itself", "a link", "a hard link", "another way"])
def test_an_output_that_is_an_input_is_refused_however_it_is_named(tmp_path, given_as):
    real = tmp_path / "tracks.npz"
    real.write_text("")
    output = real
    if given_as == "a link":
        output = tmp_path / "link"
        output.symlink_to(real)
    elif given_as == "a hard link":
        output = tmp_path / "hard"
        output.hardlink_to(real)
    elif given_as == "another way":
        output = tmp_path / ".." / tmp_path.name / "tracks.npz"
    with pytest.raises(OutputError, match="is the tracks"):
        check_outputs([("scores", output)], [("tracks", real)])


def test_an_output_is_refused_that_would_overwrite_a_file_in_a_folder_that_is_read(tmp_path):
    (tmp_path / "masks.npy").write_text("")
    with pytest.raises(OutputError, match=r"lies in .* which is the masks"):
        check_outputs([("scores", tmp_path / "masks.npy")], [("masks", tmp_path)])
    check_outputs([("scores", tmp_path / "new.csv")], [("masks", tmp_path)])


def test_nothing_is_added_to_a_models_bundle(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for name in ("card.json", "normality.npz"):
        (model / name).write_text("")
    with pytest.raises(OutputError, match=r"lies in .* which is the model"):
        check_outputs([("scores", model / "weights")], [("model", model)])
    for place in (model / "scores.csv", model / "tracks" / "a.npz"):  # whoever writes, whatever was checked
        with pytest.raises(OutputError, match=r"is a model's folder; name another place"):
            write_atomically(place, b"")
    assert sorted(path.name for path in model.rglob("*")) == ["card.json", "normality.npz"]
    with pytest.raises(OutputError, match=r"is a model's folder; name another place"):
        write_atomically(model / "card.json", b"new")
    write_atomically(model / "card.json", b"new", into_model=True)
    write_atomically(tmp_path / "beside.csv", b"")


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=5), st.sampled_from("abcde"))
def test_outputs_are_accepted_exactly_if_all_are_different_and_none_is_an_input(outputs, read):
    fine = len(set(outputs)) == len(outputs) and read not in outputs
    named = [("output", Path("nowhere") / name) for name in outputs]
    try:
        check_outputs(named, [("input", Path("nowhere") / read)])
    except OutputError:
        assert not fine
    else:
        assert fine
