"""The plan of a report: jobs, hours, disk and downloads of each stage, before anything runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmsrec.costs.jobs import Job
from mmsrec.costs.rates import Rate, rate_of


@dataclass(frozen=True)
class Cost:
    """The cost of jobs in seconds and bytes.

    Attributes:
        core: of one core.
        gpu: of one H200.
        beside: of one core, in stages that have no use for a GPU.
        waiting: in which no processor works.
        disk, download: bytes.
        guessed: the part of `core` that rests on rates that were not measured.
        guessed_gpu: the same part of `gpu`.
    """

    jobs: int = 0
    core: float = 0
    gpu: float = 0
    beside: float = 0
    waiting: float = 0
    disk: float = 0
    download: float = 0
    guessed: float = 0
    guessed_gpu: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(**{name: value + getattr(other, name) for name, value in vars(self).items()})


def cost_of(job: Job, rates: list[Rate], *, warm: bool) -> Cost:
    """The cost of a job.

    Args:
        warm: it starts in a process that has imported its packages.
    """
    units = {("warm job" if warm else "job"): 1, **job.work}
    found = [(amount, rate_of(rates, job, unit)) for unit, amount in units.items()]
    on_gpu = any(rate.gpu is not None for _, rate in found)
    total = Cost(jobs=1)
    for amount, rate in found:
        core, gpu = amount * rate.core, amount * (rate.gpu or 0)
        total += Cost(
            core=core,
            gpu=gpu,
            beside=0 if on_gpu else core,
            waiting=amount * rate.waiting,
            disk=amount * rate.disk,
            download=amount * rate.download,
            guessed=0 if rate.measured else core,
            guessed_gpu=0 if rate.measured else gpu,
        )
    return total


@dataclass(frozen=True)
class Plan:
    """The jobs of a report with their costs.

    Args:
        report: name of the report.
        jobs: its jobs, all or those that are left.
        costs: the cost of each.
        stages: order of the stages.
    """

    report: str
    jobs: Sequence[Job]
    costs: Sequence[Cost]
    stages: Sequence[str]

    @property
    def total(self) -> Cost:
        return sum(self.costs, Cost())

    def by_stage(self) -> dict[str, Cost]:
        """The sum of each stage that has jobs."""
        sums = {stage: self._sum(stage) for stage in self.stages}
        return {stage: cost for stage, cost in sums.items() if cost.jobs}

    def _sum(self, stage: str) -> Cost:
        return sum((cost for job, cost in zip(self.jobs, self.costs, strict=True) if job.stage == stage), Cost())

    def longest_chain(self) -> float:
        """Seconds on H200s of the longest chain of jobs, each of which needs the one before."""
        seconds = {(job.stage, job.name): cost.gpu for job, cost in zip(self.jobs, self.costs, strict=True)}
        after = {(job.stage, job.name): job.after for job in self.jobs}

        def until(key: tuple[str, str]) -> float:
            return seconds.get(key, 0) + max(map(until, after.get(key, ())), default=0)

        return max(map(until, seconds), default=0)

    def seconds(self, cores: int, gpus: int) -> float:
        """Seconds with these processors, which are always busy; without GPUs, all runs on the cores.

        A machine with GPUs does the work of the cores before. Waiting for servers is not counted.
        """
        total = self.total
        if not gpus:
            return total.core / cores
        return total.beside / cores + max(total.gpu / gpus, self.longest_chain())


def make_plan(report: str, jobs: Iterable[Job], rates: list[Rate], stages: Sequence[str], *, warm: bool) -> Plan:
    """The plan of these jobs.

    Raises:
        DataError: a rate is missing.
    """
    listed = list(jobs)
    return Plan(report, listed, [cost_of(job, rates, warm=warm) for job in listed], stages)


def text_of(plan: Plan, cores: int, gpus: int) -> str:
    """The plan as two Markdown tables.

    Args:
        cores: number of cores of each machine.
        gpus: number of H200s of the largest machine.
    """
    heads = ["stage", "jobs", "one core", "one H200", "waiting", "disk", "downloads"]
    rows = [_row(stage, cost) for stage, cost in [*plan.by_stage().items(), ("all", plan.total)]]
    machines = {
        f"{cores:,} cores and {number:,} H200" if number else f"{cores:,} cores": plan.seconds(cores, number)
        for number in sorted({0, 1, gpus})
    }
    total = plan.total
    notes = [
        "The share of rates that were not measured is "
        f"{_share(total.guessed, total.core)} on cores and {_share(total.guessed_gpu, total.gpu)} on H200s.",
        f"The longest chain of jobs takes {duration(plan.longest_chain())} on H200s.",
    ]
    times = _table(["machine", "time"], [[name, duration(seconds)] for name, seconds in machines.items()])
    return "\n".join([_table(heads, rows), times, *notes, ""])


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, with two digits at least."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 1.5 * size), _UNITS[-1])
    return f"{seconds / size:,.1f} {unit}" if seconds < 10 * size else f"{seconds / size:,.0f} {unit}"


_UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def size_of(count: float) -> str:
    """Bytes as GB or MB."""
    size, unit = (10**9, "GB") if count >= 10**9 else (10**6, "MB")
    return f"{count / size:,.1f} {unit}" if count < 10 * size else f"{count / size:,.0f} {unit}"


def _row(stage: str, cost: Cost) -> list[str]:
    times, sizes = (cost.core, cost.gpu, cost.waiting), (cost.disk, cost.download)
    return [
        stage,
        f"{cost.jobs:,}",
        *(duration(value) if value else "" for value in times),
        *(size_of(value) if value else "" for value in sizes),
    ]


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rules = ["---", *["---:"] * (len(heads) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in [heads, rules, *rows])
