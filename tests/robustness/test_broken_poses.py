"""Each broken file of poses is read, all of it counted, or refused in one line, in little time."""

from __future__ import annotations

import pytest

from pipeline.workspace import Workspace
from tests.robustness.broken_poses import COUNT, broken_poses
from tests.robustness.outcomes import run

QUICK = 100  # of the 500


@pytest.mark.parametrize(
    ("count", "seed"),
    [(QUICK, 0), pytest.param(COUNT - QUICK, 1, marks=pytest.mark.slow)],
    ids=["quick", "others"],
)
def test_broken_poses_end_in_one_line_or_in_tracks_with_every_pose_counted(tmp_path, count, seed):
    wrong, used = [], 0
    for number, poses in enumerate(broken_poses(tmp_path, count, seed)):
        workspace = Workspace(tmp_path / "workspaces" / str(number))
        found = run(
            "import", poses.format, poses.path, "--fps", "24", "--frame-size", "640x360", "--workspace", workspace.root,
            "--quiet",
        )  # fmt: skip
        faults = found.faults()
        entries = workspace.entries()
        used += len(entries)
        if found.code == 0 and not entries:
            faults.append("no tracks and no error")
        for entry in entries:
            report = entry.report
            lost = report["poses"] - report["kept"] - sum(report["left_out"].values())
            if lost or report["kept"] != entry.rows:
                faults.append(f"{report} for {entry.rows} rows")
        wrong += [f"{poses.what}: {fault}" for fault in faults]
    assert not wrong, "\n".join(wrong)
    assert count / 10 < used
