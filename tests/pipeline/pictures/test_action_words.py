import cv2
import numpy as np
import pytest

from anomaly.scoring.model import Model
from anomaly.settings import settings_from_dict
from pipeline.pictures.action_words import draw_words, write_words
from pose_extract.errors import ModelError, OutputError


def model_of(windows, words=4, empty=(), **sections):
    """A model that only has words, ``empty`` ones without windows; bodies drift to the right and upwards."""
    settings = settings_from_dict({"windows": windows, "clustering": {"clusters": words}, **sections})
    shape = (settings.windows.channels, settings.windows.frames, settings.windows.body.num_joints)
    x = np.random.default_rng(0).normal(size=(words, 3, *shape)).astype(np.float32)
    x[:, :, 0] += np.linspace(0, 2, shape[1])[:, None]
    if settings.windows.confidence:
        x[:, :, -1] = 1
    x[list(empty)] = np.nan
    shares = np.arange(1.0, words + 1) / np.arange(1.0, words + 1).sum()
    return Model(settings, None, facts={"cluster_shares": shares.tolist()}, words=x)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def draw(model):
    filled = [(k + 1, s, model.words[k]) for k, s in enumerate(model.facts["cluster_shares"])]
    return draw_words(filled, model, len(filled))


@pytest.mark.parametrize(
    "windows",
    [
        {},
        {"skeleton": "coco17", "features": "xy"},
        {"skeleton": "ntu25", "features": "xyz"},
        {"skeleton": "ntu25", "features": "xyz", "extent": "clip", "people": 2, "frames": 48},
        {"skeleton": "halpe26", "features": "xyc"},
        {"frames": 300, "extent": "clip"},
    ],
)
def test_words_of_any_skeleton_are_drawn(windows, tmp_path):
    identity = {"training": {"transforms": ["identity"]}}
    assert write_words(tmp_path / "new" / "words.png", model_of(windows, **identity)) == 4
    picture = cv2.imread(str(tmp_path / "new" / "words.png"))
    assert min(picture.shape[:2]) > 300
    assert (picture != 255).any(axis=2).mean() > 0.02


def test_a_row_names_its_word_and_its_share_the_most_used_first(tmp_path, monkeypatch):
    import pipeline.pictures.action_words as module

    seen = []
    monkeypatch.setattr(
        module, "draw_words", lambda words, *rest: seen.append(words) or draw_words(words, *rest)
    )
    write_words(tmp_path / "w.png", model_of({}))
    assert [number for number, _, _ in seen[0]] == [4, 3, 2, 1]
    shown = texts(draw_words(seen[0], model_of({}), 4))
    assert "word 4" in shown
    assert "40.0 % of windows" in shown


def test_words_that_are_nobodys_are_left_out(tmp_path):
    assert write_words(tmp_path / "w.png", model_of({}, empty=(0, 2))) == 2


def test_many_words_are_drawn_as_far_as_a_person_looks(tmp_path):
    model = model_of({}, words=60)
    assert write_words(tmp_path / "w.png", model) == 60
    assert cv2.imread(str(tmp_path / "w.png")).shape[0] < 6000


def test_left_limbs_right_limbs_and_the_way_of_the_body_can_be_told(tmp_path):
    from matplotlib.colors import to_rgb

    write_words(tmp_path / "w.png", model_of({}))
    picture = cv2.imread(str(tmp_path / "w.png"))[250:, :, ::-1].astype(float) / 255  # below the heading
    from pipeline.pictures.action_words import LEFT, RIGHT

    for colour in (LEFT, RIGHT):
        assert (np.abs(picture - to_rgb(colour)).max(axis=2) < 0.05).sum() > 100
    assert (
        sum(
            bool(text.arrow_patch)
            for text in draw(model_of({})).axes[0].texts
            if hasattr(text, "arrow_patch")
        )
        >= 8
    )


def test_joints_that_nobody_saw_are_not_drawn(tmp_path):
    model = model_of({})
    model.words[:, :, -1] = 0
    bare = draw(model)
    assert not bare.axes[0].collections
    write_words(tmp_path / "w.png", model)


def test_a_name_that_is_no_pictures_is_an_error_that_says_which_are(tmp_path):
    from pipeline.outputs import Outputs

    with pytest.raises(OutputError, match=r"\.png"):
        write_words(tmp_path / "words.xyz", model_of({}))
    with pytest.raises(OutputError, match=r"\.png"):
        Outputs(tmp_path / "s.csv", plot=tmp_path / "plot.mp4").check()


def test_a_model_without_typical_windows_says_what_to_do(tmp_path):
    model = model_of({})
    model.words = None
    with pytest.raises(ModelError, match="train it again"):
        write_words(tmp_path / "w.png", model)
