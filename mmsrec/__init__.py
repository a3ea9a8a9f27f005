"""Self-supervised multi-modal sequential recommendation, as a reproducible pipeline."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmsrec.recommend.loaded import load as load

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`mmsrec.load` is imported on use, because the stages before training need no torch."""
    if name == "load":
        from mmsrec.recommend.loaded import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
