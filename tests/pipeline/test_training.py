"""What is written of a training, and what its model is compared with."""

from anomaly.bundle import read_card, save_bundle
from pipeline import training as module
from pipeline.adding import add_clip
from pipeline.settings import Settings, checked
from pipeline.training import is_trained, train
from pipeline.workspace import Workspace
from tests.helpers import walkers


def test_a_clip_that_goes_while_a_model_is_trained_does_not_cost_the_model(tmp_path, monkeypatch):
    workspace = Workspace(tmp_path)
    for i in range(2):
        clip = walkers.clip(f"walk{i}", seed=i, people=4)
        add_clip(workspace, clip, source=f"/{i}.mp4", key=str(i), estimator={"name": "truth"})
    fit = module.fit_network

    def fit_and_lose_a_clip(*args):
        learned = fit(*args)
        workspace.tracks_path("walk1").unlink()
        return learned

    monkeypatch.setattr(module, "fit_network", fit_and_lose_a_clip)
    settings = checked(walkers.TINY)
    report = train(workspace, settings, device="cpu", quiet=True, jobs=1)
    assert report is not None
    card = read_card(workspace.model)
    assert sorted(card["clips"]) == ["walk0", "walk1"]
    assert card["seen"]["fps"] == [24.0, 24.0]
    assert not is_trained(workspace, settings)  # a clip less


def test_a_model_that_says_nothing_of_its_clips_is_that_of_none(tmp_path):
    workspace = Workspace(tmp_path)
    save_bundle(walkers.trained(), workspace.model, {})
    assert not is_trained(workspace, Settings())
    assert not is_trained(workspace, checked(walkers.TINY))
