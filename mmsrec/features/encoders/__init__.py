"""Frozen encoders for texts and images with one interface; `encoder.KINDS` lists their kinds."""

from mmsrec.features.encoders.encoder import (
    Encoder,
    Tower,
    digest_of,
    encoder_digest,
    load_encoder,
    pairs_digest,
)

__all__ = ["Encoder", "Tower", "digest_of", "encoder_digest", "load_encoder", "pairs_digest"]
