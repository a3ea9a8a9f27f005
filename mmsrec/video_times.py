"""When the frames of a video are shown, from the times that its container states."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LONGEST_STEP_S = 10.0  # ffmpeg's own bound, above which a step between two frames is a jump


class Timeline(NamedTuple):
    """When a video shows its frames, in seconds after the start of the file.

    Attributes:
        starts: float64 [frames], ascending.
        end: the end of the last frame.
    """

    starts: np.ndarray
    end: float


def timeline(starts: Sequence[float | None], last_s: float, rate: float | None, *, is_joined: bool) -> Timeline | None:
    """The timeline of frames with these times.

    Args:
        starts: seconds in display order; None where the container states no time.
        last_s: duration of the last frame, or 0 if it is unknown.
        rate: frames a second, for frames without times; None if it is unknown.
        is_joined: times may jump where a broadcast or a playlist joins two recordings. Jumps are left out.

    Returns:
        The timeline, or None if the frames have neither times nor a rate.
    """
    known = np.array([np.nan if start is None else start for start in starts])
    if is_joined:
        known = _without_jumps(known)
    usual = _usual_step(known)
    if np.isnan(known).any() or (np.diff(known) <= 0).any():
        if not rate:
            return None
        known, usual = np.arange(len(known)) / rate, 1 / rate
    last_s = last_s or usual or (1 / rate if rate else 0)
    return Timeline(known, float(known[-1] + last_s)) if last_s else None


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
