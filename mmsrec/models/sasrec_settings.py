"""The settings of SASRec."""

from mmsrec.models.transformer_settings import TransformerSettings


class SASRecSettings(TransformerSettings):
    """A causal transformer over item embeddings (Kang and McAuley, 2018)."""
