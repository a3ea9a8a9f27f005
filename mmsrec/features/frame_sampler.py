"""Samples frames from one video with decord.

Frames are decoded one after another and counted. Random access in decord (get_batch, seek, skip_frames) is three times
as fast. But it returns wrong frames without an error for some videos: open groups of pictures, frames without times
(AVI, WMV, MPEG-PS), and edit lists.
"""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmsrec import video_decoder
from mmsrec.errors import FeatureError
from mmsrec.settings.encoding import Frames

# Seconds; decord's times have single precision.
TOLERANCE_S = 5e-4
LONGEST_S = 1e7
# decord repeats the nearest frame in place of one that it cannot decode; more repeats are an error.
REPEATED_FRAMES = 2


class Frame(NamedTuple):
    """A frame of a video: its number in display order, its time in seconds, and its JPEG."""

    index: int
    seconds: float
    jpeg: bytes


def sample_video(path: Path, settings: Frames) -> list[Frame]:
    """Samples frames from a video by `settings.rule`, each frame once, in display order.

    Raises:
        FeatureError: the file holds no decodable video.
    """
    try:
        reader = video_decoder.VideoReader(str(path), num_threads=1, fault_tol=REPEATED_FRAMES)
        starts, end = _timeline(reader)
        if not len(starts):
            raise RuntimeError("no frame is shown")
        sampled = RULES[settings.rule](starts, end, settings.count)
        return [
            Frame(int(index), round(float(starts[index]), 3), _jpeg(picture, settings))
            for index, picture in zip(sampled, _pictures(reader, sampled), strict=True)
        ]
    except video_decoder.ERRORS as error:
        raise FeatureError("A video cannot be decoded.", where=path, found=_reason(error, path)) from error


def _reason(error: Exception, path: Path) -> str:
    """The first line of decord's message, without the time, the source line and the folder."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^\[[\d:]+\] \S+ ", "", lines[0]).replace(str(path), path.name)


def uniform(starts: np.ndarray, end: float, count: int) -> np.ndarray:
    """The frames at the middles of `count` equal parts (the paper's rule for MSR-VTT)."""
    part = (end - starts[0]) / count
    return _shown(starts, starts[0] + part * (np.arange(count) + 0.5))


def first(starts: np.ndarray, end: float, count: int) -> np.ndarray:
    """The frames at every full second, at most `count` (the rule behind the WebVid features)."""
    times = starts[0] + np.arange(count)
    return _shown(starts, times[times < end])


RULES: dict[str, Callable[[np.ndarray, float, int], np.ndarray]] = {"uniform": uniform, "first": first}


def _shown(starts: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.unique(np.searchsorted(starts, times + TOLERANCE_S, side="right") - 1)


def _timeline(reader: video_decoder.VideoReader) -> tuple[np.ndarray, float]:
    """The start of each frame, float64 [frames], and the end of the last frame, in seconds."""
    starts, ends = reader.get_frame_timestamp(np.arange(len(reader))).astype(np.float64).T
    if np.abs(starts).max() < LONGEST_S and (np.diff(starts) > 0).all():
        # An edit list hides the frames before the start.
        return starts[starts > -TOLERANCE_S], ends[-1]
    rate = reader.get_avg_fps()
    return np.arange(len(reader)) / rate, len(reader) / rate


def _pictures(reader: video_decoder.VideoReader, sampled: np.ndarray) -> Iterator[np.ndarray]:
    """The frames with the numbers `sampled`, uint8 [height, width, 3]."""
    for index in range(sampled[-1] + 1):
        try:
            picture = reader.next()
        except StopIteration as error:
            raise RuntimeError(f"the video ends at frame {index}") from error
        if index in sampled:
            yield picture.asnumpy()


def _jpeg(picture: np.ndarray, settings: Frames) -> bytes:
    if picture.shape[2] != 3:
        raise RuntimeError("decord does not read frames as narrow as these")
    image = Image.fromarray(picture)
    short = min(image.size)
    if short > settings.size:
        image = image.resize([side * settings.size // short for side in image.size], Image.Resampling.BICUBIC)
    body = io.BytesIO()
    image.save(body, "JPEG", quality=settings.quality)
    return body.getvalue()
