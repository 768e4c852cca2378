"""Settings of all tests: one thread per worker, the directory of real data, and nothing read from the user's home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

os.environ.setdefault("MPLBACKEND", "Agg")
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with the real benchmark tables and images; skip where there is none."""
    candidates = [os.environ.get("NASLIB_TEST_DATA"), ROOT.parent / "shared" / "data"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "nb201.npz").is_file():
            return Path(candidate)
    pytest.skip("the real data tables are not here (set NASLIB_TEST_DATA to the folder that holds nb201.npz)")
