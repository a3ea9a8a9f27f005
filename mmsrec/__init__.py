"""Self-supervised multi-modal sequential recommendation, as a reproducible pipeline."""

__version__ = "0.1.0"
