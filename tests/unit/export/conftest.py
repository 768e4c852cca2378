"""A run to export: a small cell on digits, searched and retrained in a second or two."""

from __future__ import annotations

from pathlib import Path

import pytest

from naslib.build import main

TINY = ["search_space=simple_cell", "search_space_args={channels: 8}", "search.epochs=1"]
TINY += ["evaluation.epochs=1", "search.batch_size=256", "evaluation.batch_size=64"]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run; nobody writes into it but under names of his own."""
    folder = tmp_path_factory.mktemp("exported")
    assert main(["--config", "darts.yaml", *TINY, f"out_dir={folder}"]) == 0
    return next(folder.rglob("summary.json")).parent
