"""A video that needs no video encoder: Motion JPEG in an AVI file (RIFF), one frame a second."""

import struct

from tests.unit.crawl.examples import picture


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(name: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"LIST", name + b"".join(chunks))


def video(seconds: int, seed: int = 0) -> bytes:
    """An AVI file with `seconds` frames, one a second."""
    width, height = size = (64, 48)
    frames = [picture(size=size, seed=seed + second) for second in range(seconds)]
    largest = max(map(len, frames))
    main = struct.pack("<14I", 1_000_000, largest, 0, 0x10, seconds, 0, 1, largest, width, height, 0, 0, 0, 0)
    stream = (
        b"vids" + b"MJPG" + struct.pack("<IHH8I4H", 0, 0, 0, 0, 1, 1, 0, seconds, largest, 0, 0, 0, 0, width, height)
    )
    layout = struct.pack("<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", width * height * 3, 0, 0, 0, 0)
    streams = _list(b"strl", _chunk(b"strh", stream), _chunk(b"strf", layout))
    offset, index, chunks = 4, [], []
    for frame in frames:
        chunks.append(_chunk(b"00dc", frame))
        index.append(b"00dc" + struct.pack("<III", 0x10, offset, len(frame)))
        offset += len(chunks[-1])
    body = _list(b"hdrl", _chunk(b"avih", main), streams) + _list(b"movi", *chunks) + _chunk(b"idx1", b"".join(index))
    return _chunk(b"RIFF", b"AVI " + body)
