"""The settings of the content baseline."""

from pydantic import Field

from mmsrec.settings.row import Frozen, Positive


class ContentSettings(Frozen):
    """Similarity of features, without any training."""

    last: Positive = Field(description="number of a user's latest items that are compared with the candidates")
