"""Explains the errors of a failing machine, such as a full disk, in the words of the project's errors."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmsrec.errors import ArtifactError, MmsrecError

# The failure and its fix, by the system's number of the error.
KNOWN: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("The disk is full.", "Free some space, and run the same command again: finished work is kept."),
    errno.EDQUOT: ("Your quota of the disk is used up.", "Free some space, and run the same command again."),
    errno.EFBIG: ("A file is too large for its disk.", "Use a disk that allows larger files."),
    errno.EROFS: ("The disk is read-only.", "Work in a folder on another disk: snakemake --directory FOLDER."),
    errno.EACCES: ("A file or folder may not be used by this user.", "Change its permissions, or name another place."),
    errno.EPERM: ("The system forbids the use of a file or folder.", "Change its owner, or name another place."),
    errno.ENOTDIR: ("A file stands where a folder is needed.", "Move the file away, or name another place."),
    errno.EEXIST: ("A file is in the way of a new one.", "Move the file away, or name another place."),
    errno.EISDIR: ("A folder stands where a file is needed.", "Move the folder away, or name another place."),
    errno.ENAMETOOLONG: ("A path is too long for this disk.", "Work in a folder with a shorter path."),
    errno.EMFILE: ("This process may open no more files.", "Raise the limit, such as with ulimit -n 4096."),
    errno.ENFILE: ("The machine may open no more files.", "Stop other programs, or raise the machine's limit."),
    errno.ENOMEM: ("The memory of the machine is used up.", "Stop other programs, or lower batch_size."),
    errno.EIO: ("The disk cannot be read or written.", "Check the disk: its hardware may fail."),
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Libraries in other languages name the number in the text of an error.
_NUMBER = re.compile(r"\b(?:os error|errno)\s+(\d+)", re.IGNORECASE)
# NumPy's words for a disk that took a part of an array.
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")


@contextmanager
def machine_errors_explained() -> Iterator[None]:
    """Raises an ArtifactError with the fix in place of an error of the machine; other errors pass."""
    try:
        yield
    except Exception as error:
        if (known := _known(error)) is None:
            raise
        what, fix = known
        places = [getattr(error, name, None) for name in ("filename", "filename2")]
        where = " and ".join(str(place) for place in places if place is not None)
        raise ArtifactError(what, where=where or None, found=error, fix=fix) from error


@contextmanager
def command() -> Iterator[None]:
    """The body of a command: an error that a user can correct ends the process with one message and status 1.

    The command ends quietly if the reader of its output, such as `head`, has seen enough.
    """
    try:
        with machine_errors_explained():
            yield
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MmsrecError as error:
        sys.exit(f"error: {error}")


def pass_full_disk(error: BaseException | None) -> None:
    """Raises an error of a full disk again, which no other place to read from can repair; returns for any other."""
    if isinstance(error, OSError) and error.errno in _FULL:
        raise error


def _known(error: Exception) -> tuple[str, str] | None:
    # Python gives this error no separate number: it has tried TMPDIR, the system's folders and the current one.
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):
        return "There is no folder for temporary files.", "Set TMPDIR to a folder that you may write to."
    return KNOWN.get(_number(error))


def _number(error: Exception) -> int | None:
    """The system's number of an error, or None for an error that is not the machine's."""
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if _SHORT_WRITE.search(str(error)):
        return errno.ENOSPC
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else None
