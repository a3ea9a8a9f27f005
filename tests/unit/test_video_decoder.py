"""decord in the same process as torch."""

import subprocess
import sys

import pytest

PROGRAM = """
from mmsrec import video_decoder
import torch
with open("/proc/self/maps") as maps:
    loaded = maps.read()
assert "libdecord" in loaded
assert "libnvblas" not in loaded
torch.nn.Linear(64, 64)(torch.randn(8, 64))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads what is loaded from /proc")
def test_decord_loads_no_other_blas():
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120)
