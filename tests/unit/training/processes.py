"""Processes of one training, for tests: they find each other as those of torchrun do."""

import socket
from collections.abc import Callable
from multiprocessing.context import BaseContext
from pathlib import Path

TIMEOUT = 300


def launch(
    forks: BaseContext,
    main: Callable[[Path, tuple[str, ...], dict[str, str]], None],
    folder: Path,
    processes: int,
    *scenarios: str,
) -> list[int | None]:
    """Starts `main` in each process with the environment that torchrun gives it, and returns their exit statuses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    started = [
        forks.Process(target=main, args=(folder, scenarios, common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}))
        for rank in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(TIMEOUT)
        process.kill()
    return [process.exitcode for process in started]
