"""Frame sampling on clips whose frames show their number (clips/make.sh), and the rules against a slow oracle."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmsrec.errors import FeatureError
from mmsrec.features.frame_sampler import RULES, sample_video
from mmsrec.settings.encoding import Frames

CLIPS = Path(__file__).parent / "clips"
TEN_A_SECOND = list(range(40))
# Frames 0 .. 9 and then every fourth, of a clip of 10 frames a second.
VARIABLE = [*range(10), *range(12, 40, 4)]
EDITED = list(range(7, 40))
NUMBERS = {
    "constant.mp4": TEN_A_SECOND,
    "open_gop.mp4": TEN_A_SECOND,
    "variable.mp4": VARIABLE,
    "vp9.webm": TEN_A_SECOND,
    "untimed.avi": TEN_A_SECOND,
    "edited.mp4": EDITED,
}


def settings(**changes):
    return Frames(**{"rule": "uniform", "count": 10, "size": 224, "quality": 95} | changes)


def picture(frame):
    return Image.open(io.BytesIO(frame.jpeg))


def number(frame):
    """The number that the grey of a frame stands for: luma 20 + 5 n, of 219 steps from 16."""
    return round((np.asarray(picture(frame)).mean() * 219 / 255 + 16 - 20) / 5)


@pytest.mark.parametrize("clip", NUMBERS)
@pytest.mark.parametrize("count", [1, 8, 40])
def test_a_sampled_frame_is_the_frame_of_its_index(clip, count):
    frames = sample_video(CLIPS / clip, settings(count=count))
    assert [number(frame) for frame in frames] == [NUMBERS[clip][frame.index] for frame in frames]


@pytest.mark.parametrize("clip", NUMBERS)
def test_the_rule_first_takes_one_frame_a_second(clip):
    frames = sample_video(CLIPS / clip, settings(rule="first", count=3))
    shown = NUMBERS[clip]
    expected = [max(n for n in shown if n <= shown[0] + 10 * second) for second in range(3)]
    assert [number(frame) for frame in frames] == expected


def test_the_rule_uniform_divides_time_not_frames():
    frames = sample_video(CLIPS / "variable.mp4", settings(count=4))
    assert [number(frame) for frame in frames] == [5, 12, 24, 32]
    assert [frame.seconds for frame in frames] == pytest.approx([0.5, 1.2, 2.4, 3.2])


def test_no_frame_is_sampled_twice():
    frames = sample_video(CLIPS / "variable.mp4", settings(count=300))
    assert [frame.index for frame in frames] == list(range(len(VARIABLE)))


def test_large_frames_are_reduced_to_the_size_in_the_settings():
    assert picture(sample_video(CLIPS / "constant.mp4", settings(size=24))[0]).size == (32, 24)
    assert picture(sample_video(CLIPS / "constant.mp4", settings(size=224))[0]).size == (64, 48)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(20))
def test_the_rules_match_a_slow_oracle(rule, seed):
    rng = np.random.default_rng(seed)
    starts = np.cumsum(rng.uniform(0.01, 2, size=rng.integers(1, 40))) - 1
    end = starts[-1] + rng.uniform(0.01, 2)
    count = int(rng.integers(1, 12))
    if rule == "uniform":
        times = [starts[0] + (clip + 0.5) * (end - starts[0]) / count for clip in range(count)]
    else:
        times = [starts[0] + second for second in range(count) if starts[0] + second < end]
    expected = sorted({max(n for n, start in enumerate(starts) if start <= time + 5e-4) for time in times})
    assert RULES[rule](starts, end, count).tolist() == expected


def truncated(path):
    path.write_bytes((CLIPS / "constant.mp4").read_bytes()[:1500])


DAMAGE = {
    "audio only": lambda path: path.write_bytes((CLIPS / "audio.mp4").read_bytes()),
    "truncated": truncated,
    "empty": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_text("<html><body>Sign in</body></html>"),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(4000)),
    "absent": lambda path: None,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_without_video_is_an_error(tmp_path, kind):
    path = tmp_path / "video.mp4"
    DAMAGE[kind](path)
    with pytest.raises(FeatureError, match="cannot be decoded") as error:
        sample_video(path, settings())
    # The same on every machine and in every run.
    assert str(tmp_path) not in error.value.details["found"]
    assert "[" not in error.value.details["found"]
