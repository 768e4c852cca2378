"""Settings of all tests: one thread per worker, the directory of real data, and nothing read from the user's home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from data_files import data_file

os.environ.setdefault("MPLBACKEND", "Agg")
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with the real benchmark tables and images; skip where there is none."""
    table = data_file("nb201.npz")
    if not table.is_file():
        pytest.skip("the real data tables are not here (set NASLIB_DATA to the folder that holds nb201.npz)")
    return table.parent
