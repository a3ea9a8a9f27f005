"""Every stage is stopped by SIGTERM, SIGKILL, Ctrl-C or a full disk, and run again with the same result.

MMSREC_KILL_MOMENTS=N stops every stage by every fault at N seeded moments; MMSREC_KILL_SEED chooses other moments.
Without it, some stages are stopped once each.
"""

import os
import random
import sys
from collections import Counter

import pytest

from tests.integration.engines import ROOT
from tests.integration.kill_matrix import DELAYS, FAULTS, SOME, STAGES, Trial, make_project, small_disk

sys.path += [str(ROOT / "workflow"), str(ROOT / "workflow/scripts")]

from stage_server import serving
from warm_stages import preload

MOMENTS = int(os.environ.get("MMSREC_KILL_MOMENTS", "0"))
SEED = int(os.environ.get("MMSREC_KILL_SEED", "0"))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    with (
        serving(preload) as address,
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
