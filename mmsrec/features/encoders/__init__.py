"""Frozen encoders for texts and images with one interface; `encoder.KINDS` lists their kinds."""

from mmsrec.features.encoders.encoder import Encoder, Tower, encoder_digest, load_encoder

__all__ = ["Encoder", "Tower", "encoder_digest", "load_encoder"]
