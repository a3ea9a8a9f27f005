"""Decodes videos with PyAV, which brings ffmpeg's libraries, and shows their frames as a player does.

Frames are decoded one after another. A seek is faster, but it lands on wrong frames without an error in some files:
open groups of pictures, frames without times, edit lists.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from PIL import Image

RULE = "frames as seen: upright, square pixels"

# ffmpeg's formats of files. Formats that open other files or addresses, such as playlists, are left out.
CONTAINERS = "mov,matroska,avi,flv,ogg,mpeg,mpegvideo,mpegts,asf"
# The times of these formats may jump where a broadcast or a playlist joins two recordings.
JOINED = ("mpegts", "mpeg")
LONGEST_STEP_S = 10.0  # ffmpeg's own bound, above which a step between two frames is a jump
MAX_PIXELS = 2**26
# Packets that cannot be decoded: so many, or this share of all, are passed over.
DAMAGED_PACKETS = 2
DAMAGED_SHARE = 0.01
# A pixel that is more oblong than this is an error of the file, and counts as square.
MOST_OBLONG = 4

Source = Path | BinaryIO


class UnreadableVideo(Exception):
    """The file holds no video that can be decoded. The text is the same in every run, without paths."""


class Timeline(NamedTuple):
    """When a video shows its frames, in seconds after the start of the file.

    Attributes:
        starts: float64 [frames], ascending.
        end: the end of the last frame.
    """

    starts: np.ndarray
    end: float


def timeline(source: Source) -> Timeline:
    """Decodes all frames of a video and returns their times.

    Raises:
        UnreadableVideo: no frame can be decoded, the file is damaged, or a frame has more than `MAX_PIXELS`.
    """
    with closing(_Reader(source)) as reader:
        return reader.timeline((frame.pts, frame.duration) for frame in reader.frames())


def probe(source: Source) -> float:
    """Decodes the first frame of a video, reads the rest without decoding, and returns the duration in seconds.

    Raises:
        UnreadableVideo: the first frame cannot be decoded, or the file ends too early.
    """
    with closing(_Reader(source)) as reader:
        next(reader.frames(), None)
    with closing(_Reader(source)) as reader:
        starts, end = reader.timeline(reader.packet_times())
        return float(end - starts[0])


def pictures(source: Source, numbers: np.ndarray) -> Iterator[Image.Image]:
    """The frames with these numbers, int [numbers], in display order.

    A frame is turned and mirrored as the file's display matrix says, to the nearest quarter turn. Pixels that are not
    square are stretched along their longer side.

    Raises:
        UnreadableVideo: as in `timeline`.
    """
    wanted = set(numbers.tolist())
    with closing(_Reader(source)) as reader:
        for number, frame in enumerate(reader.frames()):
            if number in wanted:
                yield upright(frame, reader.oblong)
                wanted.remove(number)
            if not wanted:
                return
    raise UnreadableVideo(f"frame {min(wanted)} is missing")


def upright(frame: av.VideoFrame, oblong: float = 1.0) -> Image.Image:
    """A decoded frame as a player shows it.

    Args:
        frame: with the display matrix in its side data, if the file has one.
        oblong: width of a pixel divided by its height.
    """
    # The kernel is ffmpeg's default; it matters where the chroma of more than 8 bits is enlarged.
    image = Image.fromarray(frame.to_ndarray(format="rgb24", interpolation="BICUBIC"))
    if not 1 / MOST_OBLONG <= oblong <= MOST_OBLONG:
        oblong = 1.0
    if oblong != 1.0:
        size = round(image.width * max(oblong, 1)), round(image.height * max(1 / oblong, 1))
        image = image.resize(size, Image.Resampling.BICUBIC)
    for turn in _turns(frame):
        image = image.transpose(turn)
    return image


def _turns(frame: av.VideoFrame) -> list[Image.Transpose]:
    """The steps from a stored frame to an upright one.

    The display matrix moves the stored point (x, y) to (a x + c y, b x + d y), with y downwards (ISO 14496-12).
    """
    found = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return []
    a, b, _, c, d = np.frombuffer(bytes(found), np.int32)[:5].tolist()
    is_transposed = abs(b) + abs(c) > abs(a) + abs(d)
    right, down = (c, b) if is_transposed else (a, d)
    turns = [Image.Transpose.TRANSPOSE] * is_transposed
    turns += [Image.Transpose.FLIP_LEFT_RIGHT] * (right < 0)
    return turns + [Image.Transpose.FLIP_TOP_BOTTOM] * (down < 0)


class _Reader:
    """One pass over the video stream of a file."""

    def __init__(self, source: Source) -> None:
        try:
            self._container = _open(source)
        except av.ArgumentError as error:
            raise UnreadableVideo("the file has no known format of videos") from error
        except av.FFmpegError as error:
            raise UnreadableVideo(error.strerror) from error
        try:
            self._stream = _video_of(self._container)
        except UnreadableVideo:
            self.close()
            raise
        self._is_joined = self._container.format.name in JOINED
        self.oblong = float(self._stream.sample_aspect_ratio or 1)

    def close(self) -> None:
        self._container.close()

    def packets(self) -> Iterator[av.Packet]:
        """The packets of the stream, in the order of the file."""
        try:
            yield from self._container.demux(self._stream)
        except av.FFmpegError as error:
            raise UnreadableVideo(error.strerror) from error

    def frames(self) -> Iterator[av.VideoFrame]:
        """The decoded frames, in display order."""
        packets = frames = damaged = 0
        for packet in self.packets():
            packets += 1
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                # A recording may begin within a group of pictures; those frames are not part of it.
                damaged += frames > 0
                continue
            frames += len(decoded)
            yield from decoded
        if not frames:
            raise UnreadableVideo("no frame can be decoded")
        if damaged > max(DAMAGED_PACKETS, DAMAGED_SHARE * packets):
            raise UnreadableVideo(f"{damaged} of {packets} packets cannot be decoded")

    def packet_times(self) -> list[tuple[int | None, int | None]]:
        """The times and durations of the packets that are shown, without decoding them."""
        shown = [packet for packet in self.packets() if packet.size and not packet.is_discard]
        if self._is_joined or any(packet.pts is None for packet in shown):
            return [(packet.dts, packet.duration) for packet in shown]
        return sorted((packet.pts, packet.duration) for packet in shown)

    def timeline(self, shown: Iterable[tuple[int | None, int | None]]) -> Timeline:
        """The timeline of frames with these times and durations, in units of the stream's time base."""
        times, durations = zip(*shown, strict=True)
        unit = float(self._stream.time_base)
        starts = np.array([np.nan if time is None else time * unit for time in times])
        starts -= (self._container.start_time or 0) / av.time_base
        if self._is_joined:
            starts = _without_jumps(starts)
        if np.isnan(starts).any() or (np.diff(starts) <= 0).any():
            starts = np.arange(len(starts)) / self._rate()
        last = (durations[-1] or 0) * unit
        return Timeline(starts, float(starts[-1] + (last or _usual_step(starts) or 1 / self._rate())))

    def _rate(self) -> float:
        rate = self._stream.average_rate or self._stream.guessed_rate
        if not rate:
            raise UnreadableVideo("the frames have neither times nor a rate")
        return float(rate)


def _open(source: Source) -> InputContainer:
    if not isinstance(source, Path):
        source.seek(0)
    return av.open(
        str(source) if isinstance(source, Path) else source,
        options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
        metadata_errors="replace",
    )


def _video_of(container: InputContainer) -> VideoStream:
    """The stream that a player shows: the default one, else the largest. A picture of an album's cover is none."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & still]
    if not streams:
        raise UnreadableVideo("the file has no video stream")
    stream = max(streams, key=lambda each: (bool(each.disposition & Disposition.default), each.width * each.height))
    if stream.codec_context is None:
        raise UnreadableVideo("the codec of the video is unknown")
    # One thread: other threads decode other videos.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream


def _usual_step(starts: np.ndarray) -> float:
    """The median of the ascending steps, in seconds; 0 without any."""
    steps = np.diff(starts)
    steps = steps[(steps > 0) & (steps <= LONGEST_STEP_S)]
    return float(np.median(steps)) if len(steps) else 0.0


def _without_jumps(starts: np.ndarray) -> np.ndarray:
    """Replaces each jump between two frames by the usual step."""
    steps = np.diff(starts)
    steps[(steps <= 0) | (steps > LONGEST_STEP_S)] = _usual_step(starts)
    return starts[0] + np.concatenate([[0.0], np.cumsum(steps)])
