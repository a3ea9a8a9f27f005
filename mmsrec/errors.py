"""One tree of errors. A message says what went wrong, where, what was expected, what was found and how to mend it."""


class MmsrecError(Exception):
    """Base of every error that a user of mmsrec can cause.

    Args:
        what: one sentence that names the problem.
        where: the path, key or item concerned.
        expected: what should have been there.
        found: what was there instead.
        fix: what the reader can do about it.
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
        return "\n".join([self.what, *(f"  {name}: {value}" for name, value in self.details.items())])


class ParamsError(MmsrecError):
    """params.yaml holds an unknown key, a wrong type or an impossible value."""


class RegistryError(MmsrecError):
    """The registry of source files holds an impossible row, or none for the file that is asked for."""


class ArtifactError(MmsrecError):
    """A file that a stage reads or writes is missing or does not follow its schema."""


class DownloadError(MmsrecError):
    """A source file could not be fetched from its mirror or any of its URLs."""


class ChecksumError(DownloadError):
    """A fetched file is not the file that the registry describes."""


class ArchiveError(MmsrecError):
    """An archive is damaged, or one of its members would leave the target folder."""


class CrawlError(MmsrecError):
    """A crawl cannot go on for now; what it has is kept."""


class ParseError(MmsrecError):
    """A raw file does not follow its source's format."""


class DataError(MmsrecError):
    """A domain's items or interactions cannot serve the request made of them."""


class FeatureError(MmsrecError):
    """Features are missing, stale or do not fit the items they are asked for."""


class CheckpointError(MmsrecError):
    """A checkpoint or a weights file does not fit the model it is loaded into."""


class TrainingError(MmsrecError):
    """A training cannot go on, or there is none of what is asked for."""


class DemoError(MmsrecError):
    """The demo world cannot be served."""
