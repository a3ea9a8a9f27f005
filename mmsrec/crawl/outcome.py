"""How an item of a crawl ends: with an entry of the ledger, or rejected. It imports only Python's own modules."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

State = Literal["ok", "missing", "dead", "refused", "oversize", "undecodable", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """How an item was settled.

    Attributes:
        item_id: the item.
        state: one of the ledger's states.
        url: where its media were asked for.
        status: HTTP status of the last answer.
        bytes: size of the file, where there is one.
        sha256: digest of the file.
        attempts: tries in the run that settled the item.
        error: why there is no file.
        path: the file, below the ledger's folder.
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
    """A request that gave no media.

    Args:
        state: the ledger's state; `failed` may succeed when tried again, the others are final.
        reason: one sentence without times, ports or addresses of objects, so that equal outcomes read the same.
        status: the HTTP status, where there was an answer.
        pause: seconds that the server asked the client to wait.
        of_host: whether the host as a whole failed, such as by no connection, and not this item alone.
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
