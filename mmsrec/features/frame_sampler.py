"""Samples frames from one video, by the time at which a frame is shown."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mmsrec import video_decoder
from mmsrec.errors import FeatureError
from mmsrec.settings.encoding import Frames

TOLERANCE_S = 5e-4  # containers round times, Matroska to a millisecond


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
        try:
            return _sampled(video_decoder.Video(path), settings)
        except video_decoder.UndecodableFrame:
            return _sampled(video_decoder.Video(path, careful=True), settings)
    except video_decoder.UnreadableVideo as error:
        raise FeatureError("A video cannot be decoded.", where=path, found=str(error)) from error


def _sampled(video: video_decoder.Video, settings: Frames) -> list[Frame]:
    sampled = RULES[settings.rule](video.starts, video.end, settings.count)
    return [
        Frame(int(index), round(float(video.starts[index]), 3), _jpeg(picture, settings))
        for index, picture in zip(sampled, video.pictures(sampled), strict=True)
    ]


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


def _jpeg(image: Image.Image, settings: Frames) -> bytes:
    short = min(image.size)
    if short > settings.size:
        image = image.resize([side * settings.size // short for side in image.size], Image.Resampling.BICUBIC)
    body = io.BytesIO()
    image.save(body, "JPEG", quality=settings.quality)
    return body.getvalue()
