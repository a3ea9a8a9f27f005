"""Check that a file is a decodable video of an allowed duration."""

from pathlib import Path

from mmsrec import video_decoder
from mmsrec.crawl.entry import Rejected
from mmsrec.settings.crawling import Trailers


def check_seconds(seconds: float | None, trailers: Trailers) -> None:
    """Returns if a duration is unknown or within the bounds.

    Raises:
        Rejected: `oversize` above the bounds, `dead` below them, because the page then has no trailer.
    """
    if seconds is None:
        return
    if seconds > trailers.max_seconds:
        raise Rejected("oversize", f"longer than {trailers.max_seconds:g} s")
    if seconds < trailers.min_seconds:
        raise Rejected("dead", f"shorter than {trailers.min_seconds:g} s")


def verify_video(file: Path, trailers: Trailers) -> None:
    """Decodes a video's first frame and checks its duration.

    Raises:
        Rejected: `undecodable`, or the error of `check_seconds`.
    """
    try:
        video = video_decoder.VideoReader(str(file), num_threads=1)
        video[0]
        seconds = float(video.get_frame_timestamp(len(video) - 1)[1])
    except (*video_decoder.ERRORS, IndexError) as error:
        raise Rejected("undecodable", "the file is not a video that can be decoded") from error
    check_seconds(seconds, trailers)
