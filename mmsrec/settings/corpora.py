"""The rows of params.yaml that say what a model is pre-trained on, and judged on without training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmsrec.settings.crawling import ITEM_ID, CrawlOverrides
from mmsrec.settings.row import Frozen, Positive, RawPath

ARCHIVE = ".zip"
# Below data/raw; parts of a name may be patterns of one folder level, with * and ?.
_GLOB = r"^[\w-][\w.=-]*(/[\w*?-][\w.=*?-]*)*$|^[\w*?-][\w.=*?-]*$"


class ShardCorpus(Frozen):
    """A dataset of the hub in the format of WebDataset: tar shards of frame features and captions (CLIP-WebVid)."""

    kind: Literal["shards"]
    repository: Annotated[str, Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$", max_length=128)] = Field(
        description="OWNER/NAME of a dataset on the hub"
    )
    revision: Annotated[str, Field(pattern=r"^\w[\w./-]*$", max_length=128)] = Field(
        "main", description="branch, tag or commit; the first download pins the commit"
    )
    files: Annotated[str, Field(pattern=_GLOB)] = Field(
        description="pattern of the shards' paths; * and ? stay in a folder"
    )
    frames: Literal["uniform", "first"] = Field(
        description="which of a clip's frames count: `count` evenly spaced ones, or the first `count`"
    )
    count: Positive
    keep: Literal["mean", "frames"] = Field(description="what is stored of them")

    @property
    def raw_files(self) -> list[str]:
        """The files of the registry that the corpus is made of: none, the hub has a stage of its own."""
        return []


class CaptionSplit(Frozen):
    """A choice of clips by a table that lists some."""

    include: RawPath | None = Field(None, description="only these")
    exclude: RawPath | None = Field(None, description="all but these")

    @model_validator(mode="after")
    def _one_list_at_least(self) -> "CaptionSplit":
        if not (self.include or self.exclude):
            raise ValueError("a split needs include or exclude")
        return self


class ClipCorpus(Frozen):
    """Videos with captions. A path may lead through a zip archive: DATASET/FILE.zip/MEMBER."""

    kind: Literal["clips"]
    captions: RawPath = Field(
        description="MSR-VTT's JSON, or a CSV or Parquet table of item_id or video_id and caption or sentence"
    )
    split: CaptionSplit | None = None
    videos: str = Field(description="an http(s) URL, or a path below data/raw, that holds {item_id}")
    crawl: CrawlOverrides = CrawlOverrides()
    max_bytes: Positive = Field(50_000_000, description="larger videos are oversize")
    published: str | None = Field(None, description="name of this corpus in the paper's tables")
    missing: Literal["drop", "keep"] = Field("drop", description="pairs that lack one of the two features")

    @model_validator(mode="after")
    def _videos_hold_their_field(self) -> "ClipCorpus":
        if ITEM_ID not in self.videos:
            raise ValueError(f"videos must hold {ITEM_ID}")
        return self

    @property
    def is_web(self) -> bool:
        """Whether the videos come from the web, not from below data/raw."""
        return "://" in self.videos

    @property
    def raw_files(self) -> list[str]:
        """The files of the registry that the corpus is made of; of a folder of videos none is listed."""
        return [*self.tables, *([self.archive] if self.archive else [])]

    @property
    def tables(self) -> list[str]:
        """The files of the captions and of the split."""
        lists = [self.split.include, self.split.exclude] if self.split else []
        return list(dict.fromkeys(split_archive(file)[0] for file in [self.captions, *filter(None, lists)]))

    @property
    def archive(self) -> str | None:
        """The archive that the videos are in, if they are in one."""
        file, member = split_archive(self.videos)
        return file if member else None


Corpus = Annotated[ShardCorpus | ClipCorpus, Field(discriminator="kind")]


def split_archive(path: str) -> tuple[str, str | None]:
    """A path below data/raw as its file and, where it leads through a zip archive, the member; None without one."""
    file, slash, member = path.partition(f"{ARCHIVE}/")
    return (f"{file}{ARCHIVE}", member) if slash and "://" not in path else (path, None)
