"""Pictures a second of the crawl on loopback, against img2dataset on the same server and pictures in the same run.

    MMSREC_MIRROR=... python benchmarks/crawl.py [--peer PYTHON]
    python benchmarks/crawl.py --faults

PYTHON is the interpreter of an environment with img2dataset. The server is a separate process and answers from memory.
Each crawler is a separate process, too. Its processor time and peak memory include its start; "clock" does not.
The peer keeps the bytes of a JPEG (resize_mode=no, skip_reencode), because it is faster so.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

PEER = """
import json, sys
from pathlib import Path
from img2dataset import download
urls, folder, connections, processes, number = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
if __name__ == "__main__":
    download(url_list=urls, output_folder=folder, output_format="files", resize_mode="no", skip_reencode=True,
             thread_count=connections // processes, processes_count=processes,
             number_sample_per_shard=-(-number // processes))
    shards = [json.loads(path.read_text()) for path in Path(folder).glob("*_stats.json")]
    seconds = max(shard["end_time"] for shard in shards) - min(shard["start_time"] for shard in shards)
    print(json.dumps({"pictures": sum(shard["successes"] for shard in shards), "seconds": seconds}))
"""


class Run(NamedTuple):
    """One crawler's result: pictures kept, seconds by its own clock and of its process, processor seconds, peak MiB."""

    pictures: int
    clock: float
    wall: float
    processor: float
    peak: float


async def serve(folder: Path) -> None:
    """Serves the files of a folder from memory, under names with any number before them, and prints the port."""
    answers = {}
    for path in folder.iterdir():
        body = path.read_bytes()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
        answers[path.name.encode()] = head.encode() + body
    missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep_alive = True
        while keep_alive:
            try:
                request = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            keep_alive = b"connection: close" not in request.lower()
            writer.write(answers.get(request.split(b" ", 2)[1].partition(b"-")[2], missing))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def server_of(folder: Path) -> Iterator[str]:
    """The address of a server process for a folder."""
    command = [sys.executable, __file__, "--serve", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


def crawl(urls: Path, folder: Path, connections: int) -> None:
    """The crawl itself, run in a separate process."""
    import pyarrow as pa

    from mmsrec.crawl.images import crawl_images
    from mmsrec.settings.params import read_params

    lines = urls.read_text().split()
    items = pa.table({"item_id": [url.rpartition("/")[2].removesuffix(".jpg") for url in lines], "url": lines})
    # The machine is its own host: what spares a stranger's server is set aside, the rest stays as it is.
    alone = {"allow_private": True, "host_rate": 1e9, "host_concurrency": connections}
    policy = read_params(ROOT / "params.yaml").crawl.model_copy(update=alone)
    started = time.perf_counter()
    counts = crawl_images(items, folder, policy, connections=connections)
    print(json.dumps({"pictures": counts["ok"], "seconds": time.perf_counter() - started}))


def measure(command: list[str]) -> Run:
    """Runs a crawler whose last line is its own account."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        output.seek(0)
        lines = output.read().splitlines()
    if status:
        sys.exit(f"{command[:3]} failed")
    account = json.loads(lines[-1])
    processor = usage.ru_utime + usage.ru_stime
    return Run(account["pictures"], account["seconds"], wall, processor, usage.ru_maxrss / 1024)


def compare(posters: Path, copies: int, connections: int, rounds: int, peer: str | None) -> None:
    """Prints a row for each crawler. The crawlers run alternately."""
    with server_of(posters) as base, tempfile.TemporaryDirectory() as scratch:
        names = sorted(f"{copy}-{path.name}" for path in posters.iterdir() for copy in range(copies))
        urls = Path(scratch) / "urls.txt"
        urls.write_text("\n".join(f"{base}/{name}" for name in names))
        crawlers = {"mmsrec": [sys.executable, __file__, "--crawl", urls, "FOLDER", str(connections)]}
        for processes in (1, 2) if peer else ():
            arguments = [urls, "FOLDER", str(connections), str(processes), str(len(names))]
            crawlers[f"img2dataset, processes: {processes}"] = [peer, "-c", PEER, *arguments]
        runs: dict[str, list[Run]] = {name: [] for name in crawlers}
        for turn in range(rounds):
            for number, (name, command) in enumerate(crawlers.items()):
                folder = f"{scratch}/{turn}-{number}"
                runs[name].append(measure([folder if part == "FOLDER" else part for part in command]))
    print(f"{len(names):,} pictures, {connections} connections, median of {rounds} rounds by turns\n")
    print(
        "| crawler | pictures kept | pictures/s by its clock (lowest, highest) | pictures/s of its process"
        " | ms of processor a picture | cores busy | peak MiB |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, rows in runs.items():
        run = Run(*map(statistics.median, zip(*rows, strict=True)))
        clock = sorted(row.pictures / row.clock for row in rows)
        rates = f"{statistics.median(clock):,.0f} ({clock[0]:,.0f}, {clock[-1]:,.0f}) | {run.pictures / run.wall:,.0f}"
        spent = f"{run.processor / run.pictures * 1000:.2f} | {run.processor / run.wall:.2f}"
        print(f"| {name} | {run.pictures:,.0f} | {rates} | {spent} | {run.peak:,.0f} |")


def print_faults() -> None:
    """Prints the row of every fault: its state, its tries, its status, and the seconds that it took."""
    from tests.servers import Server
    from tests.unit.crawl.examples import files, ledger
    from tests.unit.crawl.faults import FAULTS, crawl_faults, routes

    print("| fault | state | attempts | status | seconds | files | error |")
    print("|---|---|---|---|---|---|---|")
    with Server(routes()) as server, tempfile.TemporaryDirectory() as scratch:
        for number, fault in enumerate(FAULTS):
            folder = Path(scratch) / str(number)
            started = time.perf_counter()
            crawl_faults(server, folder, [fault])
            seconds = time.perf_counter() - started
            row: dict[str, Any] = ledger(folder)[fault.name]
            shown = (row["state"], row["attempts"], row["status"] or "", f"{seconds:.1f}", len(files(folder)))
            print(f"| {fault.name} | " + " | ".join(map(str, shown)) + f" | {row['error'] or ''} |")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mirror = Path(os.environ.get("MMSREC_MIRROR", ROOT.parent / "shared" / "data"))
    arguments.add_argument("--posters", type=Path, default=mirror / "ml-1m" / "posters", help="folder of JPEG files")
    arguments.add_argument("--copies", type=int, default=1, help="names of each picture")
    arguments.add_argument("--connections", type=int, default=32)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--peer", help="Python interpreter of an environment with img2dataset")
    arguments.add_argument("--faults", action="store_true", help="print the fault matrix instead")
    arguments.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--crawl", nargs=3, help=argparse.SUPPRESS)
    flags = arguments.parse_args()
    if flags.serve:
        asyncio.run(serve(flags.serve))
    elif flags.crawl:
        crawl(Path(flags.crawl[0]), Path(flags.crawl[1]), int(flags.crawl[2]))
    elif flags.faults:
        print_faults()
    else:
        compare(flags.posters, flags.copies, flags.connections, flags.rounds, flags.peer)


if __name__ == "__main__":
    main()
