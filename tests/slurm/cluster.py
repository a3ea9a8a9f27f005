"""A Slurm cluster of one machine on loopback addresses, with munged, slurmctld and slurmd in a separate folder.

`python -m tests.slurm.cluster --folder FOLDER -- COMMAND` runs a command on it. The daemons belong to the user who
starts them. They end by their process ids, so that another Slurm of the machine is left alone.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sacct", "scancel", "scontrol", "sinfo")
SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")  # an ordinary user's path may lack the daemons' folders
CPUS = 4
MEMORY = 64_000  # MB that jobs may ask for, whatever the machine has: the demo takes little of it
SECONDS = 60  # a daemon's start takes one to three

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# A job that takes more memory than it asked for ends, as it does by cgroups on a real cluster.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
# The ended jobs go into a file instead of a database: `sacct --completion` reads it.
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/completed.txt
SchedulerParameters=sched_interval=2,batch_sched_delay=1
KillWait=5
ReturnToService=2
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# Four GPUs that jobs can ask for. Their devices are none, so a job on them computes on the processor.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")
CLIENTS = {
    # Snakemake's plugin takes SLURM_CONF out of the environment of srun, which then looks in /etc.
    "srun": """\
#!/bin/sh
SLURM_CONF={configuration} exec {srun} "$@"
""",
    # The plugin asks sacct for the states of a run's jobs. Slurm's own sacct needs a database for them. This one has
    # ended jobs from the file of slurmctld, and the others from squeue, and also answers while no controller runs.
    "sacct": """\
#!/bin/sh
export SLURM_CONF={configuration}
case "$*" in
*--completion*) exec {sacct} "$@" ;;
*--name*)
    for name; do :; done
    sed -n "s/^JobId=\\([0-9]*\\) .* Name=$name JobState=\\([A-Z_]*\\) .*/\\1|\\2/p" {folder}/completed.txt
    {squeue} --noheader --format='%i|%T' --name "$name" || true ;;
esac
""",
}


def program(name: str) -> str | None:
    """The path of one of Slurm's programs, also where only root's path has it."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SBIN))


def missing() -> list[str]:
    """The programs that this machine lacks."""
    return [name for name in PROGRAMS if program(name) is None]


class Cluster:
    """Slurm on this machine, for the time of a `with` block.

    Args:
        folder: has the configuration, the state and the logs; it must exist.

    Raises:
        RuntimeError: a daemon ended or did not answer; the message has its log.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.daemons: dict[str, subprocess.Popen] = {}
        self.configuration = self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a client of this cluster."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return {"SLURM_CONF": str(self.configuration), "PATH": path}

    def __enter__(self) -> "Cluster":
        self._configure()
        try:
            self._start_munged()
            self.start_controller()
            self._start("slurmd", "-D", "-f", str(self.configuration))
            self._wait("slurmd", lambda: self.asks("sinfo", "--noheader", "--format=%T") == "idle")
        except BaseException:
            self._stop_all()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop_all()

    def ask(self, *command: str) -> str:
        """Runs a client, such as squeue, and returns its output.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        options = {"env": os.environ | self.environment, "timeout": SECONDS, "stderr": subprocess.PIPE}
        return subprocess.check_output([program(command[0]), *command[1:]], text=True, **options).strip()

    def asks(self, *command: str) -> str | None:
        """The same, or None where the controller does not answer."""
        try:
            return self.ask(*command)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None

    def completed(self) -> list[dict[str, str]]:
        """The ended jobs, in the order of their ends, as slurmctld accounts for them."""
        lines = (self.folder / "completed.txt").read_text().splitlines()
        return [dict(field.partition("=")[::2] for field in line.split()) for line in lines]

    def start_controller(self) -> None:
        """Starts slurmctld, with the state that an earlier one has left."""
        self._start("slurmctld", "-D", "-f", str(self.configuration))
        self._wait("slurmctld", lambda: self.asks("scontrol", "ping") is not None)

    def stop_controller(self) -> None:
        """Ends slurmctld; the jobs go on."""
        self._stop("slurmctld")

    def _configure(self) -> None:
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir()
        values = {"host": socket.gethostname().partition(".")[0], "user": _user(), "folder": self.folder}
        ports = {"controller_port": _free_port(), "node_port": _free_port()}
        self.configuration.write_text(
            CONFIGURATION.format(**values, **ports, cpus=CPUS, memory=MEMORY, gpus=len(DEVICES))
        )
        (self.folder / "gres.conf").write_text("".join(f"Name=gpu File={device}\n" for device in DEVICES))
        (self.folder / "completed.txt").touch()
        programs = {name: program(name) for name in ("srun", "sacct", "squeue")}
        for name, text in CLIENTS.items():
            client = self.folder / "bin" / name
            client.write_text(text.format(configuration=self.configuration, folder=self.folder, **programs))
            client.chmod(0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(64))

    def _start_munged(self) -> None:
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        paths = [f"--{flag}={self.folder / f'munge.{suffix}'}" for flag, suffix in files.items()]
        # It refuses a folder that is closed to other users, unless it is forced. They need no Slurm of ours.
        self._start("munged", "--foreground", "--force", *paths)
        self._wait("munged", (self.folder / "munge.socket").exists)

    def _start(self, name: str, *flags: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            command = [program(name), *flags]
            environment = os.environ | self.environment
            self.daemons[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not ready():
            if self.daemons[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start:\n{(self.folder / f'{name}.log').read_text()}")
            time.sleep(0.2)

    def _stop(self, name: str) -> None:
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.terminate()
        try:
            daemon.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _stop_all(self) -> None:
        if "slurmctld" in self.daemons:
            self.asks("scancel", f"--user={_user()}")
            deadline = time.monotonic() + SECONDS
            while self.asks("squeue", "--noheader") and time.monotonic() < deadline:
                time.sleep(0.5)
        for name in ("slurmd", "slurmctld", "munged"):
            self._stop(name)


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="a new folder for its configuration, state and logs")
    parser.add_argument("command", nargs="+", metavar="-- COMMAND", help="the command to run")
    arguments = parser.parse_args()
    if absent := missing():
        sys.exit(f"missing: {', '.join(absent)} (Debian: slurm-wlm, munge)")
    arguments.folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # the daemons end, too
    with Cluster(arguments.folder) as cluster:
        process = subprocess.Popen(arguments.command, env=os.environ | cluster.environment)
        try:
            sys.exit(process.wait())
        finally:
            process.terminate()
            process.wait()
