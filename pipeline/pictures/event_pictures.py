"""Pictures of events: a JPEG of each peak and a short video of each event, in one pass through the video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from anomaly.settings.scoring import STAYS
from pipeline.events.events import Event
from pipeline.events.settings import EventSettings
from pipeline.pictures.drawing import ALARM, anomaly_colour, draw_caption, draw_things, write_text
from pose_extract.files import write_atomically
from pose_extract.tracks.clip_time import shown_times
from pose_extract.tracks.records import ClipTracks
from pose_extract.tracks.things import KINDS
from pose_extract.video import VideoReader, VideoSettings, VideoSource, VideoWriter
from pose_extract.video.stills import read_still

_JPEG_QUALITY = 88
_LONGEST_SIDE = 1280  # of a thumbnail, in pixels


def picture_path(folder: Path, clip: str, number: int, ending: str) -> Path:
    """The file of event ``number``, from 1, of a clip: ``street.event-0001.jpg``."""
    return folder / f"{clip}.event-{number:04}{ending}"


@dataclass
class _Job:
    """What is to be made of one event: frames first..stop-1 and the peak."""

    number: int
    event: Event
    first: int
    stop: int
    last: int = -1  # frame that was seen
    writer: VideoWriter | None = None


def write_event_pictures(
    source: VideoSource,
    tracks: ClipTracks,
    events: Sequence[Event],
    thumbnails: Path | None = None,
    clips: Path | None = None,
    settings: EventSettings | None = None,
    video: VideoSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write the peaks and the videos of a clip's events; of the worst ones if there are more than ``most_pictures``.

    The video is read once and no further than needed; memory does not grow with its length.

    Args:
        source: the clip that the tracks come from.
        tracks: its tracks, cleaned or not: only the frames' times and size are used.
        events: of that clip, in order of time: an event's number is its place in this list, from 1.
        thumbnails: folder for ``<clip>.event-0001.jpg``, with the boxes of people and things at the peak; None:
            no thumbnails.
        clips: folder for ``<clip>.event-0001.mp4``, without sound; None: no videos.
        settings: margins, and how many.
        video: as the tracks were extracted with: ``fps`` must be the same.
        progress: called with the number of frames read.

    Returns:
        What was written; less than asked for if the video is shorter than its tracks.

    Raises:
        VideoError: the video cannot be read.
        OutputError: a file cannot be written; what was complete stays.
    """
    settings = settings or EventSettings()
    jobs = [
        _Job(number, event, *_span(event, tracks.time_s, settings))
        for number, event in enumerate(events, 1)
        if thumbnails is not None or clips is not None
    ]
    worst = sorted(jobs, key=lambda job: -job.event.score)[: settings.most_pictures]
    waiting = sorted(worst, key=lambda job: (job.first, job.number))
    running: list[_Job] = []
    written: list[Path] = []
    if not waiting:
        return written
    shown_s = shown_times(tracks.time_s, tracks.fps)
    with VideoReader(source, video) as reader, ExitStack() as writers:
        size = reader.info.frame_size
        for frame in reader:
            while waiting and waiting[0].first <= frame.index:
                running.append(waiting.pop(0))
            for job in list(running):
                if frame.index >= job.stop:
                    running.remove(job)
                    if job.writer is not None:
                        job.writer.close()
                        written.append(job.writer.path)
                    continue
                job.last = frame.index
                if clips is not None:
                    if job.writer is None:
                        path = picture_path(clips, tracks.clip, job.number, ".mp4")
                        job.writer = writers.enter_context(VideoWriter(path, tracks.fps, size))
                    job.writer.write(frame.image, shown_s[frame.index] - shown_s[job.first])
                if thumbnails is not None and frame.index == job.event.peak_frame:
                    path = picture_path(thumbnails, tracks.clip, job.number, ".jpg")
                    write_atomically(path, _thumbnail(frame.image, job.event, tracks.frame_size))
                    written.append(path)
            if progress is not None:
                progress(frame.index + 1)
            if not waiting and not running:
                break
        for job in running:  # the video ends here
            if job.writer is not None and job.last >= job.event.start_frame:
                job.writer.close()
                written.append(job.writer.path)
            elif job.writer is not None:
                job.writer.abort()
    return sorted(written)


def _span(event: Event, time_s: NDArray[np.float64], settings: EventSettings) -> tuple[int, int]:
    """First frame and frame after the last of an event with its margins, or of the part around its peak."""
    start, end = event.start_s - settings.margin_s, event.end_s + settings.margin_s
    if end - start > settings.most_clip_s:
        start = min(max(start, event.peak_s - settings.most_clip_s / 2), end - settings.most_clip_s)
        end = start + settings.most_clip_s
    first, stop = np.searchsorted(time_s, [start, end])
    return min(int(first), event.peak_frame), max(int(stop), event.peak_frame + 1)


def _thumbnail(image: NDArray[np.uint8], event: Event, frame_size: tuple[int, int]) -> bytes:
    """A JPEG of the peak."""
    picture = peak_picture(image, event, frame_size, _LONGEST_SIDE)
    return bytes(cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1])


def peak_picture(
    image: NDArray[np.uint8],
    event: Event,
    frame_size: tuple[int, int],
    longest_side: int,
    in_words: bool = True,
) -> NDArray[np.uint8]:
    """An event's peak with the boxes of people and things in the colours of the overlay.

    Scaled down to ``longest_side``.

    Args:
        image: (H, W, 3) BGR, the frame of the peak.
        event: what is seen in it.
        frame_size: (width, height) in pixels of the frames that the event's boxes were measured in.
        longest_side: pixels.
        in_words: whether to write what it is about.
    """
    height, width = image.shape[:2]
    scale = min(1.0, longest_side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.array(
        image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8
    )
    ratio = np.array((size[0] / frame_size[0], size[1] / frame_size[1]))
    stroke = max(2, round(max(size) / 480))
    words = [KINDS[kind] for kind in event.thing_kinds]
    draw_things(picture, event.thing_boxes * np.tile(ratio, 2), words, np.ones(len(words), bool))
    for i in reversed(range(len(event.people))):  # the worst last, so on top
        if np.isnan(event.boxes[i]).any():
            continue
        (x1, y1), (x2, y2) = np.clip(event.boxes[i].reshape(2, 2) * ratio, -1e5, 1e5)
        stays = event.cause == STAYS and event.people[i] in event.culprits
        colour = ALARM if stays else anomaly_colour(event.people_percentile[i] / 100)
        cv2.rectangle(picture, (round(x1), round(y1)), (round(x2), round(y2)), colour, stroke)
        letter = max(8, round(size[1] / 40))
        write_text(
            picture, str(event.people[i]), (round(x1), round(max(y1 - letter / 2, letter))), letter, colour
        )
    if in_words and event.about:
        draw_caption(picture, event.about)
    return picture


def read_peaks(
    source: VideoSource,
    tracks: ClipTracks,
    events: Sequence[Event],
    most: int,
    longest_side: int,
    video: VideoSettings | None = None,
) -> dict[int, NDArray[np.uint8]]:
    """Pictures of the peaks of the worst ``most`` events, by the events' numbers from 1, those that can be read.

    The video is searched for them, so that it takes no longer for a long video than for a short one.
    """
    with VideoReader(source, video) as reader:
        info = reader.info
    worst = sorted(range(len(events)), key=lambda i: -events[i].score)[:most]
    stills = {i + 1: read_still(source, info, events[i].peak_s) for i in sorted(worst)}
    return {
        number: peak_picture(still, events[number - 1], tracks.frame_size, longest_side, in_words=False)
        for number, still in stills.items()
        if still is not None
    }
