"""The rows of `domains` and `splits`, which are data sets and orders of their sequences."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mmsrec.settings.crawling import CrawlOverrides, Vision
from mmsrec.settings.evaluation import Protocol
from mmsrec.settings.row import Frozen, Name, Positive, RawPath, Seed, Share

Modality = Literal["vision", "text"]
Format = Literal["amazon", "amazon-2018", "movielens", "table"]
Ties = Literal["source", "item", "shuffle"]
Repeats = Literal["keep", "first-of-pair", "first-of-row"]
MEMBERS = 8  # the largest number of domains in a union, because a stage of DVC names a fixed number of inputs


class _Sequences(Frozen):
    """The keys that all domains have."""

    k_core: Positive = Field(
        description="lowest k that a report may have; features are made for the items of this k-core"
    )
    published: str | None = Field(None, description="name of this domain in the paper's tables")
    repeats: Repeats = Field(
        "keep",
        exclude_if=lambda rule: rule == "keep",
        description="keep: all rows, as in the paper; first-of-pair: one of each user and item; "
        "first-of-row: one of each user, item and time",
    )


class AttributeRules(Frozen):
    """The attributes of a domain's items, which some models read: brands, categories, genres."""

    drop_first: bool = Field(
        False, description="leave out the first category of each path, the shop's own; only for Amazon's formats"
    )
    min_items: Positive = Field(1, description="an attribute of fewer items of the k-core is left out")


class Domain(_Sequences):
    """A data set: items with their texts and media, and the actions of users on them."""

    source: Format = Field(description="format of the raw files")
    interactions: RawPath
    items: RawPath
    texts: list[RawPath] = Field([], description="further tables whose columns are text fields by item id")
    text_fields: Annotated[list[str], Field(min_length=1)] = Field(
        description="fields that are joined into an item's text"
    )
    vision: Vision | None = Field(None, description="place of the pictures or trailers; absent: nothing is crawled")
    attributes: AttributeRules | None = Field(
        None, description="rules for the items' attributes; absent: no model that reads attributes runs on this domain"
    )
    crawl: CrawlOverrides = CrawlOverrides()

    @model_validator(mode="after")
    def _paths_have_a_first_category(self) -> "Domain":
        if self.attributes and self.attributes.drop_first and self.source not in ("amazon", "amazon-2018"):
            raise ValueError(f"attributes.drop_first: items of source: {self.source} have no paths of categories")
        return self


class UnionDomain(_Sequences):
    """Several domains as one: their users and items stay apart, and each id begins with its domain's name."""

    vision: ClassVar[None] = None
    attributes: ClassVar[None] = None
    source: Literal["union"]
    of: Annotated[list[Name], Field(min_length=2, max_length=MEMBERS)] = Field(
        description="rows of `domains` that have raw files"
    )


AnyDomain = Annotated[Domain | UnionDomain, Field(discriminator="source")]


class Split(Frozen):
    """The order of a user's actions; the last is the test item and the one before it the validation item."""

    ties: Ties = Field(description="order of a user's actions that share a timestamp")
    seed: Seed = Field(
        0, description="seed of the random order and of the cold items; only for ties: shuffle, and for cold_items"
    )
    # Without cold items, the row is recorded as it was before this key existed. So no result is made again.
    cold_items: Share = Field(
        0.0,
        exclude_if=lambda share: not share,
        description="share of the items that are removed from training and validation, and that the test asks for",
    )

    @property
    def protocols(self) -> list[Protocol]:
        """The protocols of an evaluation besides those of the key `evaluation`."""
        return ["cold"] if self.cold_items else []

    @property
    def ranks(self) -> Literal["ranks", "cold_ranks"]:
        """The artifact that ranks.parquet is."""
        return "cold_ranks" if self.cold_items else "ranks"
