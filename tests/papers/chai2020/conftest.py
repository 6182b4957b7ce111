import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    """Cells run as in a worker process, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
