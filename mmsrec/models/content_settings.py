"""The settings of the content baseline."""

from pydantic import Field

from mmsrec.settings.row import Frozen, Positive


class ContentSettings(Frozen):
    """Similarity of features, without any training."""

    last: Positive = Field(description="the latest items of a user that are compared with the candidates")
