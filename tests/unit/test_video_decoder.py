"""Frames and times of videos against ffmpeg's own decoding and filters."""

import io
import os
import random
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from mmsrec import video_streams
from mmsrec.errors import FeatureError
from mmsrec.features.frame_sampler import sample_video
from mmsrec.settings.encoding import Frames
from mmsrec.video_decoder import UndecodableFrame, Video, _frames, probe
from mmsrec.video_packets import pack
from mmsrec.video_streams import UnreadableVideo
from tests.unit.crawl.examples import picture
from tests.unit.made_videos import damaged, decoded_by_ffmpeg, made_sound, made_video, remuxed, turned

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
LOSSLESS = {"crf": "0", "preset": "ultrafast"}
MADE = {
    "mp4": {},
    "mp4, index at the end of a fragment": {"options": FRAGMENTS},
    "mov": {"container": "mov"},
    "mov, ProRes": {"container": "mov", "codec": "prores", "pix_fmt": "yuv422p10le"},
    "webm, VP8": {"container": "webm", "codec": "libvpx"},
    "webm, VP9": {"container": "webm", "codec": "libvpx-vp9"},
    "mkv": {"container": "matroska"},
    "mkv without an index": {"container": "matroska", "options": {"live": "1"}},
    "ts": {"container": "mpegts"},
    "ts, MPEG-2": {"container": "mpegts", "codec": "mpeg2video"},
    "avi, MPEG-4": {"container": "avi", "codec": "mpeg4"},
    "flv": {"container": "flv", "codec": "flv"},
    "wmv": {"container": "asf", "codec": "wmv2"},
    "mpg": {"container": "mpeg", "codec": "mpeg2video"},
    "mp4, AV1": {"codec": "libsvtav1", "encoder": {"preset": "12"}},
    "avi, H.263": {"container": "avi", "codec": "h263p"},
    "avi, Cinepak": {"container": "avi", "codec": "cinepak", "pix_fmt": "rgb24"},
    "mov, QuickTime": {"container": "mov", "codec": "qtrle", "pix_fmt": "rgb24"},
    "mp4, HEVC": {"codec": "libx265", "encoder": {"x265-params": "log-level=none"}},
    "10 bits": {"pix_fmt": "yuv420p10le"},
    "4:4:4": {"pix_fmt": "yuv444p"},
    "full range": {"codec": "mjpeg", "container": "avi", "pix_fmt": "yuvj420p"},
}


def stacked(body, numbers, **options):
    pictures = Video(io.BytesIO(body), **options).pictures(np.array(numbers))
    return np.stack([np.asarray(image) for image in pictures])


def timeline(source, **options):
    video = Video(source, **options)
    return video.starts, video.end


@pytest.mark.parametrize("name", MADE)
def test_frames_and_times_equal_ffmpegs(tmp_path, name):
    body = made_video(**MADE[name])
    path = tmp_path / "video"
    path.write_bytes(body)
    starts, end = timeline(path)

    np.testing.assert_allclose(starts - starts[0], np.arange(6) / 10, atol=1e-3)
    assert end - starts[0] == pytest.approx(0.6, abs=2e-3)
    assert probe(path) == pytest.approx(0.6, abs=2e-3)
    expected, found = decoded_by_ffmpeg(body), stacked(body, range(6))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(stacked(body, [1, 4]), found[[1, 4]])


# The display matrix, and the filters that the ffmpeg program applies for it.
MATRICES = {
    (1, 0, 0, 1): (),
    (0, 1, -1, 0): ("transpose=clock",),
    (-1, 0, 0, -1): ("hflip", "vflip"),
    (0, -1, 1, 0): ("transpose=cclock",),
    (-1, 0, 0, 1): ("hflip",),
    (1, 0, 0, -1): ("vflip",),
    (0, 1, 1, 0): ("transpose=cclock_flip",),
    (0, -1, -1, 0): ("transpose=clock_flip",),
}


PROGRAM = """
from mmsrec import video_decoder
import torch
with open("/proc/self/maps") as maps:
    loaded = maps.read()
assert "libdecord" in loaded
assert "libnvblas" not in loaded
torch.nn.Linear(64, 64)(torch.randn(8, 64))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads what is loaded from /proc")
def test_decord_loads_no_other_blas():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
@pytest.mark.parametrize("container", ["mp4", "matroska"])
@pytest.mark.parametrize("codec", ["libx264", "mjpeg"])
def test_turned_and_mirrored_videos_come_upright(matrix, container, codec):
    options = {"encoder": LOSSLESS} if codec == "libx264" else {"pix_fmt": "yuvj420p"}
    body = turned(made_video(codec=codec, times=range(2), **options), *matrix)
    if container != "mp4":
        body = remuxed(body, container)

    np.testing.assert_array_equal(stacked(body, [0, 1]), decoded_by_ffmpeg(body, *MATRICES[matrix]))


@pytest.mark.parametrize(
    ("pixel", "size"),
    [("2", (128, 48)), ("8/9", (64, 54)), ("64/45", (91, 48)), ("9", (64, 48))],
)
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_pixels_that_are_not_square_are_stretched(pixel, size, container):
    body = made_video(container, times=range(2), pixel=Fraction(pixel))
    (image,) = Video(io.BytesIO(body)).pictures(np.array([1]))

    assert image.size == size
    left, right = (image.getpixel((size[0] * part // 4, size[1] // 4)) for part in (1, 3))
    assert left[0] > 180 > 60 > left[1]
    assert right[1] > 180 > 60 > right[0]


def test_a_turned_video_is_stretched_before_it_is_turned():
    body = turned(made_video(times=range(1), pixel=Fraction(2)), 0, 1, -1, 0)

    assert [image.size for image in Video(io.BytesIO(body)).pictures(np.array([0]))] == [(48, 128)]


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "mov"])
def test_times_follow_a_variable_rate(container):
    times = [0, 1, 2, 7, 8, 20]
    starts, _ = timeline(io.BytesIO(made_video(container, times=times)))

    np.testing.assert_allclose(starts - starts[0], np.array(times) / 10, atol=1e-3)


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
def test_the_first_frame_may_be_late(container):
    body = made_video(container, times=range(36_000, 36_006), codec="flv" if container == "flv" else "libx264")
    starts, end = timeline(io.BytesIO(body))

    np.testing.assert_allclose(starts - starts[0], np.arange(6) / 10, atol=1e-3)
    assert probe(io.BytesIO(body)) == pytest.approx(end - starts[0], abs=2e-3)


@pytest.mark.parametrize("later", [0, 50, 900_000])
def test_a_jump_of_times_where_two_recordings_join_is_left_out(later):
    body = made_video("mpegts") + made_video("mpegts", times=range(later, later + 6))
    starts, end = timeline(io.BytesIO(body))

    assert len(starts) == 12
    assert (np.diff(starts) > 0).all()
    assert end < 1.3 if later != 50 else end < 6
    assert probe(io.BytesIO(body)) == pytest.approx(end - starts[0], abs=0.3)


def test_a_recording_may_begin_within_a_group_of_pictures():
    body = made_video(times=range(12), encoder={"g": "6", "bf": "0", "keyint_min": "6", "sc_threshold": "0"})
    cut = remuxed(body, "mpegts", first=1)

    assert len(timeline(io.BytesIO(remuxed(body, "mpegts")))[0]) == 12
    np.testing.assert_array_equal(stacked(cut, range(6)), decoded_by_ffmpeg(body)[6:])


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_recording_may_begin_with_an_open_group_of_pictures(codec):
    parameters = "keyint=6:min-keyint=6:open-gop=1:bframes=2:scenecut=0"
    if codec == "libx265":
        parameters += ":log-level=none"
    encoder = {"x264-params" if codec == "libx264" else "x265-params": parameters}
    body = made_video(codec=codec, times=range(12), encoder=encoder)
    with av.open(io.BytesIO(body)) as film:
        second = [number for number, packet in enumerate(film.demux(video=0)) if packet.size and packet.is_keyframe][1]
    cut = remuxed(body, "matroska", first=second)
    expected = decoded_by_ffmpeg(cut)

    assert len(timeline(io.BytesIO(cut))[0]) == len(expected)
    np.testing.assert_array_equal(stacked(cut, range(len(expected))), expected)


@pytest.mark.parametrize("width", [2, 8, 16, 24, 32, 48, 50, 66])
def test_narrow_frames(width):
    body = made_video(times=range(2), width=width)

    np.testing.assert_array_equal(stacked(body, [0, 1]), decoded_by_ffmpeg(body))


def test_frames_of_another_size_are_scaled_to_the_size_that_the_stream_states():
    frames = stacked(made_video("mpegts") + made_video("mpegts", times=range(6, 12), width=128), range(12))

    assert frames.shape in [(12, 48, 64, 3), (12, 48, 128, 3)]
    for left, right in ((frames[number, 12, 16], frames[number, 12, -16]) for number in range(12)):
        assert left[0] > 180 > 60 > left[1]
        assert right[1] > 180 > 60 > right[0]


def test_few_damaged_frames_are_passed_over_and_many_are_an_error(tmp_path):
    body = made_video(times=range(12), encoder={"g": "1"})
    path = tmp_path / "video.mp4"
    path.write_bytes(damaged(body, 2))

    assert len(timeline(path, careful=True)[0]) == 10
    expected = decoded_by_ffmpeg(body)[[0, 1, *range(4, 12)]]
    np.testing.assert_array_equal(stacked(path.read_bytes(), range(10), careful=True), expected)
    with pytest.raises(UndecodableFrame):
        stacked(path.read_bytes(), range(10))
    sampled = sample_video(path, Frames(rule="uniform", count=40, size=224, quality=95))
    assert [frame.seconds for frame in sampled] == pytest.approx([0, 0.1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1])
    with pytest.raises(UnreadableVideo, match=r"3 of 1\d packets cannot be decoded"):
        timeline(io.BytesIO(damaged(body, 3)), careful=True)


NO_VIDEO = {
    "sound only": (lambda: made_sound(), "no video stream"),
    "sound with a cover": (lambda: made_sound("mp4", picture(size=(64, 48))), "no video stream"),
    "no index (moov)": (lambda: without(made_video(), b"moov"), "Invalid data"),
    "cut off": (lambda: made_video()[:300], "Invalid data"),
    "a playlist": (lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n", "Invalid"),
    "a list of files": (lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", "no known format"),
    "a picture": (lambda: picture("PNG"), "no known format"),
    "nothing": (lambda: b"", "Invalid data"),
}


def without(mp4, box):
    """An MP4 whose box has another name, which players skip."""
    return mp4.replace(box, b"none")


@pytest.mark.parametrize("name", NO_VIDEO)
@pytest.mark.parametrize("function", [timeline, probe])
def test_a_file_without_frames_is_an_error(name, function):
    make, reason = NO_VIDEO[name]
    with pytest.raises(UnreadableVideo, match=reason):
        function(io.BytesIO(make()))


def test_an_absent_file_is_an_error_without_its_path(tmp_path):
    with pytest.raises(UnreadableVideo, match=r"^No such file or directory$"):
        timeline(tmp_path / "none.mp4")


def test_huge_frames_are_not_decoded(monkeypatch):
    monkeypatch.setattr(video_streams, "MAX_PIXELS", 64 * 47)
    with pytest.raises(UnreadableVideo, match="64 x 48 pixels"):
        timeline(io.BytesIO(made_video()))


CASES = int(os.environ.get("MMSREC_FUZZ_CASES", "120"))
SEED = int(os.environ.get("MMSREC_FUZZ_SEED", "0"))


def test_a_damaged_video_has_frames_or_is_an_error(tmp_path):
    draw = random.Random(SEED)
    whole = [
        made_video(),
        made_video("mpegts"),
        made_video("matroska"),
        made_video("avi", "mpeg4"),
        made_video(options=FRAGMENTS),
        made_video("webm", "libvpx-vp9"),
    ]
    path = tmp_path / "video"
    settings = Frames(rule="uniform", count=4, size=48, quality=95)
    verdicts = set()
    for case in range(CASES):
        body = bytearray(whole[case % len(whole)])
        for _ in range(draw.choice([1, 5, 50])):
            body[draw.randrange(len(body))] = draw.randrange(256)
        path.write_bytes(body[: draw.choice([len(body), draw.randrange(len(body))])])
        for function in (probe, lambda path: sample_video(path, settings)):
            try:
                assert function(path)
                verdicts.add(f"{function.__name__}: frames")
            except UnreadableVideo as error:
                verdicts.add(str(error))
            except FeatureError as error:
                verdicts.add(error.details["found"])

    assert {"probe: frames", "<lambda>: frames"} < verdicts


def test_a_stream_that_ends_early_is_an_error():
    body = made_video()
    packed = pack(io.BytesIO(body))
    with pytest.raises(UndecodableFrame, match="frame"):
        list(_frames(packed.body, 7))
