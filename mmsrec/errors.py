"""The errors of mmsrec. A message has the problem, its place, the expected and the found value, and the fix."""

from mmsrec.urls import without_credentials_in


class MmsrecError(Exception):
    """Base class of every error that a user of mmsrec can cause. Its text shows no credentials of a URL.

    Args:
        what: one sentence that names the problem.
        where: the path, key or item.
        expected: the expected value.
        found: the value that was found instead.
        fix: an action that resolves the problem.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        details = {"where": where, "expected": expected, "found": found, "fix": fix}
        self.details = {name: value for name, value in details.items() if value is not None}
        super().__init__(what, *self.details.values())

    def __str__(self) -> str:
        lines = [self.what, *(f"  {name}: {value}" for name, value in self.details.items())]
        return without_credentials_in("\n".join(lines))


class ParamsError(MmsrecError):
    """params.yaml has an unknown key, a wrong type or an invalid value."""


class RegistryError(MmsrecError):
    """The registry of source files has an invalid row, or no row for the requested file."""


class ArtifactError(MmsrecError):
    """A file that a stage reads or writes is missing or violates its schema."""


class DownloadError(MmsrecError):
    """No mirror and no URL could serve a source file."""


class ChecksumError(DownloadError):
    """A downloaded file differs from its entry in the registry or the listing."""


class ArchiveError(MmsrecError):
    """An archive is missing, damaged, unsafe or too large."""


class CrawlError(MmsrecError):
    """A crawl must stop for now. Its results so far are kept."""


class ParseError(MmsrecError):
    """A raw file violates the format of its source."""


class DataError(MmsrecError):
    """A domain's items or interactions are not sufficient for a request."""


class FeatureError(MmsrecError):
    """Features are missing, outdated or do not match the requested items."""


class CheckpointError(MmsrecError):
    """A checkpoint or a weights file does not match the model that loads it."""


class TrainingError(MmsrecError):
    """A training cannot continue, or the requested training does not exist."""


class DemoError(MmsrecError):
    """The demo world cannot be served."""
