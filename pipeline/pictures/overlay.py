"""Write the overlay video: skeletons and boxes coloured by anomaly, things, and the running score in a strip below.

Knows nothing of models: it draws a timeline of percentiles among normal behaviour, and alarms.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomaly.settings.scoring import STAYS
from pipeline.events.events import Event
from pipeline.events.timeline import ScoredTimeline
from pipeline.pictures.drawing import ALARM, draw_caption, draw_people, draw_things
from pipeline.pictures.score_panel import ScorePanel
from pose_extract.checking import expect_between
from pose_extract.skeletons import SKELETONS, Skeleton
from pose_extract.tracks.clip_time import ShownTime, holes, longest_step
from pose_extract.tracks.records import ClipTracks, Frame
from pose_extract.tracks.things import KINDS, PERSON
from pose_extract.video import VideoReader, VideoSettings, VideoSource, VideoWriter
from pose_extract.video.prefetch import prefetch

_AHEAD_FRAMES = 4  # decoded, and drawn, before they are wanted
_FASTEST_FPS = 60.0  # of the overlay of a video whose frame rate varies
_LONGEST_HOLD_S = 10.0  # for which the last picture stays, where the source goes on without pictures


@dataclass(frozen=True)
class OverlaySettings:
    """How the overlay looks.

    Attributes:
        min_confidence: joints below this confidence, 0..1, and their bones are not drawn.
        seconds_shown: the score curve shows the last so many seconds.
        panel: height of the strip with the score below the picture, as a share of the picture's shorter side; 0: none.
        draw_ids: whether to write each person's track id above the box, and each thing's id.
        audio: whether to keep the sound of the source.
    """

    min_confidence: float = 0.3
    seconds_shown: float = 60.0
    panel: float = 0.16
    draw_ids: bool = True
    audio: bool = True

    def __post_init__(self) -> None:
        expect_between("overlay", self, 0, 1, "min_confidence", "panel")
        expect_between("overlay", self, 0, 3600, "seconds_shown", above=True)


def write_overlay(
    source: VideoSource | str | Path,
    tracks: ClipTracks,
    path: str | Path,
    timeline: ScoredTimeline,
    *,
    video: VideoSettings | None = None,
    settings: OverlaySettings | None = None,
    skeleton: Skeleton | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write a video of ``source`` with its people and scores drawn in; memory does not grow with its length.

    Args:
        source: the clip that the tracks come from.
        tracks: its people; M rows, F frames.
        path: the mp4 to write.
        timeline: the clip's scores, those of its M rows too.
        video: the settings that the tracks were extracted with; ``fps`` must be the same, ``max_side`` may differ.
        settings: how it looks.
        skeleton: the tracks' own, if it does not come with the package. Of one that nobody knows, joints are drawn
            without bones.
        progress: called after every frame with the number of frames done.

    Returns:
        the number of frames read.

    Raises:
        VideoError: the source cannot be read.
        OutputError: the overlay cannot be written.
        ValueError: an array has another length than the tracks.
    """
    settings = settings or OverlaySettings()
    for name, array, length in (
        ("percentile", timeline.percentile, tracks.frame_count),
        ("alarm", timeline.alarm, tracks.frame_count),
        ("row_percentile", timeline.row_percentile, len(tracks)),
    ):
        if array.shape != (length,):
            raise ValueError(f"write_overlay: expected {name} of shape ({length},), got {array.shape}")
    with VideoReader(source, video) as reader:
        size = reader.info.frame_size
        artist = OverlayArtist(tracks, size, timeline, settings, skeleton)
        # Sound cannot be cut with the pictures; a film with holes has none, and the holes are no longer than a frame.
        whole = not holes(tracks.time_s, tracks.fps)
        sound = reader.source.path if settings.audio and reader.info.has_audio and whole else None
        with (
            VideoWriter(
                path,
                _frame_rate(tracks),
                artist.size,
                audio_from=sound,
                audio_start_s=reader.info.start_s,
                quick=True,
            ) as writer,
            closing(prefetch(reader, _AHEAD_FRAMES)) as frames,
            closing(prefetch(map(artist.draw, frames), _AHEAD_FRAMES)) as pictures,
        ):
            done, time_s, shown = 0, 0.0, ShownTime(tracks.fps)
            for time_s, picture in pictures:
                writer.write(picture, time_s if sound else shown(time_s))
                done += 1
                if progress is not None:
                    progress(done)
            end = reader.info.end_s
            if whole and end is not None and not reader.damage and end - time_s < _LONGEST_HOLD_S:
                writer.hold(end)
    return done


class OverlayArtist:
    """Draws one frame after the other, things and people into the picture and the strip below it.

    Args:
        tracks: the clip's people.
        size: (width, height) in pixels of the frames that will come; tracks may be those of a smaller reading.
        timeline: the clip's scores.
        settings: how it looks.
        skeleton: of the tracks, if it is not one of the package's.

    Attributes:
        size: (width, height) in pixels of what is drawn.
    """

    def __init__(
        self,
        tracks: ClipTracks,
        size: tuple[int, int],
        timeline: ScoredTimeline,
        settings: OverlaySettings,
        skeleton: Skeleton | None = None,
    ) -> None:
        if skeleton is None or skeleton.name != tracks.skeleton:
            skeleton = SKELETONS.get(tracks.skeleton) or _without_bones(tracks)
        self._tracks, self._alarm = tracks, timeline.alarm
        self._events = timeline.events
        self._event_starts = np.array([event.start_frame for event in timeline.events], np.int64)
        self._row_percentile = np.asarray(timeline.row_percentile, np.float64) / 100
        self._skeleton, self._settings = skeleton, settings
        self._starts = np.searchsorted(tracks.frame, np.arange(tracks.frame_count + 1))
        self._ratio = np.array((size[0] / tracks.frame_size[0], size[1] / tracks.frame_size[1]))
        strip = 2 * round(min(size) * settings.panel / 2) if tracks.frame_count else 0
        self.size = (size[0], size[1] + strip)
        self._panel = _panel(size[0], strip, timeline, settings) if strip else None

    def draw(self, frame: Frame) -> tuple[float, NDArray[np.uint8]]:
        """Time of the frame and its picture with the strip below it. Without a strip, the frame's own array."""
        height, known = frame.image.shape[0], frame.index < self._tracks.frame_count
        strip = (
            None if self._panel is None else self._panel.draw(min(frame.index, self._tracks.frame_count - 1))
        )
        picture = frame.image if strip is None else np.concatenate((frame.image, strip))
        if known:
            event = self._event_at(frame.index)
            self._things(picture[:height], frame.index, event)
            self._people(picture[:height], frame.index)
            if event is not None and event.about:
                draw_caption(picture[:height], event.about)
            if self._alarm[frame.index]:
                border = max(2, round(height / 120))
                for edge in (picture[:border], picture[height - border : height]):
                    edge[:] = ALARM
                picture[:height, :border] = picture[:height, -border:] = ALARM
        return frame.time_s, picture

    def _event_at(self, index: int) -> Event | None:
        number = int(np.searchsorted(self._event_starts, index, side="right")) - 1
        return self._events[number] if number >= 0 and index < self._events[number].end_frame else None

    def _things(self, picture: NDArray[np.uint8], index: int, event: Event | None) -> None:
        """Things, and who stays where the alarm is about that."""
        if self._tracks.things is None:
            return
        seen = self._tracks.things.at(index)
        things = event.things if event is not None else ()
        people = event.culprits if event is not None and event.cause == STAYS else ()
        is_person = seen.kinds == PERSON
        marked = np.where(is_person, np.isin(seen.ids, people), np.isin(seen.ids, things))
        rows = np.flatnonzero(~is_person | marked)
        seen, marked = seen.select(rows), marked[rows]
        words = [
            f"stays {round(float(still))} s"
            if kind == PERSON
            else f"{KINDS[kind]} {i}"
            if self._settings.draw_ids
            else KINDS[kind]
            for i, kind, still in zip(seen.ids.tolist(), seen.kinds.tolist(), seen.still_s, strict=True)
        ]
        draw_things(picture, seen.boxes * np.tile(self._ratio, 2), words, marked)

    def _people(self, picture: NDArray[np.uint8], index: int) -> None:
        rows = slice(self._starts[index], self._starts[index + 1])
        keypoints = self._tracks.keypoints[rows].astype(np.float64)
        keypoints[..., :2] *= self._ratio
        boxes = self._tracks.boxes[rows] * np.tile(self._ratio, 2)
        if keypoints.shape[2] == 4:
            keypoints[~_in_pixels(keypoints, boxes), :, -1] = 0.0
        ids = self._tracks.track[rows] if self._settings.draw_ids else None
        draw_people(
            picture,
            keypoints,
            boxes,
            ids,
            self._row_percentile[rows],
            self._skeleton,
            self._settings.min_confidence,
        )


def _panel(width: int, height: int, timeline: ScoredTimeline, settings: OverlaySettings) -> ScorePanel:
    shares = np.asarray(timeline.percentile, np.float64) / 100
    if len(timeline.judged):
        shares[~timeline.judged] = np.nan
    threshold = None if timeline.threshold_percentile is None else timeline.threshold_percentile / 100
    return ScorePanel(
        width, height, timeline.time_s, shares, timeline.alarm, threshold, settings.seconds_shown
    )


def _frame_rate(tracks: ClipTracks) -> float:
    """Frames a second of the overlay: the clip's; where its rate varies, so many that few frames fall together."""
    steps = np.diff(tracks.time_s)
    steps = steps[steps <= longest_step(tracks.fps)]
    if not len(steps) or np.abs(steps * tracks.fps - 1).max() < 0.5:
        return tracks.fps
    return max(tracks.fps, min(_FASTEST_FPS, 1 / float(np.median(steps))))


def _without_bones(tracks: ClipTracks) -> Skeleton:
    count = tracks.keypoints.shape[1]
    return Skeleton(
        tracks.skeleton, tuple(map(str, range(count))), (), 0, tuple(range(count)), (1.0,) * count
    )


def _in_pixels(keypoints: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whose joints in space (P, V, 4) lie about their boxes (P, 4), and so are pixels; a Kinect's are metres."""
    missing = (keypoints[..., -1] <= 0) | ~np.isfinite(keypoints).all(axis=2)
    xy = np.ma.masked_array(keypoints[..., :2], np.repeat(missing[..., None], 2, axis=2))
    middle = xy.mean(axis=1).filled(np.nan)
    return np.asarray(((middle >= boxes[:, :2]) & (middle <= boxes[:, 2:])).all(axis=1))
