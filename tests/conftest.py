"""Settings of all tests: one thread per worker, the directory of real data, and nothing read from the user's home."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from data_files import data_file
from ranks import Ranks

os.environ.setdefault("MPLBACKEND", "Agg")
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what naslib caches out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASLIB_CACHE", str(tmp_path_factory.mktemp("naslib-cache")))
        yield


@pytest.fixture(scope="session")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    """Return two processes that are joined by gloo, the same ones for all tests."""
    ranks = Ranks(tmp_path_factory.mktemp("ranks"))
    yield ranks
    ranks.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with the real benchmark tables and images; skip where there is none."""
    table = data_file("nb201.npz")
    if not table.is_file():
        pytest.skip("the real data tables are not here (set NASLIB_DATA to the folder that holds nb201.npz)")
    return table.parent
