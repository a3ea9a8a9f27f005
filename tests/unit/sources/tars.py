"""Valid and malformed tar shards in the format of WebDataset."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

Member = tuple[str | tarfile.TarInfo, bytes]


def npy(array: np.ndarray, **options: object) -> bytes:
    """The bytes of a .npy file."""
    body = io.BytesIO()
    np.save(body, array, **options)
    return body.getvalue()


def clip(key: str, frames: np.ndarray, caption: str) -> list[Member]:
    """The members of a clip, in the order of their names."""
    return [
        (f"{key}.json", b"{}"),
        (f"{key}.npy", npy(frames)),
        (f"{key}.txt", caption.encode()),
    ]


def write_tar(path: Path, members: Iterable[Member]) -> Path:
    """Writes an uncompressed tar archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, body in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = info.size or len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


def write_clips(path: Path, clips: Sequence[tuple[str, np.ndarray, str]]) -> Path:
    """Writes a shard of clips, each with key, frames and caption."""
    return write_tar(path, (member for parts in clips for member in clip(*parts)))


def some_clips(count: int, width: int, seed: int = 0, prefix: str = "clip") -> list[tuple[str, np.ndarray, str]]:
    """Clips with 1 to 13 frames. Every third clip shares its caption with another clip."""
    rng = np.random.default_rng(seed)
    return [
        (
            f"{prefix}{number:05d}",
            rng.standard_normal((1 + number % 13, width)).astype((np.float16, np.float32)[number % 2]),
            f"a  person number {number // 3 if number % 3 == 0 else number} does\nsomething",
        )
        for number in range(count)
    ]
