"""The settings of the blend of trained models."""

from typing import Annotated

from pydantic import Field, model_validator

from mmsrec.settings.row import Frozen, Name, Positive

MOST_PARTS = 4  # dvc.yaml names so many files of weights for each training


class BlendSettings(Frozen):
    """A weighted sum of the scores of trained models, with a score of repeats; with one part, that score alone."""

    parts: Annotated[list[Name], Field(min_length=1, max_length=MOST_PARTS)] = Field(
        description="rows of `variants` whose scores are added, trained in the same experiment"
    )
    users: Positive = Field(description="users whose validation items choose the weights; all, if there are fewer")

    @model_validator(mode="after")
    def _parts_differ(self) -> "BlendSettings":
        if len(set(self.parts)) < len(self.parts):
            raise ValueError(f"a blend names each part once, found {', '.join(self.parts)}")
        return self
