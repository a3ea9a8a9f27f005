"""Settings of `pretraining` and rows of `pretrainings` (Sections 3.2 and 4.1 of the paper)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmsrec.models.mmsrec_settings import ItemEncoderSettings
from mmsrec.settings.row import Epochs, Frozen, Name, Rate, Seed, Weight, overrides


class Weights(Frozen):
    """Coefficients of the terms of the loss (equation 5); a term of weight 0 is not computed."""

    vv: Weight = Field(description="weight of (v, v'), two views of an item's vision")
    tt: Weight = Field(description="weight of (t, t'), two views of its text")
    vt: Weight = Field(description="weight of (v, t), its vision and its text")
    both: Weight = Field(description="weight of (vt, vt'), two views of both together")

    @model_validator(mode="after")
    def _one_is_positive(self) -> "Weights":
        if not any(self.model_dump().values()):
            raise ValueError("at least one weight must be positive")
        return self


class Pretraining(ItemEncoderSettings):
    """Settings of a pre-training (Section 4.1.3 of the paper)."""

    weights: Weights
    negatives: Literal["global", "local"] = Field(
        description="global: negatives come from the whole batch; local: from the process's share of the batch"
    )
    learning_rate: Rate
    decay: Annotated[float, Field(gt=0, le=1)] = Field(description="factor on the learning rate after each epoch")
    weight_decay: Weight
    clip_norm: Rate
    batch_size: Annotated[int, Field(ge=2, le=2**20)] = Field(
        description="number of pairs in a step, over all processes"
    )
    max_epochs: Epochs
    precision: Literal["float32", "bfloat16"] = Field(description="precision of matrix products")


PretrainingOverrides = overrides("PretrainingOverrides", Pretraining)


class PretrainingRow(Frozen):
    """A pre-trained item encoder."""

    corpus: Name = Field(description="row of `corpora`")
    encoder: Name = Field(description="row of `encoders` that made the features of the pairs")
    seed: Seed = Field(description="seed of weights, dropout and the order of the pairs")
    settings: PretrainingOverrides = Field(PretrainingOverrides(), description="changes to `pretraining`; {} for none")


def pretraining_settings(common: Pretraining, row: PretrainingRow) -> Pretraining:
    """The settings of one pre-training: the common ones, then the row's."""
    return Pretraining(**common.model_dump() | row.settings.model_dump(exclude_unset=True))
