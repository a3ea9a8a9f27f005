"""Settings for the places of an item's media and for the crawls that fetch them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from mmsrec.settings.row import Bytes, Few, Frozen, Positive, Rate, RawPath, Seconds, Width, overrides
from mmsrec.urls import without_credentials

ITEM_ID = "{item_id}"


def _check_credentials(url: str) -> str:
    if url != without_credentials(url):
        raise ValueError("a URL must not contain credentials, because the settings are kept and printed")
    return url


Url = Annotated[str, AfterValidator(_check_credentials)]

# The settings that determine an item's state. The other settings affect only the speed of a crawl.
PICTURE_RULES = {
    "user_agent",
    "max_bytes",
    "max_pixels",
    "max_redirects",
    "min_side",
    "min_contrast",
    "most_alike",
    "respect_robots",
    "respect_opt_out",
    "allow_private",
    "host_rewrites",
}
TRAILER_RULES = {"url", "search", "hits", "extractors", "min_seconds", "max_seconds", "max_height", "max_bytes"}


class Vision(Frozen):
    """The place of the pictures or videos of a domain's items."""

    kind: Literal["image", "poster", "trailer"] = Field(
        description="image: each item's own media_url; poster: a picture per item at `pattern`; trailer: a video"
    )
    pattern: Url | None = Field(
        None, description="posters only: an http(s) URL or a path below the raw folder; it contains {item_id}"
    )
    trailer_ids: RawPath | None = Field(
        None, description="trailers only: GroupLens' ml-20m-youtube.zip or its table ml-youtube.csv"
    )

    @model_validator(mode="after")
    def _check_fields_of_the_kind(self) -> "Vision":
        if (self.kind == "poster") != (self.pattern is not None):
            raise ValueError("pattern must be set for the kind poster, and for no other kind")
        if self.pattern is not None and ITEM_ID not in self.pattern:
            raise ValueError(f"pattern must contain {ITEM_ID}")
        if self.trailer_ids and self.kind != "trailer":
            raise ValueError("trailer_ids may be set for the kind trailer only")
        if self.kind == "trailer" and self.trailer_ids is None:
            raise ValueError("the kind trailer needs trailer_ids")
        return self


class Trailers(Frozen):
    """Settings for the search and the download of trailers with yt-dlp."""

    url: Url = Field(description="page of a known trailer; {id} stands for its id")
    search: Url = Field(description="query for a film without a known trailer; contains {hits} and {title}")
    hits: Few = Field(description="number of search results that are tried")
    extractors: Annotated[list[str], Field(min_length=1)] = Field(description="the allowed yt-dlp extractors")
    min_seconds: Seconds = Field(description="shorter videos are not trailers")
    max_seconds: Seconds = Field(description="longer videos are not trailers")
    max_height: Width = Field(description="height of the largest format that is fetched, in pixels")
    max_bytes: Bytes
    attempts: Few = Field(description="number of tries of one page before its item counts as failed")
    pause: Seconds = Field(description="pause between two requests; doubled after each consecutive block")
    max_pause: Seconds
    max_blocks: Few = Field(description="number of consecutive blocks after which the crawl stops")
    read_timeout: Seconds
    total_timeout: Seconds = Field(description="longest duration of one download")

    @model_validator(mode="after")
    def _check_templates_and_bounds(self) -> "Trailers":
        for key, fields in {"url": ["{id}"], "search": ["{hits}", "{title}"]}.items():
            if missing := [field for field in fields if field not in getattr(self, key)]:
                raise ValueError(f"{key} must contain {', '.join(missing)}")
        if self.min_seconds >= self.max_seconds:
            raise ValueError("min_seconds must be below max_seconds")
        return self


class Crawl(Frozen):
    """Settings for all crawls over HTTP: user agent, rates, bounds, and the rules that a crawl respects."""

    user_agent: Annotated[str, Field(pattern=r"^[A-Za-z_-]+(/[!-~]+)?( [ -~]+)?$")] = Field(
        description="name of the crawler; robots.txt and X-Robots-Tag refer to its first word"
    )
    host_concurrency: Few = Field(description="number of simultaneous requests to one host")
    host_rate: Rate = Field(description="number of requests to one host per second")
    host_failures: Positive = Field(
        description="number of consecutive failures after which a run stops requests to a host"
    )
    connect_timeout: Seconds
    read_timeout: Seconds = Field(description="longest wait for the next bytes of an answer")
    total_timeout: Seconds = Field(description="longest duration of one request, with headers and body")
    max_bytes: Bytes = Field(description="size above which an answer is oversize")
    max_pixels: Positive = Field(description="number of pixels above which a picture is not decoded")
    max_redirects: Annotated[int, Field(ge=0, le=1000)]
    attempts: Few = Field(description="number of tries of one URL before its item counts as failed")
    backoff: Seconds = Field(
        description="pause after the first failure; doubled after each further failure, with jitter"
    )
    max_pause: Seconds = Field(description="longest pause; it also bounds a server's Retry-After")
    respect_robots: bool = Field(description="obey robots.txt (RFC 9309)")
    respect_opt_out: bool = Field(description="obey X-Robots-Tag: noai, noimageai, noml, noindex, noimageindex, none")
    allow_private: bool = Field(description="also fetch from private and loopback addresses")
    host_rewrites: dict[Url, Annotated[list[Url], Field(min_length=1)]] = Field(
        description="moved origins: the same path is tried at each replacement, then at the original"
    )
    min_side: Positive = Field(16, description="pixels of the shorter side below which a picture is a placeholder")
    min_contrast: Annotated[int, Field(ge=0, le=255)] = Field(
        4, description="a picture whose channels all span fewer levels, of 255, is a placeholder; 0: never"
    )
    most_alike: Annotated[float, Field(gt=0, le=1)] = Field(
        0.02, description="share of a host's pictures with equal bytes, above which they are a placeholder; 1: never"
    )
    trailers: Trailers


TrailerOverrides = overrides("TrailerOverrides", Trailers)


class CrawlOverrides(overrides("_CrawlOverrides", Crawl)):
    """The changes of one domain or corpus to the common crawl settings."""

    trailers: TrailerOverrides = TrailerOverrides()


def picture_rules(crawl: Crawl) -> dict[str, Any]:
    """The settings that determine the state of a picture or a clip. A setting that has its default is left out."""
    return crawl.model_dump(mode="json", include=PICTURE_RULES, exclude_defaults=True)


def crawl_policy(common: Crawl, own: CrawlOverrides) -> Crawl:
    """The common crawl settings with the changes of one domain or corpus."""
    changes = own.model_dump(exclude_none=True)
    trailers = common.trailers.model_dump() | changes.pop("trailers")
    return Crawl(**common.model_dump() | changes | {"trailers": trailers})
