"""The rows of `corpora`, which are pairs of pictures or clips with texts for pre-training and its zero-shot test."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmsrec.settings.crawling import ITEM_ID, CrawlOverrides, Url
from mmsrec.settings.row import Bytes, Few, Frozen, Name, RawPath

ARCHIVE = ".zip"
# A path in a dataset on the hub. * and ? match any characters of one folder level.
_GLOB = r"^[\w-][\w.=-]*(/[\w*?-][\w.=*?-]*)*$|^[\w*?-][\w.=*?-]*$"


class ShardCorpus(Frozen):
    """A dataset on the hub in the format of WebDataset: tar shards of frame features and captions (CLIP-WebVid)."""

    kind: Literal["shards"]
    repository: Annotated[str, Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$", max_length=128)] = Field(
        description="OWNER/NAME of a dataset on the hub"
    )
    revision: Annotated[str, Field(pattern=r"^\w[\w./-]*$", max_length=128)] = Field(
        "main", description="branch, tag or commit; the first download pins the commit"
    )
    files: Annotated[str, Field(pattern=_GLOB)] = Field(
        description="pattern of the shards' paths; * and ? do not match a slash"
    )
    frames: Literal["uniform", "first"] = Field(
        description="uniform: `count` evenly spaced frames of a clip are used; first: its first `count`"
    )
    count: Few
    keep: Literal["mean", "frames"] = Field(
        description="mean: the mean of their vectors is stored; frames: every vector is stored"
    )

    @property
    def raw_files(self) -> list[str]:
        """The files of the corpus that the registry names: none, because a separate stage reads the hub."""
        return []


class CaptionSplit(Frozen):
    """A selection of clips by tables that list their ids."""

    include: RawPath | None = Field(None, description="table of the clips that are used; absent: all clips")
    exclude: RawPath | None = Field(None, description="table of the clips that are left out")

    @model_validator(mode="after")
    def _one_list_at_least(self) -> "CaptionSplit":
        if not (self.include or self.exclude):
            raise ValueError("a split needs include or exclude")
        return self


class ClipCorpus(Frozen):
    """Videos with captions. A path may name a member of a zip archive: DATASET/FILE.zip/MEMBER."""

    kind: Literal["clips"]
    captions: RawPath = Field(
        description="MSR-VTT's JSON, or a CSV or Parquet table of item_id or video_id and caption or sentence"
    )
    split: CaptionSplit | None = None
    videos: Url = Field(description="an http(s) URL, or a path below data/raw, that contains {item_id}")
    crawl: CrawlOverrides = CrawlOverrides()
    max_bytes: Bytes = Field(50_000_000, description="size above which a video is oversize")
    published: str | None = Field(None, description="name of this corpus in the paper's tables")
    missing: Literal["drop", "keep"] = Field("drop", description="drop or keep pairs that lack one of the two features")

    @model_validator(mode="after")
    def _videos_hold_their_field(self) -> "ClipCorpus":
        if ITEM_ID not in self.videos:
            raise ValueError(f"videos must contain {ITEM_ID}")
        return self

    @property
    def is_web(self) -> bool:
        """Whether the videos come from the web, not from below data/raw."""
        return "://" in self.videos

    @property
    def raw_files(self) -> list[str]:
        """The files of the corpus that the registry names. Videos in a folder are not among them."""
        return [*self.tables, *([self.archive] if self.archive else [])]

    @property
    def tables(self) -> list[str]:
        """The files of the captions and of the split."""
        lists = [self.split.include, self.split.exclude] if self.split else []
        return list(dict.fromkeys(split_archive(file)[0] for file in [self.captions, *filter(None, lists)]))

    @property
    def archive(self) -> str | None:
        """The archive of the videos, if they are in an archive."""
        file, member = split_archive(self.videos)
        return file if member else None


class DomainCorpus(Frozen):
    """The pictures or trailers of a domain's items with the items' texts: one pair for each item."""

    kind: Literal["domain"]
    domain: Name = Field(description="row of `domains`; the items of its lowest k-core are paired")
    missing: Literal["drop", "keep"] = Field("drop", description="drop or keep pairs that lack one of the two features")

    @property
    def raw_files(self) -> list[str]:
        """The files of the corpus that the registry names: none, because the domain has them."""
        return []


Corpus = Annotated[ShardCorpus | ClipCorpus | DomainCorpus, Field(discriminator="kind")]


def split_archive(path: str) -> tuple[str, str | None]:
    """Splits a path below data/raw into a file and the member of a zip archive; None for a path without an archive."""
    file, slash, member = path.partition(f"{ARCHIVE}/")
    return (f"{file}{ARCHIVE}", member) if slash and "://" not in path else (path, None)
