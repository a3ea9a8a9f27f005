import colorsys
import io
from itertools import product

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from mmsrec.demo.drawings import SIDE, picture
from mmsrec.demo.looks import PATTERNS, SHAPES, Look
from mmsrec.demo.taste_world import stream

LOOKS = 400


def pixels(body):
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB")) / 255


def hue_of(image):
    """The hue, in turns, of the mean of the colourful pixels."""
    spread = image.max(axis=2) - image.min(axis=2)
    return colorsys.rgb_to_hsv(*image[spread > 0.3].mean(axis=0))[0]


def apart(first, second):
    """The distance of two hues on their circle, in turns."""
    return abs((first - second + 0.5) % 1 - 0.5)


@pytest.fixture(scope="module")
def gallery():
    """Random looks and their pictures."""
    random = stream(0, "gallery")
    looks = [Look(random.random(), str(random.choice(SHAPES)), str(random.choice(PATTERNS))) for _ in range(LOOKS)]
    return looks, np.stack([pixels(picture(look, random)) for look in looks])


def accuracy(features, labels):
    """The accuracy of a linear probe that is fitted on the first three quarters and tested on the last quarter."""
    known = LOOKS * 3 // 4
    features = (features - features[:known].mean(axis=0)) / (features[:known].std(axis=0) + 1e-9)
    probe = LogisticRegression(C=0.01, max_iter=200).fit(features[:known], labels[:known])
    return probe.score(features[known:], labels[known:])


def test_every_shape_and_pattern_has_a_picture_of_its_hue():
    for number, (shape, pattern) in enumerate(product(SHAPES, PATTERNS)):
        hue = number / 40
        image = pixels(picture(Look(hue, shape, pattern), stream(number)))
        assert image.shape == (SIDE, SIDE, 3)
        assert apart(hue_of(image), hue) < 0.06


def test_the_outline_identifies_the_shape(gallery):
    looks, images = gallery
    colourful = images.max(axis=3) - images.min(axis=3)
    small = colourful.reshape(LOOKS, 16, SIDE // 16, 16, SIDE // 16).mean(axis=(2, 4)).reshape(LOOKS, -1)
    assert accuracy(small, [look.shape for look in looks]) > 0.7


def test_the_frequencies_identify_the_pattern(gallery):
    looks, images = gallery
    middle = images.mean(axis=3)[:, 32:96, 32:96]
    spectrum = np.abs(np.fft.rfft2(middle - middle.mean(axis=(1, 2), keepdims=True)))[:, :12, :12].reshape(LOOKS, -1)
    assert accuracy(np.log(spectrum + 1), [look.pattern for look in looks]) > 0.6


def test_equal_seeds_give_equal_bytes_and_another_seed_another_picture():
    look = Look(0.6, "ring", "dotted")
    first, again, other = (picture(look, stream(1, name)) for name in ("a", "a", "b"))
    assert first == again != other
    assert apart(hue_of(pixels(first)), hue_of(pixels(other))) < 0.06
