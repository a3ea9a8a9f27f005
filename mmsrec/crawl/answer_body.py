"""The content of an answer, bounded in the bytes that arrive and in the bytes that they expand to.

The code is our own for two reasons. requests reads the whole body of a redirect. Older versions of urllib3 expand a
whole chunk at once, encoding by encoding, so a few kilobytes could fill the memory.
"""

import zlib
from collections.abc import Iterator

import requests

from mmsrec.crawl.entry import Rejected

CHUNK = 65536
DAMAGED = "the content encoding is damaged"
# zlib's code for "gzip or zlib, as the first bytes say".
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_EXPANDED = frozenset({"gzip", "x-gzip", "deflate"})


def chunks(answer: requests.Response, limit: int) -> Iterator[bytes]:
    """Yields the content as it arrives, up to `limit` bytes.

    Raises:
        Rejected: `undecodable`, because the content has several encodings or an unknown one; `failed`, because the
            encoding is damaged or expands to less than it has.
    """
    arriving = _encoded(answer, limit)
    left = limit
    for chunk in _expanded(arriving) if _is_expanded(answer) else arriving:
        chunk = chunk[:left]
        left -= len(chunk)
        yield chunk
        if not left:
            return


def drain(answer: requests.Response) -> None:
    """Reads a short body, so that its connection can serve another request. The rest of a long body is not read."""
    for _ in _encoded(answer, 0):
        pass


def _encoded(answer: requests.Response, limit: int) -> Iterator[bytes]:
    """The bytes as they arrive: up to `limit` and a little more, which the headers of an encoding may need."""
    left = limit + limit // 100 + CHUNK
    while left and (chunk := answer.raw.read1(min(CHUNK, left), decode_content=False)):
        left -= len(chunk)
        yield chunk


def _is_expanded(answer: requests.Response) -> bool:
    names = [name.strip().lower() for name in answer.headers.get("Content-Encoding", "").split(",")]
    encodings = [name for name in names if name not in ("", "identity")]
    # The request asks for no encoding, so one is tolerated and no more.
    if encodings and (len(encodings) > 1 or encodings[0] not in _EXPANDED):
        raise Rejected("undecodable", "the content encoding was not requested and is not supported")
    return bool(encodings)


def _expanded(arriving: Iterator[bytes]) -> Iterator[bytes]:
    """Expands gzip or zlib data, in chunks of at most `CHUNK` bytes. Bytes after the end of gzip data are ignored."""
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    empty = True
    for data in arriving:
        empty = False
        # A full chunk of output may leave more output inside the decoder, also when no input is left.
        full = True
        while (data or full) and not decoder.eof:
            try:
                expanded = decoder.decompress(data, CHUNK)
            except zlib.error as error:
                raise Rejected("failed", DAMAGED) from error
            data = decoder.unconsumed_tail
            full = len(expanded) == CHUNK
            if expanded:
                yield expanded
        if decoder.eof:
            return
    if not empty:
        raise Rejected("failed", DAMAGED)
