"""Opens a video with PyAV and chooses its stream."""

from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

# ffmpeg's formats of files. Formats that open other files or addresses, such as playlists, are left out.
CONTAINERS = "mov,matroska,avi,flv,ogg,mpeg,mpegvideo,mpegts,asf"
MAX_PIXELS = 2**26

Source = Path | BinaryIO


class UnreadableVideo(Exception):
    """The file holds no video that can be decoded. The text is the same in every run, without paths."""


def opened(source: Source) -> InputContainer:
    """Opens a file; the caller closes it.

    Raises:
        UnreadableVideo: the file is absent, damaged, or in no format of videos.
    """
    if not isinstance(source, Path):
        source.seek(0)
    try:
        return av.open(
            str(source) if isinstance(source, Path) else source,
            options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except av.ArgumentError as error:
        raise UnreadableVideo("the file has no known format of videos") from error
    except av.FFmpegError as error:
        raise UnreadableVideo(error.strerror) from error


def video_of(container: InputContainer) -> VideoStream:
    """The stream that a player shows: the default one, else the largest. A picture of an album's cover is none.

    Raises:
        UnreadableVideo: there is no such stream, its codec is unknown, or its frames have more than `MAX_PIXELS`.
    """
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & still]
    if not streams:
        raise UnreadableVideo("the file has no video stream")
    streams = [stream for stream in streams if stream.codec_context is not None]
    if not streams:
        raise UnreadableVideo("the codec of the video is unknown")
    stream = max(streams, key=lambda each: (bool(each.disposition & Disposition.default), each.width * each.height))
    if stream.width * stream.height > MAX_PIXELS:
        raise UnreadableVideo(f"frames of {stream.width} x {stream.height} pixels")
    # One thread: other threads decode other videos.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream
