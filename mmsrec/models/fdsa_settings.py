"""The settings of FDSA."""

from mmsrec.models.sasrec_settings import SASRecSettings


class FDSASettings(SASRecSettings):
    """Two encoders of the same sizes, one of items and one of their attributes (Zhang et al., 2019)."""
