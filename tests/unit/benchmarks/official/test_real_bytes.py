"""Files that the authors of benchmarks published, where they are: in a folder `official` beside the tables."""

from __future__ import annotations

import pytest
from data_files import data_file, data_folders

from benchmarks.official_files import compared

FOLDER = next((folder / "official" for folder in data_folders() if (folder / "official").is_dir()), None)


@pytest.mark.skipif(FOLDER is None, reason="no folder official with files of the authors in the data directory")
def test_they_say_what_the_compact_tables_say() -> None:
    """To the last bit, save for the latencies on CIFAR-10, of which the table has others than the file."""
    assert FOLDER is not None
    rows = list(compared(FOLDER, data_file("nb201.npz").parent))
    assert rows
    for row in rows:
        if "latency" not in str(row["file"]):
            assert row["figures"] == row["equal"] and row["architectures"], row
