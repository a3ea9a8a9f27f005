"""Mutated inputs of a parser: each gives a result or a project error, in bounded time and memory.

MMSREC_FUZZ_CASES sets the number of inputs of each parser; the suite takes few. MMSREC_FUZZ_SEED sets the seed.
"""

import logging
import os
import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmsrec.errors import MmsrecError

CASES = int(os.environ.get("MMSREC_FUZZ_CASES", "30"))
SEED = int(os.environ.get("MMSREC_FUZZ_SEED", "18"))
MOST_SECONDS = 10  # of the processor, which do not depend on other work of the machine
MOST_KIB = 1 << 20
STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
# Parts that often break a parser, put at a random place.
PARTS = [
    *(b'"', b'""', b"'", b"\n", b"\r", b"\r\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b",", b"\t", b"::", b"|", b"\\"),
    *(b"nan", b"-inf", b"1e999", b"99999999999999999999999", b"-1", b"0.0", b"null", b"NaN", b"\xed\xa0\x80"),
    *(b"[" * 2000, b"{" * 2000, b'{"a":' * 500, b"((((" * 200, b"9" * 6000, b"\\ud800", b"&#99999999;", b"!!python/x "),
    *(b"\xe2\x80\xa8", b"\xc2\x85", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
]


class Parser(NamedTuple):
    """A parser, and the input that is changed.

    Attributes:
        file: name of the input.
        content: an input that the parser accepts.
        read: the parser; it takes the path of the file.
        pack: makes the file from a changed content, for a format in a container.
        parts: what often breaks this format, besides `PARTS`.
        beside: other files that the parser needs, by name.
        refused: whether the unchanged input is refused too; a whole one would make each case slow.
    """

    file: str
    content: bytes
    read: Callable[[Path], object]
    pack: Callable[[bytes], bytes] = bytes
    parts: Sequence[bytes] = ()
    beside: Mapping[str, bytes] = {}
    refused: bool = False


def mutated(content: bytes, generator: random.Random, parts: Sequence[bytes]) -> bytes:
    """The content with one to four changes."""
    changed = bytearray(content)
    for _ in range(generator.randint(1, 4)):
        start = generator.randrange(len(changed) + 1)
        end = min(len(changed), start + generator.choice([1, 1, 3, 20, len(changed)]))
        match generator.randrange(6):
            case 0:
                del changed[start:end]
            case 1:
                changed[start:start] = generator.choice(parts)
            case 2:
                changed[start:end] = generator.randbytes(end - start)
            case 3:
                changed[start:start] = changed[start:end]
            case 4:
                changed[start:end] = generator.choice(parts)
            case 5 if start < len(changed):
                changed[start] ^= 1 << generator.randrange(8)
    return bytes(changed)


def check(name: str, parser: Parser, folder: Path) -> None:
    """Gives a parser the input unchanged, then changed in `CASES` - 1 ways that depend on the seed and the name."""
    generator = random.Random(f"{SEED} {name}")
    # The parts of one format are drawn as often as the others together.
    parts = [*PARTS, *(parser.parts and list(parser.parts) * (1 + len(PARTS) // len(parser.parts)))]
    path = folder / "raw" / parser.file
    path.parent.mkdir()
    for other, body in parser.beside.items():
        (path.parent / other).write_bytes(body)
    refused, slowest, started = 0, 0.0, time.monotonic()
    PEAK.write_text(RESET_PEAK)
    before = _peak()
    logging.disable(logging.CRITICAL)
    try:
        for case in range(CASES):
            body = mutated(parser.content, generator, parts) if case else parser.content
            path.write_bytes(parser.pack(body))
            start = time.process_time()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    parser.read(path)
            except MmsrecError:
                assert case or parser.refused, "the unchanged input is read"
                refused += 1
            except BaseException as error:
                shown = body if len(body) < 3000 else body[:1500] + b"..."
                raise AssertionError(f"{name}, case {case}: {type(error).__name__}: {shown!r}") from error
            slowest = max(slowest, time.process_time() - start)
    finally:
        logging.disable(logging.NOTSET)
    peak, seconds = _peak(), time.monotonic() - started
    print(
        f"{name}: seed {SEED}, {CASES:,} cases, {refused:,} refused, {seconds:.0f} s, slowest {slowest:.2f} s, "
        f"peak {peak / 1024:,.0f} MB, {(peak - before) / 1024:,.0f} MB more"
    )
    assert slowest < MOST_SECONDS
    assert peak - before < MOST_KIB


def _peak() -> int:
    """The largest memory of this process since the last reset, in KiB."""
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
