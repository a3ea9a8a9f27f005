"""The result of a crawl for one item: an entry of the ledger, or a rejection. It imports only Python's own modules."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

State = Literal["ok", "missing", "dead", "refused", "oversize", "undecodable", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """The final result for one item.

    Attributes:
        item_id: the item.
        state: one of the ledger's states.
        url: the URL or path from which the item's media were requested.
        status: HTTP status of the last answer.
        bytes: size of the file, if there is one.
        sha256: digest of the file, if there is one.
        attempts: number of tries in the run that finished the item.
        error: the reason why there is no file.
        path: path of the file, relative to the ledger's folder.
    """

    item_id: str
    state: State
    url: str | None = None
    status: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    attempts: int = 0
    error: str | None = None
    path: str | None = None


class Rejected(Exception):
    """A request gave no media.

    Args:
        state: the ledger's state. Another try may change `failed`; every other state is final.
        reason: one sentence without times, ports or addresses of objects. Equal results must give equal text.
        status: the HTTP status, if there was an answer.
        pause: the pause that the server requested, in seconds.
        of_host: True if the whole host failed, for example because it accepts no connection.
    """

    def __init__(
        self,
        state: State,
        reason: str,
        *,
        status: int | None = None,
        pause: float | None = None,
        of_host: bool = False,
    ) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason
        self.status = status
        self.pause = pause
        self.of_host = of_host

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Rejected, status=self.status, pause=self.pause, of_host=self.of_host), (self.state, self.reason)
