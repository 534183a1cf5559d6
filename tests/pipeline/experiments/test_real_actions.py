"""The coarse-grained experiment on real clips, no part of the project: GEPC_SAMPLE_DATA says where they are."""

from __future__ import annotations

import numpy as np
import pytest

from anomaly.data.windows import make_windows
from benchmarks import action_data
from benchmarks.helpers.real_data import sample_data
from pipeline.experiments.methods.coarse import Coarse, Task
from pipeline.experiments.settings import load_experiment

DATA = sample_data()
pytestmark = pytest.mark.skipif(
    DATA is None or not (DATA / "actions").is_dir(), reason="GEPC_SAMPLE_DATA names no real clips of actions"
)


@pytest.mark.parametrize(
    ("name", "clips", "actions", "joints"),
    [("utd_mhad", 861, 27, 20), ("nw_ucla", 1484, 10, 20), ("jhmdb", 609, 14, 15)],
)
def test_clips_are_people_with_limbs_and_a_window_each_unless_they_are_too_short(
    name, clips, actions, joints
):
    its = action_data.RealActions(name, DATA).clips(0)
    both = (*its.train, *its.test)
    assert (len(both), {clip.action for clip in both}) == (clips, set(range(actions)))
    assert {clip.action for clip in its.train} == {clip.action for clip in its.test} == set(range(actions))
    settings = load_experiment("actions", action_data.overrides(name)).windows
    assert settings.person.num_joints == joints
    some = [clip.load() for clip in both[::40]]
    for clip in some:
        assert len(make_windows(clip, settings, 1)) == (clip.frame_count >= settings.min_frames)
    # Joints that an edge joins are closer to each other than others are.
    points = np.concatenate([clip.keypoints[..., :-1] for clip in some])
    apart = np.median(np.linalg.norm(points[:, :, None] - points[:, None], axis=-1), axis=0)
    edges = np.array(settings.person.edges)
    others = apart[np.triu_indices(joints, 1)]
    assert np.median(apart[edges[:, 0], edges[:, 1]]) < 0.6 * np.median(others)


@pytest.mark.slow
def test_methods_tell_real_actions_apart(tmp_path):
    actions = action_data.RealActions("utd_mhad", DATA)
    split = next(split for split in actions.splits if split.name == "legs")
    settings = load_experiment("actions", action_data.overrides("utd_mhad"))
    methods = ("classifier-max", "reconstruction", "ocsvm", "knn", "ours")
    its = Coarse(settings, actions, [Task(split, "few-vs-many", 0)], methods, tmp_path)
    shared = its.begin(its.cells()[0])
    assert not {clip.name for clip in shared.learned} & {clip.name for clip in shared.tested}
    aucs = {method: its.measure(shared, method)["auc"] for method in methods}
    assert min(aucs["knn"], aucs["ours"], aucs["ocsvm"]) > 0.7, aucs
