"""Reads the packets of a video with PyAV, and packs them again for decord.

decord decodes the frames, but it cannot read every container. MPEG-TS and streams without an index fail. It also knows
no mirrored video, and its times are wrong where packets lack them. So it gets a plain file with the packets alone, and
PyAV reads the rest: how the file says that frames are shown, and when.
"""

import io
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from fractions import Fraction
from typing import BinaryIO, NamedTuple

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from mmsrec.video_streams import Source, UnreadableVideo, opened, video_of
from mmsrec.video_times import Timeline, timeline

# The times of these formats may jump where a broadcast or a playlist joins two recordings.
JOINED = ("mpegts", "mpeg")
# Files for decord: the first that can hold the codec. decord needs one that states the number of frames.
PLAIN = ("mp4", "mov", "avi", "matroska")
TURNED = PLAIN[:2]  # these state the display matrix in the same place
# Where each packet is one frame, and the times give the order. Elsewhere a packet may have none or two.
INDEXED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
ONE_FRAME_A_PACKET = ("h264", "hevc", "vp9", "av1", "prores", "mjpeg")
STEP = Fraction(1)  # seconds between the packets of a packed file
IDENTITY = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4")  # a display matrix
# Packets that cannot be decoded: so many, or this share of all, are passed over.
DAMAGED_PACKETS = 2
DAMAGED_SHARE = 0.01
MOST_PASSES = 5


class Packet(NamedTuple):
    """A packet as the container describes it. Times are in units of the stream's time base.

    Attributes:
        number: its place in the stream of the file.
        pts: when its frame is shown.
        dts: when it is decoded.
        duration: 0 if it is unknown.
        is_shown: an edit list may hide frames that others need.
    """

    number: int
    pts: int | None
    dts: int | None
    duration: int
    is_shown: bool


class Packed(NamedTuple):
    """The packets of a video, packed again.

    Attributes:
        body: a file with the packets alone. Its packet n has the time n.
        packets: the packets of the stream; those that the body lacks are the last.
        matrix: the display matrix, 9 numbers, or None.
        oblong: width of a pixel divided by its height.
        unit_s: seconds of the stream's time base.
        start_s: the time of the file's start, in seconds.
        rate: frames a second, or None.
        is_joined: times may jump.
        is_regular: each packet is one frame, and the times give their order.
    """

    body: memoryview
    packets: list[Packet]
    matrix: np.ndarray | None
    oblong: float
    unit_s: float
    start_s: float
    rate: float | None
    is_joined: bool
    is_regular: bool

    def in_order(self) -> list[int]:
        """The numbers of the packets by their times; in the order of the file if times are missing or may jump."""
        numbers = range(len(self.packets))
        if self.is_joined or any(packet.pts is None for packet in self.packets):
            return list(numbers)
        return sorted(numbers, key=lambda number: self.packets[number].pts)

    def timeline(self, numbers: Sequence[int], *, decoded: bool = True) -> Timeline:
        """The timeline of the frames of these packets.

        Args:
            numbers: places in `packets`, in display order.
            decoded: False if the order is that of the file, where only the times of decoding ascend.

        Raises:
            UnreadableVideo: no frame is shown, or the frames have neither times nor a rate.
        """
        if not numbers:
            raise UnreadableVideo("no frame is shown")
        packets = [self.packets[number] for number in numbers]
        times = [packet.pts if decoded else packet.dts for packet in packets]
        starts = [None if time is None else time * self.unit_s - self.start_s for time in times]
        found = timeline(starts, packets[-1].duration * self.unit_s, self.rate, is_joined=self.is_joined)
        if found is None:
            raise UnreadableVideo("the frames have neither times nor a rate")
        return found

    def seconds(self) -> float:
        """The duration from the first frame to the end of the last, from the packets alone; errors of `timeline`."""
        shown = [number for number in self.in_order() if self.packets[number].is_shown]
        is_sorted = not self.is_joined and all(packet.pts is not None for packet in self.packets)
        starts, end = self.timeline(shown, decoded=is_sorted)
        return float(end - starts[0])


def pack(source: Source, without: Collection[int] = (), *, whole: bool = True) -> Packed:
    """Reads all packets of a video, and packs them again.

    Args:
        source: a file.
        without: the numbers of packets to leave out.
        whole: pack all packets. False packs those up to the first frame, which PyAV decodes as a test.

    Raises:
        UnreadableVideo: the file has no video, ends too early, or has no first frame that can be decoded.
    """
    with closing(opened(source)) as container:
        stream = video_of(container)
        body = io.BytesIO()
        try:
            with _plain_file(body, stream) as output:
                is_tested = not whole or output.format.name not in TURNED
                kept = (each for each in enumerate(container.demux(stream)) if each[0] not in without)
                packets, first, is_whole = _copy(kept, output, is_tested=is_tested, whole=whole)
        except av.FFmpegError as error:
            raise UnreadableVideo(error.strerror) from error
        if not packets or (is_tested and first is None):
            raise UnreadableVideo("no frame can be decoded")
        return Packed(
            body=body.getbuffer(),
            packets=packets,
            matrix=_matrix_of(first) if first else _taken_matrix(body.getbuffer()),
            oblong=float(stream.sample_aspect_ratio or 1),
            unit_s=float(stream.time_base),
            start_s=(container.start_time or 0) / av.time_base,
            rate=float(stream.average_rate or stream.guessed_rate or 0) or None,
            is_joined=container.format.name in JOINED,
            is_regular=is_whole and _has_regular_packets(container, stream, packets),
        )


def _copy(
    source: Iterable[tuple[int, av.Packet]], output: OutputContainer, *, is_tested: bool, whole: bool
) -> tuple[list[Packet], av.VideoFrame | None, bool]:
    """Writes packets to a file, and describes them.

    Returns:
        The packets, the first frame if it is tested, and whether the stream is undamaged and begins with a key frame.
    """
    packets: list[Packet] = []
    first, is_whole = None, True
    for number, packet in source:
        is_needed = whole or first is None
        if is_tested:
            first = first or _decoded(packet)
        if not packet.size:  # the end of the stream, which makes the decoder give the frames that it holds
            continue
        is_whole &= not packet.is_corrupt and (packet.is_keyframe or bool(packets))
        packets.append(Packet(number, packet.pts, packet.dts, packet.duration or 0, not packet.is_discard))
        if is_needed:
            _write(packet, output, len(packets) - 1)
    return packets, first, is_whole


def pack_decodable(source: Source) -> tuple[Packed, list[int]]:
    """Decodes all frames of a video, and packs the packets that can be decoded.

    A recording may begin within a group of pictures. Packets before its first frame are no damage.

    Returns:
        The packets, and the places in `Packed.packets` of the frames in display order.

    Raises:
        UnreadableVideo: no frame can be decoded, or too many packets are damaged.
    """
    packed = pack(source)
    total = len(packed.packets)
    without: set[int] = set()
    damaged = 0
    for _ in range(MOST_PASSES):
        places, early, late = _frames_of(packed)
        if not early and not late:
            return packed, places
        damaged += len(late)
        if damaged > max(DAMAGED_PACKETS, DAMAGED_SHARE * total):
            raise UnreadableVideo(f"{damaged} of {total} packets cannot be decoded")
        without |= early | late
        packed = pack(source, without)
    raise UnreadableVideo("each decoding finds other damaged packets")


def _frames_of(packed: Packed) -> tuple[list[int], set[int], set[int]]:
    """The places of the packets of all frames, and the numbers of packets that cannot be decoded.

    The first set of numbers is of packets before the first frame, and the second of those after it.
    """
    places: list[int | None] = []
    early, late = set(), set()
    with closing(opened(io.BytesIO(packed.body))) as container:
        for place, packet in enumerate(container.demux(video_of(container))):
            try:
                places += [_place_of(frame) for frame in packet.decode()]
            except av.FFmpegError:
                (late if places else early).add(packed.packets[place].number)
    if not places:
        raise UnreadableVideo("no frame can be decoded")
    # AVI has no times. Its frames come in the order of the packets, except those that are not shown.
    return packed.in_order()[: len(places)] if None in places else places, early, late


def _place_of(frame: av.VideoFrame) -> int | None:
    return None if frame.pts is None else round(frame.pts * frame.time_base / STEP)


def _matrix_of(frame: av.VideoFrame) -> np.ndarray | None:
    found = frame.side_data.get("DISPLAYMATRIX")
    return None if found is None else np.frombuffer(bytes(found), np.int32)


def _taken_matrix(mp4: memoryview) -> np.ndarray | None:
    """Takes the display matrix out of a packed MP4, in place.

    decord would turn the frames by the angle of the matrix, without its mirror.
    """
    start = 0
    while bytes(mp4[start + 4 : start + 8]) != b"moov":
        size = int.from_bytes(mp4[start : start + 4])
        start += int.from_bytes(mp4[start + 8 : start + 16]) if size == 1 else size
    header = start + bytes(mp4[start:]).index(b"tkhd") + 4
    place = header + (52 if mp4[header] else 40)  # the first byte is the version, which sets the width of times
    matrix = np.frombuffer(mp4[place : place + 36], ">i4").astype(np.int32)
    mp4[place : place + 36] = IDENTITY.tobytes()
    return None if (matrix == IDENTITY).all() else matrix


def _decoded(packet: av.Packet) -> av.VideoFrame | None:
    """The first frame that this packet completes."""
    try:
        return next(iter(packet.decode()), None)
    except av.FFmpegError:
        return None


def _write(packet: av.Packet, output: OutputContainer, place: int) -> None:
    packet.stream = output.streams.video[0]
    packet.time_base = STEP
    packet.pts = packet.dts = place
    packet.duration = 1
    packet.is_keyframe |= place == 0  # decord looks for one at the start
    output.mux(packet)


def _has_regular_packets(container: InputContainer, stream: VideoStream, packets: Sequence[Packet]) -> bool:
    if container.format.name not in INDEXED or stream.codec_context.codec.canonical_name not in ONE_FRAME_A_PACKET:
        return False
    times = {packet.pts for packet in packets}
    # Frames before the first are those of a group of pictures that was cut off. A decoder may leave them out.
    return None not in times and len(times) == len(packets) and min(times) == packets[0].pts


def _plain_file(body: BinaryIO, stream: VideoStream) -> OutputContainer:
    for container in PLAIN:
        output = av.open(body, "w", format=container)
        try:
            output.add_stream_from_template(stream, opaque=True)
            output.start_encoding()
        except (ValueError, av.FFmpegError):  # the container cannot hold the codec
            body.seek(0)
            body.truncate()
            continue
        return output
    raise UnreadableVideo(f"no file of decord can hold the codec {stream.codec_context.name}")
