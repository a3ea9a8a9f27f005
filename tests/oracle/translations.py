"""Our weights under the names of RecBole's models."""

from collections.abc import Callable

import numpy as np

Arrays = dict[str, np.ndarray]

POSITION = "position_embedding.weight"
BLOCK = {
    "attention_output": "multi_head_attention.dense",
    "attention_norm": "multi_head_attention.LayerNorm",
    "expand": "feed_forward.dense_1",
    "contract": "feed_forward.dense_2",
    "feedforward_norm": "feed_forward.LayerNorm",
}
LAYER = "feature_embed_layer"


def sasrec(ours: Arrays) -> Arrays:
    """SASRec; the rows of positions are in our order."""
    return {
        "item_embedding.weight": ours["item.weight"],
        POSITION: ours["input.position.weight"],
        **both("LayerNorm", ours, "input.norm"),
        **blocks("trm_encoder", ours, "transformer"),
    }


def gru4rec(ours: Arrays) -> Arrays:
    """GRU4Rec."""
    cells = {f"gru_layers.{name}": ours[f"sequences.gru.{name}"] for name in ("weight_ih_l0", "weight_hh_l0")}
    return {"item_embedding.weight": ours["item.weight"], **cells, **both("dense", ours, "sequences.output")}


def fdsa(ours: Arrays) -> Arrays:
    """FDSA with two fields: one with at most one value, whose last row belongs to items without, and one with more."""
    found = {
        "item_embedding.weight": ours["item.weight"],
        POSITION: ours["input.position.weight"],
        **both("LayerNorm", ours, "input.norm"),
        **blocks("item_trm_encoder", ours, "transformer"),
        **blocks("feature_trm_encoder", ours, "attribute_transformer"),
        **both("concat_layer", ours, "output"),
    }
    for place in (0, 2):
        found |= both(f"feature_att_layer.projection.{place}", ours, f"attributes.score.{place}")
    single, several = sorted((0, 1), key=lambda place: f"attributes.fields.{place}.none.weight" not in ours)
    rows = [ours[f"attributes.fields.{single}.{kind}.weight"] for kind in ("value", "none")]
    found[f"{LAYER}.token_embedding_table.item.embedding.weight"] = np.concatenate(rows)
    found[f"{LAYER}.token_seq_embedding_table.item.0.weight"] = ours[f"attributes.fields.{several}.value.weight"]
    return found


def pretraining(ours: Arrays) -> Arrays:
    """S3-Rec's pre-training; RecBole's table of items has padding and then [mask] after the items."""
    found = sasrec(ours)
    padding = np.zeros_like(ours["mask_vector.weight"])
    found["item_embedding.weight"] = np.concatenate([ours["item.weight"], padding, ours["mask_vector.weight"]])
    found["feature_embedding.weight"] = ours["attribute.weight"]
    for task in ("aap", "mip", "map", "sp"):
        found |= both(f"{task}_norm", ours, f"tasks.{task}")
    return found


def blocks(theirs: str, ours: Arrays, transformer: str) -> Arrays:
    """The blocks of a transformer."""
    found = {}
    layers = {name.split(".")[2] for name in ours if name.startswith(f"{transformer}.blocks.")}
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


# The keys are variants of params.yaml. The rows of items are in our order and lack padding.
TRANSLATIONS: dict[str, Callable[[Arrays], Arrays]] = {
    "sasrec": sasrec,
    "sasrec-paper": sasrec,
    "gru4rec-paper": gru4rec,
    "fdsa-paper": fdsa,
    "s3rec-paper": sasrec,
}
