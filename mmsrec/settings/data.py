"""The rows of `domains` and `splits`, which are data sets and orders of their sequences."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmsrec.settings.crawling import CrawlOverrides, Vision
from mmsrec.settings.row import Frozen, Positive, RawPath

Modality = Literal["vision", "text"]
Format = Literal["amazon", "amazon-2018", "movielens", "table"]
Ties = Literal["source", "item", "shuffle"]


class AttributeRules(Frozen):
    """The attributes of a domain's items, which some models read: brands, categories, genres."""

    drop_first: bool = Field(
        False, description="leave out the first category of each path, the shop's own; only for Amazon's formats"
    )
    min_items: Positive = Field(1, description="an attribute of fewer items of the k-core is left out")


class Domain(Frozen):
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
    k_core: Positive = Field(
        description="lowest k that a report may have; features are made for the items of this k-core"
    )
    published: str | None = Field(None, description="name of this domain in the paper's tables")
    crawl: CrawlOverrides = CrawlOverrides()

    @model_validator(mode="after")
    def _paths_have_a_first_category(self) -> "Domain":
        if self.attributes and self.attributes.drop_first and self.source not in ("amazon", "amazon-2018"):
            raise ValueError(f"attributes.drop_first: items of source: {self.source} have no paths of categories")
        return self


class Split(Frozen):
    """The order of a user's actions; the last is the test item and the one before it the validation item."""

    ties: Ties = Field(description="order of a user's actions that share a timestamp")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed of the random order; only for ties: shuffle")
