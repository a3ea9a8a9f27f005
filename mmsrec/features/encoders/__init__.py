"""Frozen encoders of texts and images behind one interface; a kind of encoder is a row of `KINDS`."""

from mmsrec.features.encoders.encoder import Encoder, Tower, encoder_digest, load_encoder

__all__ = ["Encoder", "Tower", "encoder_digest", "load_encoder"]
