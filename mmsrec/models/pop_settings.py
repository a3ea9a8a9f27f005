"""The settings of Pop."""

from mmsrec.settings.row import Frozen


class PopSettings(Frozen):
    """Popularity has no settings."""
