"""Sampled frames of 60-second clips against ffmpeg's decoding of every frame."""

import io
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from mmsrec.features.frame_sampler import sample_video
from mmsrec.settings.encoding import Frames

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

WIDTH, HEIGHT = 160, 120
SOURCE = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=25:duration=60"
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "3", "-g", "60"]
CLIPS = {
    "constant rate.mp4": H264,
    "variable rate.mp4": ["-vf", "select='not(mod(n,7))+lt(mod(n,100),40)'", "-fps_mode", "vfr", *H264],
    "open GOP.mp4": [*H264, "-x264-params", "open-gop=1:keyint=60:min-keyint=60:scenecut=0"],
    "VP9.webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k", "-g", "60"],
    "no times.avi": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "3"],
}


def ffmpeg(*arguments):
    return subprocess.run(["ffmpeg", "-v", "error", *map(str, arguments)], check=True, capture_output=True).stdout


def jpeg_pixels(body):
    return np.asarray(Image.open(io.BytesIO(body)))


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("rule", ["uniform", "first"])
def test_the_sampled_frames_equal_ffmpegs(tmp_path, name, rule):
    path = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", SOURCE, *CLIPS[name], "-pix_fmt", "yuv420p", path)
    raw = ffmpeg("-i", path, "-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    decoded = np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    # Every fourth pixel is enough to distinguish the frames of the test picture.
    sparse = decoded[:, ::4, ::4].astype(np.int16)
    frames = sample_video(path, Frames(rule=rule, count=20, size=HEIGHT, quality=100))
    assert len(frames) == 20
    for frame in frames:
        pixels = jpeg_pixels(frame.jpeg)
        assert np.abs(sparse - pixels[::4, ::4]).mean(axis=(1, 2, 3)).argmin() == frame.index
        body = io.BytesIO()
        Image.fromarray(decoded[frame.index]).save(body, "JPEG", quality=100)
        assert np.abs(jpeg_pixels(body.getvalue()).astype(np.int16) - pixels).max() <= 2
