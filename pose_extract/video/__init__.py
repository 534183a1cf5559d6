"""Videos in and out, by ffmpeg in a process of its own.

Many files: each way of reading (whole, ahead, live, one still) and each thing that is read is one of its own.
"""

from pose_extract.video.decoder import Damage
from pose_extract.video.reader import VideoInfo, VideoReader
from pose_extract.video.settings import VideoSettings
from pose_extract.video.sources import VideoSource, content_hash, find_sources, source_at
from pose_extract.video.writer import VideoWriter

__all__ = [
    "Damage",
    "VideoInfo",
    "VideoReader",
    "VideoSettings",
    "VideoSource",
    "VideoWriter",
    "content_hash",
    "find_sources",
    "source_at",
]
