"""The settings of S3-Rec."""

from mmsrec.models.sasrec_settings import SASRecSettings


class S3RecSettings(SASRecSettings):
    """SASRec, started from S3-Rec's pre-training (Zhou et al., 2020)."""
