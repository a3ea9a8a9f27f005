"""The settings of the paper's item encoder and of the model that is built on it."""

from typing import Literal

from pydantic import Field

from mmsrec.models.transformer_settings import TransformerSettings
from mmsrec.settings.row import Rate, Share


class ItemEncoderSettings(TransformerSettings):
    """The transformer of both towers (Sections 3.2.2, 4.1.3 and 4.2.4 of the paper)."""

    whiten: bool = Field(description="decorrelate features and scale them to unit variance before the projection")
    missing: Literal["mask_token", "drop"] = Field(
        description="mask_token: the [mask] replaces an absent modality; drop: its token is not read"
    )
    temperature: Rate
    final_norm: bool = Field(False, description="one more LayerNorm follows the last transformer block")
    output_norm: Literal["shared", "modality"] = Field(
        "shared", description="LayerNorm of the output: shared: one for all modalities; modality: one for each"
    )
    item_position: Literal["none", "first"] = Field(
        "none", description="position of a single item: none, or that of the first place of a full window"
    )
    attention_start: Literal["normal", "xavier"] = Field(
        "normal",
        description="first weights of attention inputs: normal(0.02), or Xavier uniform and equal in all blocks",
    )


class MMSRecSettings(ItemEncoderSettings):
    """The paper's model (Section 3.3), and its measured variants."""

    objective: Literal["masked", "causal"] = Field(
        description="masked: hidden items are predicted (Section 3.3.3); causal: every item predicts the next"
    )
    mask_probability: Share = Field(
        description="probability that an item before the last is hidden; only for objective: masked"
    )
    positions: Literal["end", "start"] = Field(
        description="end: positions count from the end of the window; start: from the sequence's first item in it"
    )
    item_tower: Literal["shared", "own"] = Field(
        description="shared: single items pass the transformer of sequences; own: a second transformer"
    )
    item_embedding: bool = Field(description="add a trained vector of each item to its tokens")
    hidden_modality: Literal["none", "vision", "text"] = Field(
        "none", description="a modality that no item shows; a [mask] keeps its token of it"
    )
