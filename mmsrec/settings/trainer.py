"""The settings that every training on a domain has, whatever its model."""

from typing import Annotated, Literal

from pydantic import Field

from mmsrec.settings.row import BatchSize, Epochs, Frozen, Natural, Rate, Weight, overrides

Precision = Literal["float32", "bfloat16"]
Augment = Literal["prefixes", "random", "windows", "none"]
Schedule = Literal["constant", "linear"]
PretrainedLayers = Literal["all", "input"]


class Trainer(Frozen):
    """The training of one model on one domain (Section 4.2.4 of the paper)."""

    max_length: Annotated[int, Field(ge=2, le=2**16)] = Field(
        description="N, the largest number of items of a sequence, [mask] included"
    )
    augment: Augment = Field(
        description="prefixes: every prefix; random: one prefix of each user, drawn in each epoch; "
        "windows: every action once as a target; none: the end alone"
    )
    training_users: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="share of the users whose sequences train, drawn by the seed; validation and test rank all"
    )
    pretrained_layers: PretrainedLayers = Field(
        "all", description="layers that take pre-trained weights: all; input: the embeddings of features alone"
    )
    sampled_items: Natural = Field(
        description="items drawn in a step for a softmax with logQ correction; 0: a softmax over all items"
    )
    logit_adjustment: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="weight of log(training count + 1), which is added to an item's logit in training alone. "
        "At 0, scores hold popularity. At 1, they tell how well an item fits, also a rare one.",
    )
    learning_rate: Rate
    schedule: Schedule = Field(
        "constant", description="the learning rate: constant; linear: it falls in a line, to 0 after max_epochs"
    )
    weight_decay: Weight
    clip_norm: Rate | None = Field(description="largest norm of the gradient of a step; null: no limit")
    batch_size: BatchSize = Field(description="number of sequences in a step")
    max_epochs: Annotated[int, Field(ge=0, le=10**6)] = Field(
        description="0: the weights of the start as they are, without a step; only with starts_from"
    )
    patience: Epochs = Field(description="number of epochs without a better validation Recall@10 before training stops")
    validation_users: Natural = Field(
        0, description="users that validation ranks in each epoch, the same in all, drawn by the seed; 0: all users"
    )
    precision: Precision = Field(description="precision of matrix products")

    def learning_rate_of(self, epoch: int) -> float:
        """The learning rate of an epoch, which counts from 1."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 - (epoch - 1) / self.max_epochs)


TrainerOverrides = overrides("TrainerOverrides", Trainer)
