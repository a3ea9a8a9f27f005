"""A process that has imported the heavy packages once and runs each stage script in a fork of itself.

`python workflow/scripts/warm_stages.py -- COMMAND` starts it for the time of a command. A stage script that finds its
address in the environment sends its arguments there, before it imports anything heavy, and ends with the fork's
status. The result is the same as without the server; the seconds of the imports are saved.
"""

import array
import json
import os
import resource
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

ADDRESS = "MMSREC_STAGES"
FORWARDED = (signal.SIGINT, signal.SIGTERM)
HEADER = 8  # bytes that hold the length of a request
USED = "used {processor:.2f} s of processors, {memory:.0f} MiB"  # last line of a finished script's standard error


def delegate() -> None:
    """Runs this script in the server that the environment names, and ends this process; returns without a server."""
    # A script that runs a command stays in its own process, so that the command's stages find the server.
    if ADDRESS not in os.environ or "--" in sys.argv:
        return
    address = os.environ.pop(ADDRESS)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        request = {"arguments": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ)}
        body = json.dumps(request).encode()
        streams = array.array("i", [1, 2])
        server.sendmsg([len(body).to_bytes(HEADER)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
        server.sendall(body)
        for number in FORWARDED:
            signal.signal(number, lambda received, _: server.sendall(bytes([received])))
        status = server.recv(1)
    # An empty answer means that the server was killed.
    os._exit(status[0] if status else 1)


def say_why(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints an error that ends a script, as `sys.excepthook`; Ctrl-C is one line. Python then ends by that signal."""
    if issubclass(kind, KeyboardInterrupt):
        print("stopped by Ctrl-C: run the same command again, finished work is kept", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


@contextmanager
def serving(preload: Callable[[], None]) -> Iterator[str]:
    """Serves in a separate process while the context lasts; gives the server's address.

    Args:
        preload: imports what stages need. It runs in the server, whose clients wait for its end.
    """
    with TemporaryDirectory(prefix="mmsrec-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = str(Path(folder) / "stages")
        listener.bind(address)
        listener.listen(128)
        ours, theirs = socket.socketpair()
        server = os.fork()
        if not server:
            ours.close()
            _serve(listener, theirs, preload)
        theirs.close()
        try:
            yield address
        finally:
            # The server ends when the other end of the pair closes.
            ours.close()
            os.waitpid(server, 0)


def _serve(listener: socket.socket, parent: socket.socket, preload: Callable[[], None]) -> None:
    """Answers requests until the parent ends."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        preload()
        _Server(listener, parent).run()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


class _Server:
    """Forks a process for each client; a client that disappears takes its process with it."""

    def __init__(self, listener: socket.socket, parent: socket.socket) -> None:
        self._listener, self._parent = listener, parent
        self._events = selectors.DefaultSelector()
        self._events.register(listener, selectors.EVENT_READ, self._accept)
        self._events.register(parent, selectors.EVENT_READ, self._stop)
        self._forks: set[int] = set()
        self._running = True

    def run(self) -> None:
        while self._running:
            for key, _ in self._events.select():
                key.data()

    def _stop(self) -> None:
        self._running = False
        for fork in self._forks:
            os.kill(fork, signal.SIGTERM)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            request, streams = _receive(client)
        except (OSError, ValueError):
            client.close()
            return
        ended, running = os.pipe()
        fork = os.fork()
        if not fork:
            # The write end stays open until the fork ends, however it ends.
            os.close(ended)
            _run(request, streams)
        os.close(running)
        for stream in streams:
            os.close(stream)
        self._forks.add(fork)
        self._events.register(client, selectors.EVENT_READ, lambda: self._signal(client, fork))
        self._events.register(ended, selectors.EVENT_READ, lambda: self._finish(client, fork, ended))

    def _signal(self, client: socket.socket, fork: int) -> None:
        """Forwards a signal that the client received; without a client the fork is killed."""
        try:
            received = client.recv(1)
        except OSError:
            received = b""
        os.kill(fork, received[0] if received else signal.SIGKILL)
        if not received:
            self._events.unregister(client)

    def _finish(self, client: socket.socket, fork: int, ended: int) -> None:
        self._events.unregister(ended)
        os.close(ended)
        code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
        self._forks.discard(fork)
        if client in self._events.get_map():
            self._events.unregister(client)
        with suppress(OSError), client:
            # As a shell reports a process that a signal has ended.
            client.sendall(bytes([code if code >= 0 else 128 - code]))


def _receive(client: socket.socket) -> tuple[dict, list[int]]:
    """A request, and the client's standard output and error as descriptors of this process."""
    header, ancillary, *_ = client.recvmsg(HEADER, socket.CMSG_SPACE(2 * array.array("i").itemsize))
    streams = array.array("i")
    for _, _, data in ancillary:
        streams.frombytes(data)
    length, parts = int.from_bytes(header), b""
    while len(parts) < length:
        part = client.recv(length - len(parts))
        if not part:
            raise ValueError("the client ended within its request")
        parts += part
    return json.loads(parts), list(streams)


def _run(request: dict, streams: list[int]) -> None:
    """Runs a script as the interpreter would, and ends this process."""
    code: object = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for stream, standard in zip(streams, (1, 2), strict=True):
            os.dup2(stream, standard)
        sys.stdout, sys.stderr = os.fdopen(1, "w", encoding="utf-8"), os.fdopen(2, "w", 1, encoding="utf-8")
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = request["arguments"]
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        _set_threads()
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code
    except KeyboardInterrupt:
        say_why(*sys.exc_info())
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        say_why(*sys.exc_info())
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()
    if not code:
        print(_used(), file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _used() -> str:
    """The time and memory of this process and its children. Snakemake sees the process that waits for this one."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(part.ru_utime + part.ru_stime for part in used)
    kibibytes = 1 if sys.platform != "darwin" else 1024
    return USED.format(processor=processor, memory=max(part.ru_maxrss for part in used) / kibibytes / 1024)


def _set_threads() -> None:
    """OpenMP read its variable when the server imported torch; a job has its own number of threads."""
    number = os.environ.get("OMP_NUM_THREADS", "")
    if "torch" in sys.modules and number.isdecimal():
        sys.modules["torch"].set_num_threads(int(number))
