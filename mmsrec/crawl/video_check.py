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
    check_seconds(seconds_of(file), trailers)


def seconds_of(source: video_decoder.Source) -> float:
    """Decodes a video's first frame and returns its duration in seconds.

    Raises:
        Rejected: `undecodable`, with the reason.
    """
    try:
        return video_decoder.probe(source)
    except video_decoder.UnreadableVideo as error:
        raise Rejected("undecodable", f"the file is not a video that can be decoded: {error}") from error
