"""The settings that every training on a domain has, whatever its model."""

from typing import Annotated, Literal

from pydantic import Field

from mmsrec.settings.row import Frozen, Positive, overrides

Precision = Literal["float32", "bfloat16"]


class Trainer(Frozen):
    """The training of one model on one domain (Section 4.2.4 of the paper)."""

    max_length: Annotated[int, Field(ge=2)] = Field(description="N: the last N items of a sequence, [mask] included")
    augment: Literal["prefixes", "windows", "none"] = Field(
        description="every prefix of a sequence, windows that hold every action once as a target, or its end alone"
    )
    sampled_items: Annotated[int, Field(ge=0)] = Field(
        description="items drawn a step for a softmax with logQ correction; 0: the softmax runs over all items"
    )
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: Annotated[float, Field(gt=0)]
    batch_size: Positive = Field(description="sequences a step")
    max_epochs: Positive
    patience: Positive = Field(description="epochs without a better validation Recall@10 before training stops")
    precision: Precision = Field(description="of the matrix products")


TrainerOverrides = overrides("TrainerOverrides", Trainer)
