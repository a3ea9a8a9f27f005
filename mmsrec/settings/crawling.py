"""The rows of params.yaml that say where an item's media are and how they are fetched."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmsrec.settings.row import Frozen, Positive, RawPath, Seconds, overrides

ITEM_ID = "{item_id}"

# The settings that decide in which state an item ends; the others decide only how fast it gets there.
PICTURE_RULES = {
    "user_agent",
    "max_bytes",
    "max_pixels",
    "max_redirects",
    "respect_robots",
    "respect_opt_out",
    "allow_private",
    "host_rewrites",
}
TRAILER_RULES = {"url", "search", "hits", "extractors", "min_seconds", "max_seconds", "max_height", "max_bytes"}


class Vision(Frozen):
    """Where the pictures or videos of a domain's items are."""

    kind: Literal["image", "poster", "trailer"] = Field(
        description="image: the items' own media_url; poster: one picture an item at `pattern`; trailer: a video"
    )
    pattern: str | None = Field(
        None, description="of posters: an http(s) URL, or a path below the raw folder, that holds {item_id}"
    )
    trailer_ids: RawPath | None = Field(None, description="GroupLens' ml-20m-youtube.zip, or its table ml-youtube.csv")

    @model_validator(mode="after")
    def _fields_of_the_kind(self) -> "Vision":
        if (self.kind == "poster") != (self.pattern is not None):
            raise ValueError("pattern belongs to the kind poster, and that kind needs it")
        if self.pattern is not None and ITEM_ID not in self.pattern:
            raise ValueError(f"pattern must hold {ITEM_ID}")
        if self.trailer_ids and self.kind != "trailer":
            raise ValueError("trailer_ids belongs to the kind trailer")
        if self.kind == "trailer" and self.trailer_ids is None:
            raise ValueError("the kind trailer needs trailer_ids")
        return self


class Trailers(Frozen):
    """How trailers are found and fetched with yt-dlp."""

    url: str = Field(description="page of a known trailer; {id} is its id")
    search: str = Field(description="query for a film without a known trailer; {hits} and {title} are filled in")
    hits: Positive = Field(description="search results that are tried")
    extractors: Annotated[list[str], Field(min_length=1)] = Field(description="yt-dlp extractors that may run")
    min_seconds: Seconds = Field(description="shorter videos are not trailers")
    max_seconds: Seconds = Field(description="longer videos are not trailers")
    max_height: Positive = Field(description="lines of the largest format that is fetched")
    max_bytes: Positive
    attempts: Positive = Field(description="tries of one page before its item counts as failed")
    pause: Seconds = Field(description="between two requests; doubled after each throttled one")
    max_pause: Seconds
    walls: Positive = Field(description="throttled or sign-in answers in a row that end the run")
    read_timeout: Seconds
    total_timeout: Seconds = Field(description="of one download")

    @model_validator(mode="after")
    def _templates_hold_their_fields(self) -> "Trailers":
        for key, fields in {"url": ["{id}"], "search": ["{hits}", "{title}"]}.items():
            if missing := [field for field in fields if field not in getattr(self, key)]:
                raise ValueError(f"{key} must hold {', '.join(missing)}")
        if self.min_seconds >= self.max_seconds:
            raise ValueError("min_seconds must be below max_seconds")
        return self


class Crawl(Frozen):
    """How pictures are fetched: under which name, how fast, how much, and what is respected."""

    user_agent: Annotated[str, Field(pattern=r"^[A-Za-z_-]+(/[!-~]+)?( [ -~]+)?$")] = Field(
        description="names the crawler; its first word is the name that robots.txt and X-Robots-Tag may address"
    )
    host_concurrency: Positive = Field(description="requests to one host at a time")
    host_rate: Annotated[float, Field(gt=0)] = Field(description="requests to one host a second")
    host_failures: Positive = Field(description="connections in a row that fail before a host is given up for this run")
    connect_timeout: Seconds
    read_timeout: Seconds = Field(description="longest silence of a server")
    total_timeout: Seconds = Field(description="of one request, headers and body together")
    max_bytes: Positive = Field(description="larger answers are oversize")
    max_pixels: Positive = Field(description="pictures with more are not decoded")
    max_redirects: Annotated[int, Field(ge=0)]
    attempts: Positive = Field(description="tries of one URL before its item counts as failed")
    backoff: Seconds = Field(description="pause after the first failed try; doubled each time, with jitter")
    max_pause: Seconds = Field(description="longest pause, a server's Retry-After included")
    respect_robots: bool = Field(description="obey robots.txt (RFC 9309)")
    respect_opt_out: bool = Field(description="obey X-Robots-Tag: noai, noimageai, noindex, noimageindex, none")
    allow_private: bool = Field(description="fetch from private and loopback addresses too")
    host_rewrites: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        description="origins that moved: the same path is asked for at these first, then at the original"
    )
    trailers: Trailers


TrailerOverrides = overrides("TrailerOverrides", Trailers)


class CrawlOverrides(overrides("_CrawlOverrides", Crawl)):
    """What one crawl does otherwise; of the trailers too it names only what it changes."""

    trailers: TrailerOverrides = TrailerOverrides()


def crawl_policy(common: Crawl, own: CrawlOverrides) -> Crawl:
    """The common policy with what one crawl does otherwise."""
    changes = own.model_dump(exclude_none=True)
    trailers = common.trailers.model_dump() | changes.pop("trailers")
    return Crawl(**common.model_dump() | changes | {"trailers": trailers})
