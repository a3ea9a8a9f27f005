"""Video pages through yt-dlp: a search, a download, and what the sites' messages mean for the ledger."""

import logging
import math
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import yt_dlp
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import DownloadCancelled, YoutubeDLError

from mmsrec.crawl.outcome import Rejected, State
from mmsrec.crawl.video_check import check_seconds, verify_video
from mmsrec.settings.crawling import Trailers

logger = logging.getLogger(__name__)


class Throttled(Rejected):
    """The site sends crawlers away for now: it asks to sign in, or limits the rate."""


class Meaning(NamedTuple):
    """What a message of yt-dlp stands for."""

    pattern: str
    state: State
    reason: str
    throttled: bool = False


# The first pattern found counts. Texts as yt-dlp 2026.10 and YouTube word them; one that no row knows is transient.
MEANINGS = (
    Meaning(r"confirm you.re not a bot", "failed", "YouTube asks to sign in to confirm that this is no bot", True),
    Meaning(r"captcha", "failed", "the site asks to solve a captcha", True),
    Meaning(r"rate-limited|try again later|HTTP Error 429", "failed", "the site limits the rate of requests", True),
    Meaning(r"HTTP Error 403", "failed", "the site refuses the download for now", True),
    Meaning(r"confirm your age|age.restricted|inappropriate for some users", "refused", "it asks for an age"),
    Meaning(
        r"Private video|members.only|Join this channel|requires payment|Sign in", "refused", "it asks for an account"
    ),
    Meaning(r"DRM protected", "refused", "it is protected by DRM"),
    # Also what a missing JavaScript runtime looks like, and so not final.
    Meaning(r"[Ff]ormat is not available|No video formats", "failed", "no single file within the bounds is offered"),
    Meaning(r"HTTP Error 4(0[0-79]|1\d|51)", "dead", "there is no such page"),
    Meaning(
        r"[Vv]ideo (is )?(unavailable|not available)|has been removed|been terminated|does not exist"
        r"|[Ii]ncomplete YouTube ID|not a valid URL|Unsupported URL|No suitable extractor",
        "dead",
        "there is no such video",
    ),
    Meaning(r"in your country|geo.?restrict|blocked it", "dead", "the video is not shown here"),
    Meaning(r"live event|Premieres in|is upcoming", "dead", "the video is not shown yet"),
)


class _Log:
    """What yt-dlp says. Its errors come as exceptions too, and end in the ledger."""

    debug = error = staticmethod(logger.debug)
    warning = staticmethod(logger.warning)


class Pages:
    """Pages of one site, asked for one after another; yt-dlp itself pauses before each of its requests but the first.

    Args:
        trailers: bounds, extractors and pauses.
        folder: gets the videos.
        cookies: a cookies.txt of a signed-in session.
    """

    def __init__(self, trailers: Trailers, folder: Path, cookies: Path | None = None) -> None:
        height = trailers.max_height
        self._trailers = trailers
        self._deadline = math.inf
        # One for all pages: to read the certificates for its connections takes longer than to download a short video.
        self._site = yt_dlp.YoutubeDL(
            {
                "allowed_extractors": trailers.extractors,
                "cachedir": False,
                "continuedl": False,
                "cookiefile": str(cookies) if cookies else None,
                "extractor_retries": 1,
                "fixup": "never",
                # The frames alone are wanted, and a single file needs no ffmpeg to merge it.
                "format": f"bv[height<=?{height}]/b[height<=?{height}]/bv*[height<=?{height}]",
                "format_sort": [f"res:{height}", "vcodec:h264"],
                "fragment_retries": 1,
                # Else a page that is not shown here is asked for from a made-up address, and all that follow, too.
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
        """Ends the connections and saves the cookies."""
        self._site.close()

    def search(self, query: str) -> list[str]:
        """The addresses of a search's first hits whose duration is within the bounds or not known.

        Raises:
            Rejected: as `fetch`.
        """
        found = self._ask(query, self._searching, download=False)
        return [hit["url"] for hit in found.get("entries") or [] if hit.get("url") and self._fits(hit)]

    def fetch(self, url: str) -> Path:
        """Downloads a page's video in its largest format within the bounds, a single file, and verifies it.

        Raises:
            Rejected: with the ledger's state for what came instead.
            Throttled: if the site sends crawlers away.
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
        try:
            return self._site.extract_info(url, download=download) or {}
        except DownloadCancelled as error:
            if isinstance(error.__cause__, Rejected):
                raise error.__cause__ from None
            raise
        except YoutubeDLError as error:
            raise meaning_of(error) from error

    def _fits(self, hit: dict[str, Any]) -> bool:
        try:
            check_seconds(hit.get("duration"), self._trailers)
        except Rejected:
            return False
        return True

    def _match(self, video: dict[str, Any], *, incomplete: bool) -> None:
        try:
            check_seconds(video.get("duration"), self._trailers)
        except Rejected as rejected:
            raise DownloadCancelled from rejected

    def _check_progress(self, now: dict[str, Any]) -> None:
        most = self._trailers.max_bytes
        if max(now.get("downloaded_bytes") or 0, now.get("total_bytes") or 0) > most:
            raise DownloadCancelled from Rejected("oversize", f"more than {most} bytes")
        if time.monotonic() > self._deadline:
            raise DownloadCancelled from Rejected("failed", "the download took too long")


def meaning_of(error: YoutubeDLError) -> Rejected:
    """What an error of yt-dlp stands for in the ledger."""
    cause = _cause(error)
    status = cause.status if isinstance(cause, HTTPError) else None
    for row in MEANINGS:
        if re.search(row.pattern, str(error)):
            return (Throttled if row.throttled else Rejected)(row.state, row.reason, status=status)
    if isinstance(cause, TransportError):
        return Rejected("failed", "the connection failed")
    return Rejected("failed", f"HTTP status {status}" if status else "the download failed", status=status)


def _cause(error: YoutubeDLError) -> BaseException | None:
    exc_info = getattr(error, "exc_info", None)
    return exc_info[1] if exc_info else error
