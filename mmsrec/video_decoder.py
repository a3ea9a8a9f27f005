"""Decodes videos with decord, and shows their frames as a player does.

Frames are decoded one after another and counted. Random access in decord (get_batch, seek, skip_frames) is three times
as fast. But it returns wrong frames without an error for some videos: open groups of pictures, frames without times.

On import, decord loads every CUDA library that pip installed. One of them, NVBLAS, replaces the BLAS that torch calls
on the CPU, and torch crashes. decord itself needs none of these libraries.
"""

import sys
from collections.abc import Iterator

import numpy as np
from PIL import Image

from mmsrec.video_packets import pack, pack_decodable
from mmsrec.video_streams import Source, UnreadableVideo

_hidden = sys.modules.get("nvidia")
sys.modules["nvidia"] = None
try:
    import decord
    from decord._ffi.base import DECORDError, DECORDLimitReachedError
finally:
    del sys.modules["nvidia"]
    if _hidden is not None:
        sys.modules["nvidia"] = _hidden

decord.logging.set_level(decord.logging.QUIET)

RULE = "frames as seen: upright, square pixels"

# decord's errors for an unreadable file, a file without video, damaged frames and an empty video, in this order.
ERRORS = (RuntimeError, DECORDError, DECORDLimitReachedError, AssertionError)
# decord repeats the nearest frame in place of one that it cannot decode. This share of repeats is an error: any.
REPEATED_SHARE = "0.0000001"
# A pixel that is more oblong than this is an error of the file, and counts as square.
MOST_OBLONG = 4


class UndecodableFrame(UnreadableVideo):
    """decord cannot decode a frame. `Video(source, careful=True)` may pass over it."""


class Video:
    """The frames of a video that a player shows.

    Attributes:
        starts: when each frame is shown, in seconds after the start of the file, float64 [frames], ascending.
        end: the end of the last frame.
    """

    def __init__(self, source: Source, *, careful: bool = False) -> None:
        """Reads the packets of a video.

        Args:
            source: a file.
            careful: decode all frames once before, and leave damaged packets out. Other videos than those of common
                containers and codecs are always read so.

        Raises:
            UnreadableVideo: no frame can be decoded, the file is damaged, or a frame has more than `MAX_PIXELS`.
        """
        self._packed = pack(source)
        if careful or not self._packed.is_regular:
            self._packed, order = pack_decodable(source)
        else:
            order = self._packed.in_order()
        shown = [(index, place) for index, place in enumerate(order) if self._packed.packets[place].is_shown]
        self._indexes = [index for index, _ in shown]
        self.starts, self.end = self._packed.timeline([place for _, place in shown])

    def pictures(self, numbers: np.ndarray) -> Iterator[Image.Image]:
        """The frames with these numbers, int [numbers], ascending.

        A frame is turned and mirrored as the file's display matrix says, to the nearest quarter turn. Pixels that are
        not square are stretched along their longer side.

        Raises:
            UndecodableFrame: a frame up to the last of these cannot be decoded.
        """
        wanted = {self._indexes[number] for number in numbers.tolist()}
        for index, frame in enumerate(_frames(self._packed.body, max(wanted) + 1)):
            if index in wanted:
                yield upright(frame, self._packed.matrix, self._packed.oblong)


def probe(source: Source) -> float:
    """Decodes the first frame of a video, reads the rest without decoding, and returns the duration in seconds.

    Raises:
        UnreadableVideo: the first frame cannot be decoded, or the file ends too early.
    """
    packed = pack(source, whole=False)
    next(_frames(packed.body, 1))
    return packed.seconds()


def upright(frame: np.ndarray, matrix: np.ndarray | None = None, oblong: float = 1.0) -> Image.Image:
    """A decoded frame as a player shows it.

    Args:
        frame: uint8 [height, width, 3].
        matrix: the display matrix, 9 numbers, or None.
        oblong: width of a pixel divided by its height.
    """
    image = Image.fromarray(frame)
    if not 1 / MOST_OBLONG <= oblong <= MOST_OBLONG:
        oblong = 1.0
    if oblong != 1.0:
        size = round(image.width * max(oblong, 1)), round(image.height * max(1 / oblong, 1))
        image = image.resize(size, Image.Resampling.BICUBIC)
    for turn in _turns(matrix):
        image = image.transpose(turn)
    return image


def _turns(matrix: np.ndarray | None) -> list[Image.Transpose]:
    """The steps from a stored frame to an upright one.

    The display matrix moves the stored point (x, y) to (a x + c y, b x + d y), with y downwards (ISO 14496-12).
    """
    if matrix is None:
        return []
    a, b, _, c, d = matrix[:5].tolist()
    is_transposed = abs(b) + abs(c) > abs(a) + abs(d)
    right, down = (c, b) if is_transposed else (a, d)
    turns = [Image.Transpose.TRANSPOSE] * is_transposed
    turns += [Image.Transpose.FLIP_LEFT_RIGHT] * (right < 0)
    return turns + [Image.Transpose.FLIP_TOP_BOTTOM] * (down < 0)


class _File:
    """A file in memory, as decord reads it: at once."""

    def __init__(self, body: memoryview) -> None:
        self._body = body

    def read(self) -> memoryview:
        return self._body


def _frames(body: memoryview, count: int) -> Iterator[np.ndarray]:
    """The first frames of a packed file, uint8 [height, width, 3]."""
    try:
        reader = decord.VideoReader(_File(body), num_threads=1, fault_tol=REPEATED_SHARE)
        for _ in range(count):
            yield _whole_pixels(reader.next().asnumpy())
    except StopIteration as error:
        raise UndecodableFrame("decord finds fewer frames than packets") from error
    except ERRORS as error:
        raise UndecodableFrame("decord cannot decode the video") from error


def _whole_pixels(frame: np.ndarray) -> np.ndarray:
    """The pixels of a frame, uint8 [height, width, 3]. decord counts the padding of narrow rows as channels."""
    height, width, _ = frame.shape
    return frame if frame.shape[2] == 3 else frame.reshape(height, -1)[:, : 3 * width].reshape(height, width, 3)
