"""The rows of `catalogues`: items that arrived after a training, as further candidates of the trained models."""

from typing import Annotated

from pydantic import Field

from mmsrec.settings.row import Frozen, Name, RawPath


class Catalogue(Frozen):
    """A table of new items of a domain. The domain's format, texts, media and crawl settings apply to it."""

    domain: Name = Field(description="row of `domains` whose models recommend the items")
    items: RawPath = Field(description="table of items in the format of the domain; it may also have the old items")
    variants: Annotated[list[Name], Field(min_length=1)] = Field(
        description="rows of `variants` whose encoders make the features of the items"
    )
