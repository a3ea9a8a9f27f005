"""The translation of our weights to those of RecBole's models, and the settings of a comparison."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmsrec.settings.params import ModelSettings, read_params

ROOT = Path(__file__).parents[2]
LONGEST = 50  # items of a history
POSITION = "position_embedding.weight"

Arrays = dict[str, np.ndarray]

BLOCK = {
    "attention_output": "multi_head_attention.dense",
    "attention_norm": "multi_head_attention.LayerNorm",
    "expand": "feed_forward.dense_1",
    "contract": "feed_forward.dense_2",
    "feedforward_norm": "feed_forward.LayerNorm",
}


def settings_of(variant: str) -> ModelSettings:
    """The settings of a variant, with the trainer that a comparison needs: one step of all sequences in float32."""
    chosen = read_params(ROOT / "params.yaml").settings_of("beauty", variant)
    update = {
        "max_length": LONGEST + 1,
        "augment": "none",
        "batch_size": 1 << 20,
        "precision": "float32",
        "sampled_items": 0,
        "clip_norm": 1e9,
    }
    return replace(chosen, trainer=chosen.trainer.model_copy(update=update))


def sasrec(ours: Arrays) -> Arrays:
    """SASRec; the rows of positions are in our order, from the end of the history."""
    return {
        "item_embedding.weight": ours["item.weight"],
        POSITION: ours["input.position.weight"],
        **both("LayerNorm", ours, "input.norm"),
        **blocks("trm_encoder", ours, "transformer"),
    }


def blocks(theirs: str, ours: Arrays, transformer: str) -> Arrays:
    """The blocks of a transformer."""
    found = {}
    layers = {name.split(".blocks.")[1].split(".")[0] for name in ours if name.startswith(f"{transformer}.blocks.")}
    for layer in layers:
        mine, other = f"{transformer}.blocks.{layer}", f"{theirs}.layer.{layer}"
        for name, translated in BLOCK.items():
            found |= both(f"{other}.{translated}", ours, f"{mine}.{name}")
        for kind in ("weight", "bias"):
            parts = np.split(ours[f"{mine}.attention.inputs.{kind}"], 3)
            for name, part in zip(("query", "key", "value"), parts, strict=True):
                found[f"{other}.multi_head_attention.{name}.{kind}"] = part
    return found


def both(theirs: str, ours: Arrays, name: str) -> Arrays:
    """A weight and its bias."""
    return {f"{theirs}.{kind}": ours[f"{name}.{kind}"] for kind in ("weight", "bias")}


# RecBole's names and shapes for our weights or gradients. The rows of items are in our order and lack padding.
TRANSLATIONS: dict[str, Callable[[Arrays], Arrays]] = {
    "sasrec-paper": sasrec,
}
