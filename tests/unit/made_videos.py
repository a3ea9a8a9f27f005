"""Short videos made with PyAV. The picture shows which way is up, and its last quarter the number of the frame."""

import io
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT = 64, 48
RATE = 10
ONE = 1 << 16  # 1.0 in the fixed point of a display matrix


def drawing(number: int) -> np.ndarray:
    """A frame, uint8 [HEIGHT, WIDTH, 3]: red, green, blue, and a grey of 20 levels a frame."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[: HEIGHT // 2, : WIDTH // 2] = 200, 30, 30
    frame[: HEIGHT // 2, WIDTH // 2 :] = 30, 200, 30
    frame[HEIGHT // 2 :, : WIDTH // 2] = 30, 30, 200
    frame[HEIGHT // 2 :, WIDTH // 2 :] = 20 * number
    return frame


def made_video(
    container: str = "mp4",
    codec: str = "libx264",
    *,
    times: Sequence[int] = range(6),
    pixel: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    encoder: Mapping[str, str] | None = None,
    width: int = WIDTH,
) -> bytes:
    """A video with a frame at each of these tenths of a second; `pixel` is the width of a pixel by its height."""
    body = io.BytesIO()
    with av.open(body, "w", format=container, options=dict(options or {})) as film:
        stream = film.add_stream(codec, rate=RATE, options=dict(encoder or {}))
        stream.width, stream.height, stream.pix_fmt = width, HEIGHT, pix_fmt
        if pixel:
            stream.codec_context.sample_aspect_ratio = pixel
        stream.codec_context.time_base = Fraction(1, RATE)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(drawing(number), "rgb24").reformat(width, HEIGHT, pix_fmt)
            frame.pts, frame.time_base = time, Fraction(1, RATE)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return body.getvalue()


def made_sound(container: str = "mp4", cover: bytes | None = None) -> bytes:
    """A second of silence; `cover` is a JPEG that the file carries as the picture of the album."""
    body = io.BytesIO()
    with av.open(body, "w", format=container) as film:
        stream = film.add_stream("aac", rate=8000)
        picture = cover and film.add_stream("mjpeg")
        if picture:
            picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 1000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts = 8000, 0
        packets = [*stream.encode(silence), *stream.encode()]
        if picture:
            film.mux(packet)
        film.mux(packets)
    return body.getvalue()


def turned(mp4: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """The same MP4 with a display matrix that moves (x, y) to (a x + c y, b x + d y)."""
    start = mp4.index(b"tkhd") + 4
    place = start + (52 if mp4[start] else 40)
    matrix = struct.pack(">9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    return mp4[:place] + matrix + mp4[place + 36 :]


def remuxed(body: bytes, container: str, *, first: int = 0) -> bytes:
    """The packets from number `first` on, and the display matrix, in another container."""
    output = io.BytesIO()
    with av.open(io.BytesIO(body)) as source, av.open(output, "w", format=container) as film:
        stream = source.streams.video[0]
        copy = film.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if number >= first and packet.dts is not None:
                packet.stream = copy
                film.mux(packet)
    return output.getvalue()


def damaged(body: bytes, frames: int) -> bytes:
    """The same MP4 of H.264, where this number of frames after the first two cannot be decoded."""
    with av.open(io.BytesIO(body)) as source:
        places = [packet.pos for packet in source.demux(video=0) if packet.size][2 : 2 + frames]
    broken = bytearray(body)
    for place in places:
        broken[place : place + 4] = b"\xff" * 4  # the length of the frame's first unit
    return bytes(broken)


def decoded_by_ffmpeg(body: bytes, *filters: str) -> np.ndarray:
    """All frames after these filters of ffmpeg, uint8 [frames, height, width, 3]."""
    frames = []
    with av.open(io.BytesIO(body)) as film:
        stream = film.streams.video[0]
        graph = av.filter.Graph()
        steps = [graph.add_buffer(template=stream, time_base=stream.time_base)]
        for name in (*filters, "format=rgb24"):
            kind, _, arguments = name.partition("=")
            steps.append(graph.add(kind, arguments or None))
        steps.append(graph.add("buffersink"))
        graph.link_nodes(*steps).configure()
        for frame in film.decode(stream):
            graph.push(frame)
            frames.append(graph.pull().to_ndarray())
    return np.stack(frames)
