"""Whether a file is a video that can be decoded, and how long it lasts."""

from pathlib import Path

from mmsrec import video_decoder
from mmsrec.crawl.outcome import Rejected
from mmsrec.settings.crawling import Trailers


def check_seconds(seconds: float | None, trailers: Trailers) -> None:
    """Lets a duration within the bounds pass, and one that is not known.

    Raises:
        Rejected: oversize above the bounds, dead below: there is no trailer at this place.
    """
    if seconds is None:
        return
    if seconds > trailers.max_seconds:
        raise Rejected("oversize", f"longer than {trailers.max_seconds:g} s")
    if seconds < trailers.min_seconds:
        raise Rejected("dead", f"shorter than {trailers.min_seconds:g} s")


def verify_video(file: Path, trailers: Trailers) -> None:
    """Decodes a video's first frame and reads its duration.

    Raises:
        Rejected: undecodable, or with the state for a duration out of bounds.
    """
    try:
        video = video_decoder.VideoReader(str(file), num_threads=1)
        video[0]
        seconds = float(video.get_frame_timestamp(len(video) - 1)[1])
    except (*video_decoder.ERRORS, IndexError) as error:
        raise Rejected("undecodable", "the file is not a video that can be decoded") from error
    check_seconds(seconds, trailers)
