import numpy as np
import pytest

from pipeline.experiments.data.frames import FrameCache, FrameClips, load_frames
from pose_extract.errors import CacheError, OutputError, VideoError


def test_a_videos_frames_are_kept_scaled_and_in_order(make_video, tmp_path):
    from tests.helpers.videos import X264, grey

    path = make_video("a.mp4", *X264, frames=12)
    cache = FrameCache(tmp_path / "frames", size=16)
    frames = load_frames(cache.video(path))
    assert frames.shape == (12, 16, 16, 3)
    assert frames.dtype == np.uint8
    assert isinstance(frames, np.memmap)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), [grey(n) for n in range(12)], atol=3)


def test_a_clip_is_made_once_for_its_content_and_the_settings(make_video, tmp_path, monkeypatch):
    from tests.helpers.videos import X264

    path = make_video("a.mp4", *X264, frames=12)
    made = FrameCache(tmp_path / "frames", size=16).video(path)
    copy = tmp_path / "moved.mp4"
    copy.write_bytes(path.read_bytes())
    others = [
        FrameCache(tmp_path / "frames", size=24).video(path),
        FrameCache(tmp_path / "frames", size=16, fps=10).video(path),
    ]
    assert len({made, *others}) == 3
    assert len(load_frames(others[1])) < 12
    monkeypatch.setattr("pipeline.experiments.data.frames.VideoReader", None)
    assert FrameCache(tmp_path / "frames", size=16).video(copy) == made


def test_what_a_program_draws_is_drawn_once_for_each_key(tmp_path):
    calls = []

    def render():
        calls.append(1)
        return (np.full((20, 40, 3), 10 * n, np.uint8) for n in range(7))

    cache = FrameCache(tmp_path, size=16)
    path = cache.rendered("clip 1", render)
    assert cache.rendered("clip 1", render) == path
    assert cache.rendered("clip 2", render) != path
    assert len(calls) == 2
    assert load_frames(path)[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 60]


def test_frames_that_are_not_complete_are_not_there(tmp_path):
    def breaks():
        yield np.zeros((16, 16, 3), np.uint8)
        raise ValueError("drawing failed")

    cache = FrameCache(tmp_path, size=16)
    with pytest.raises(ValueError, match="drawing failed"):
        cache.rendered("clip", breaks)
    assert not [*tmp_path.glob("*.npy"), *tmp_path.glob(".*partial")]
    with pytest.raises(CacheError, match="expected frames, got none"):
        cache.rendered("clip", lambda: [])
    assert len(load_frames(cache.rendered("clip", lambda: [np.zeros((16, 16, 3), np.uint8)] * 3))) == 3


def test_clips_are_opened_when_asked_for(tmp_path):
    cache = FrameCache(tmp_path, size=16)
    paths = [
        cache.rendered(str(n), lambda n=n: [np.full((16, 16, 3), n, np.uint8)] * (n + 1)) for n in range(5)
    ]
    clips = FrameClips([*paths, tmp_path / "not there.npy"])
    assert len(clips) == 6
    assert [len(clip) for clip in clips[:5]] == [1, 2, 3, 4, 5]
    assert clips[3][0, 0, 0, 0] == 3
    with pytest.raises(ValueError, match="read-only"):
        clips[3][0] = 0
    with pytest.raises(CacheError, match=r"not there.npy: cannot be read as frames"):
        clips[5]


def test_a_damaged_file_is_named(tmp_path):
    cache = FrameCache(tmp_path, size=16)
    path = cache.rendered("clip", lambda: [np.zeros((16, 16, 3), np.uint8)] * 3)
    data = path.read_bytes()
    for damaged in (data[:-1], data[:50], b"", b"PK\3\4" + data):
        path.write_bytes(damaged)
        with pytest.raises(CacheError, match="delete it, and it is made again"):
            load_frames(path)
    np.save(path, np.zeros((3, 16, 16), np.float32))
    with pytest.raises(CacheError, match=r"got float32 \(3, 16, 16\)"):
        load_frames(path)


def test_errors_say_what_is_wrong(tmp_path):
    with pytest.raises(VideoError):
        FrameCache(tmp_path).video(tmp_path / "missing.mp4")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        FrameCache(tmp_path / "file", size=16).rendered("clip", lambda: [np.zeros((16, 16, 3), np.uint8)])


@pytest.mark.slow
def test_a_rendered_video_trains_and_scores_frame_prediction(tmp_path):
    from anomaly.baselines.frame_prediction.model import FramePrediction
    from anomaly.baselines.frame_prediction.settings import FramePredictionSettings
    from pipeline.synthetic.clips import simulate_clip, write_clip
    from pipeline.synthetic.street.scene import StreetSettings

    street = StreetSettings(width=160, height=96, seconds=2, people=(1, 2))
    cache = FrameCache(tmp_path / "frames", size=32, fps=12)
    clips = FrameClips(
        [cache.video(write_clip(simulate_clip(f"c{seed}", seed, street), tmp_path)) for seed in range(6)]
    )
    assert [clip.shape for clip in clips] == [(24, 32, 32, 3)] * 6
    model = FramePrediction(
        FramePredictionSettings(
            size=32,
            width=8,
            scales=3,
            change=True,
            steps=60,
            batch_size=8,
            learning_rate=1e-3,
            adversarial=0.0,
            flow=0.1,
        )
    )
    model.fit(clips[:5])
    usual = clips[5]
    stranger = usual.copy()
    stranger[12:, 8:24, 8:24] = 255 - stranger[12:, 8:24, 8:24]  # something that is suddenly there
    assert model.score_frames(stranger).argmax() == 12
    assert model.score_samples([stranger])[0] > model.score_samples([usual])[0]
