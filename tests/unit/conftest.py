import pytest
import torch


@pytest.fixture
def threads():
    """Two threads of torch's, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)
