from collections.abc import Iterator

import pytest
import torch

from normscope import timing


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed() -> Iterator[None]:
    torch.manual_seed(0)
    with timing.threads(1):
        yield
