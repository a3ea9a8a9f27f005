"""Every stage is stopped by SIGTERM, SIGKILL, Ctrl-C or a full disk, and run again with the same result.

MMSREC_KILL_MOMENTS=N stops every stage by every fault at N seeded moments; MMSREC_KILL_SEED chooses other moments.
Without it, some stages are stopped once each.
"""

import os
import random
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.integration.engines import ROOT
from tests.integration.kill_matrix import DELAYS, FAULTS, SOME, STAGES, Trial, make_project, small_disk

MOMENTS = int(os.environ.get("MMSREC_KILL_MOMENTS", "0"))
SEED = int(os.environ.get("MMSREC_KILL_SEED", "0"))


# It prints the address of the server of stages, and ends with the tests.
HOLD = "import os, sys; print(os.environ['MMSREC_STAGES'], flush=True); sys.stdin.read()"


@contextmanager
def stages():
    """A server of stages. It is forked from a process without threads: a fork of this one could hang."""
    command = [sys.executable, str(ROOT / "workflow/scripts/warm_stages.py"), "--", sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    with (
        stages() as address,
        small_disk(folder / "disk") as resizable,
        make_project(folder / "disk" / "project", folder / "actions", address, resizable, bool(MOMENTS)) as made,
    ):
        yield made


def test_a_stopped_stage_ends_as_if_nothing_had_happened(project):
    moments, outcomes, wrong = random.Random(SEED), Counter(), []
    every = {stage: (command, FAULTS) for stage, command in STAGES.items()}
    some = {stage: (command, [fault] if fault else []) for stage, (command, fault) in SOME.items()}
    for stage, (command, faults) in (every if MOMENTS else some).items():
        trial = Trial(project, stage, command)
        for fault in (fault for fault in faults for _ in range(MOMENTS or 1)):
            outcome, texts = trial.stop(fault, moments, DELAYS if MOMENTS else [0])
            outcomes[stage, fault, outcome] += 1
            wrong += [f"{stage}, {fault}: {text}" for text in texts]
            print(*wrong[len(wrong) - len(texts) :], sep="\n", end="", flush=True)
    for (stage, fault, outcome), count in outcomes.items():
        print(f"{stage:26} {fault:10} {outcome:16} {count}")
    assert not wrong, "\n".join(wrong)
