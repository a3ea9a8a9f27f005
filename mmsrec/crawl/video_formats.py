"""File signatures of video formats."""

# Offset of the signature, signature, file suffix. An MP4 starts with the size of its first box.
_SIGNATURES = (
    (4, b"ftyp", ".mp4"),
    (4, b"moov", ".mov"),
    (4, b"mdat", ".mov"),
    (4, b"wide", ".mov"),
    (4, b"free", ".mov"),
    (4, b"skip", ".mov"),
    (0, b"\x1a\x45\xdf\xa3", ".webm"),
    (8, b"AVI ", ".avi"),
    (0, b"FLV\x01", ".flv"),
    (0, b"OggS", ".ogv"),
    (0, b"\x00\x00\x01\xba", ".mpg"),
    (0, b"\x00\x00\x01\xb3", ".mpg"),
    # MPEG-TS, as HLS joins it: packets that begin with G. The first has a table of programs, of services, or nothing.
    (0, b"G\x40\x00", ".ts"),
    (0, b"G\x40\x11", ".ts"),
    (0, b"G\x1f\xff", ".ts"),
    (4, b"G\x40\x00", ".m2ts"),
    (4, b"G\x40\x11", ".m2ts"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ".wmv"),
)
# Picture formats that use the container of MP4.
_PICTURES = (b"ftypavif", b"ftypavis", b"ftypheic", b"ftypmif1")


def sniff(head: bytes) -> str | None:
    """The file suffix of the video format, from the first 16 bytes of a file; None if it is no known video format."""
    if head[4:12] in _PICTURES:
        return None
    return next((suffix for offset, signature, suffix in _SIGNATURES if head[offset:].startswith(signature)), None)
