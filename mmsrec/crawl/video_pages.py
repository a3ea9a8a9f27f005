"""Video pages through yt-dlp: search, download, and the ledger's state for each error message."""

import logging
import math
import re
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yt_dlp
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import DownloadCancelled, YoutubeDLError

from mmsrec.crawl.entry import Rejected, State
from mmsrec.crawl.video_check import check_seconds, verify_video
from mmsrec.machine_errors import pass_full_disk
from mmsrec.settings.crawling import Trailers

logger = logging.getLogger(__name__)


class Blocked(Rejected):
    """The site blocks the crawler for now: it requires a sign-in or limits the rate."""


class Rule(NamedTuple):
    """The ledger's state and reason for an error message of yt-dlp."""

    pattern: str
    state: State
    reason: str
    blocked: bool = False


LIVE = "it is a live stream"
# yt-dlp's words for a stream that runs, and for one that has ended and is not a video yet.
LIVE_STATUS = frozenset({"is_live", "post_live"})

# The first pattern that is found counts. The texts come from yt-dlp 2026.10 and YouTube. A text that no pattern
# matches means `failed`, so the next run tries again.
RULES = (
    Rule(r"confirm you.re not a bot", "failed", "YouTube requires a sign-in to exclude bots", True),
    Rule(r"captcha", "failed", "the site requires a captcha", True),
    Rule(r"rate-limited|try again later|HTTP Error 429", "failed", "the site limits the rate of requests", True),
    Rule(r"HTTP Error 403", "failed", "the site refuses the download for now", True),
    Rule(r"confirm your age|age.restricted|inappropriate for some users", "refused", "it requires a proof of age"),
    Rule(r"Private video|members.only|Join this channel|requires payment|Sign in", "refused", "it requires an account"),
    Rule(r"DRM protected", "refused", "it is protected by DRM"),
    # A missing JavaScript runtime gives the same message, so the state is not final.
    Rule(r"[Ff]ormat is not available|No video formats", "failed", "no single file within the bounds is offered"),
    Rule(r"HTTP Error 4(0[0-79]|1\d|51)", "dead", "there is no such page"),
    Rule(
        r"[Vv]ideo (is )?(unavailable|not available)|has been removed|been terminated|does not exist"
        r"|[Ii]ncomplete YouTube ID|not a valid URL|Unsupported URL|No suitable extractor",
        "dead",
        "there is no such video",
    ),
    Rule(r"in your country|geo.?restrict|blocked it", "dead", "the video is not available in this country"),
    Rule(r"live event will|Premieres in|is upcoming", "dead", "the video is not published yet"),
    # No trailer comes from a live stream, whether it runs, has ended or is being prepared as a recording.
    Rule(r"live ?(event|stream|broadcast)", "dead", LIVE),
)


class _Log:
    """Receives the messages of yt-dlp. Errors also arrive as exceptions, which the ledger records."""

    debug = error = staticmethod(logger.debug)
    warning = staticmethod(logger.warning)


class VideoSite:
    """The pages of one site, requested one after another. yt-dlp pauses before each of its requests except the first.

    Args:
        trailers: bounds, extractors and pauses.
        folder: receives the videos.
        cookies: a cookies.txt from a signed-in session.
    """

    def __init__(self, trailers: Trailers, folder: Path, cookies: Path | None = None) -> None:
        height = trailers.max_height
        self._trailers = trailers
        self._deadline = math.inf
        self._rejected: Rejected | None = None
        # One object for all pages: loading its TLS certificates takes longer than a download of a short video.
        self._site = yt_dlp.YoutubeDL(
            {
                "allowed_extractors": trailers.extractors,
                "cachedir": False,
                "continuedl": False,
                "cookiefile": str(cookies) if cookies else None,
                "extractor_retries": 1,
                "fixup": "never",
                # Only frames are used, and a single file needs no ffmpeg to merge picture and sound.
                "format": f"bv[height<=?{height}]/b[height<=?{height}]/bv*[height<=?{height}]",
                "format_sort": [f"res:{height}", "vcodec:h264"],
                "fragment_retries": 1,
                # Otherwise yt-dlp sends a false client address for this page and all later pages.
                "geo_bypass": False,
                "logger": _Log(),
                "noplaylist": True,
                "noprogress": True,
                "outtmpl": str(folder / "trailer.%(ext)s"),
                "overwrites": True,
                "progress_hooks": [self._check_progress],
                "retries": 1,
                "sleep_interval_requests": trailers.pause,
                "socket_timeout": trailers.read_timeout,
            }
        )
        self._searching = {"extract_flat": "in_playlist", "match_filter": None, "playlist_items": f"1:{trailers.hits}"}
        self._fetching = {"extract_flat": False, "match_filter": self._match, "playlist_items": "1"}

    def close(self) -> None:
        """Closes the connections and saves the cookies."""
        self._site.close()

    def search(self, query: str) -> list[str]:
        """Returns the URLs of a search's first hits that are not live and whose duration is unknown or within bounds.

        Raises:
            Rejected: the errors of `fetch`.
        """
        found = self._ask(query, self._searching, download=False)
        return [hit["url"] for hit in found.get("entries") or [] if hit.get("url") and self._fits(hit)]

    def fetch(self, url: str) -> Path:
        """Downloads a page's video as a single file, in the largest format within the bounds, and verifies it.

        Raises:
            Rejected: with the ledger's state, if there is no such video.
            Blocked: the site blocks the crawler.
        """
        self._deadline = time.monotonic() + self._trailers.total_timeout
        found = self._ask(url, self._fetching, download=True)
        found = next(iter(found.get("entries") or []), found)
        files = [Path(part["filepath"]) for part in found.get("requested_downloads", ())]
        if not files or not files[0].is_file():
            raise Rejected("dead", "the page has no video")
        verify_video(files[0], self._trailers)
        return files[0]

    def _ask(self, url: str, options: dict[str, Any], *, download: bool) -> dict[str, Any]:
        self._site.params |= options
        self._rejected = None
        try:
            return self._site.extract_info(url, download=download) or {}
        except DownloadCancelled:
            # yt-dlp raises another cancellation than ours, without its cause.
            if self._rejected:
                raise self._rejected from None
            raise
        except YoutubeDLError as error:
            pass_full_disk(_cause(error))
            raise rejection_of(error) from error
        # yt-dlp lets other errors pass that a malformed page causes. They concern this page only.
        except Exception as error:
            pass_full_disk(error)
            raise Rejected("failed", f"the page cannot be read: {type(error).__name__}") from error

    def _fits(self, hit: dict[str, Any]) -> bool:
        try:
            self._check(hit)
        except Rejected:
            return False
        return True

    def _match(self, video: dict[str, Any], *, incomplete: bool) -> None:
        try:
            self._check(video)
        except Rejected as rejected:
            self._cancel(rejected)

    def _cancel(self, rejected: Rejected) -> NoReturn:
        self._rejected = rejected
        raise DownloadCancelled from rejected

    def _check(self, video: dict[str, Any]) -> None:
        if video.get("live_status") in LIVE_STATUS:
            raise Rejected("dead", LIVE)
        check_seconds(video.get("duration"), self._trailers)

    def _check_progress(self, state: dict[str, Any]) -> None:
        most = self._trailers.max_bytes
        if max(state.get("downloaded_bytes") or 0, state.get("total_bytes") or 0) > most:
            self._cancel(Rejected("oversize", f"more than {most} bytes"))
        if time.monotonic() > self._deadline:
            self._cancel(Rejected("failed", "the download took too long"))


def rejection_of(error: YoutubeDLError) -> Rejected:
    """The ledger's state and reason for an error of yt-dlp."""
    cause = _cause(error)
    status = cause.status if isinstance(cause, HTTPError) else None
    for rule in RULES:
        if re.search(rule.pattern, str(error)):
            return (Blocked if rule.blocked else Rejected)(rule.state, rule.reason, status=status)
    if isinstance(cause, TransportError):
        return Rejected("failed", "the connection failed")
    return Rejected("failed", f"HTTP status {status}" if status else "the download failed", status=status)


def _cause(error: YoutubeDLError) -> BaseException | None:
    exc_info = getattr(error, "exc_info", None)
    return exc_info[1] if exc_info else error
