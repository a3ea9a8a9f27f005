"""Starts the processes of one training for tests, with the environment that torchrun gives them."""

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
    """Runs `main` in each process and returns the exit statuses; a signal gives a negative one."""
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
