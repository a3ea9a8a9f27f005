"""The losses of each step as TensorBoard events; TensorBoard is an optional package."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from mmsrec.errors import ParamsError


def writer(folder: Path) -> Callable[[int, Mapping[str, float]], None]:
    """A function that writes the losses of a step, given its number, into a folder.

    Raises:
        ParamsError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise ParamsError(
            "TensorBoard is not installed.",
            where=folder,
            fix="Install the package tensorboard, or leave out the flag: history.parquet has the losses of each epoch.",
        )
    from torch.utils.tensorboard import SummaryWriter

    events = SummaryWriter(folder)

    def observe(step: int, losses: Mapping[str, float]) -> None:
        for name, value in losses.items():
            events.add_scalar(f"loss/{name}", value, step)

    return observe
