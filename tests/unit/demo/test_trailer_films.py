import io

import av
import numpy as np
import pytest
from PIL import Image

from mmsrec.demo.looks import Look
from mmsrec.demo.taste_world import stream
from mmsrec.demo.trailer_films import SIDE, trailer
from mmsrec.features.frame_sampler import sample_video
from mmsrec.settings.encoding import Frames
from tests.unit.demo.test_drawings import apart, hue_of

LOOK = Look(0.3, "crescent", "zigzag")
FRAMES = Frames(rule="uniform", count=10, size=64, quality=95)


def make(name):
    return trailer(LOOK, stream(3, name), seconds=3)


@pytest.fixture(scope="module")
def body():
    return make("film")


def test_a_trailer_is_h264_of_the_requested_length(body):
    with av.open(io.BytesIO(body)) as film:
        [stream] = film.streams
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", SIDE, SIDE)
        assert film.duration / av.time_base == pytest.approx(3, abs=0.2)


def test_the_sampled_frames_differ_and_have_the_hue_of_the_look(body, tmp_path):
    (tmp_path / "film.mp4").write_bytes(body)
    sampled = sample_video(tmp_path / "film.mp4", FRAMES)
    images = [np.asarray(Image.open(io.BytesIO(frame.jpeg))) / 255 for frame in sampled]
    assert len(images) == 10
    assert all(image.shape == (64, 64, 3) and apart(hue_of(image), LOOK.hue) < 0.06 for image in images)
    assert all(np.abs(image - images[0]).mean() > 0.02 for image in images[1:])


def test_equal_seeds_give_equal_bytes(body):
    assert all(make("film") == body != make("other") for _ in range(5))
