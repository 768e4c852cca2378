"""What is said of the shipped table: by hand on a small one, and of the file itself."""

from __future__ import annotations

import numpy as np
import pytest
from data_files import data_file
from small_results import small_results

from benchmarks.digits_table import FILE, LARGEST, main, rank_correlations, spread


def test_rank_correlations_by_hand():
    results = small_results()
    results.seconds[:] = 1.0
    for name in ("valid_score", "test_score"):  # the second row is worse in every epoch, and better on the test part
        results.curves[name][0], results.curves[name][1] = 60.0, 50.0
    results.curves["test_score"][1] = 70.0
    results.curves["valid_score"][1, :, 0] = 80.0
    found = rank_correlations(results)
    assert found["validation, one seed against the other"] == pytest.approx(1.0)
    assert found["validation against test, means"] == pytest.approx(-1.0)
    assert found["parameters against validation"] == pytest.approx(-1.0)  # 1,000 and 3,000
    assert found["validation after 1 epochs against the last"] == pytest.approx(-1.0)
    assert found["validation after 2 epochs against the last"] == pytest.approx(1.0)


def test_the_shipped_file_is_small_and_described(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0 and FILE.stat().st_size <= LARGEST
    text = capsys.readouterr().out
    assert "of 5,234 that differ" in text and "validation against test, means" in text
    assert np.isfinite(float(text.split()[-1]))


@pytest.mark.skipif(not data_file("nb201.npz").is_file(), reason="needs nb201.npz in NASLIB_DATA or shared/data")
def test_cells_of_one_function_differ_as_seeds_of_one_cell_do():
    """In the table of 15,625 trained cells; all cells together have a deviation of 12.8 points."""
    found = spread(data_file("nb201.npz"))
    assert found["cells of one function, one seed"] == pytest.approx(0.502, abs=0.001)
    assert found["seeds of one cell"] == pytest.approx(0.558, abs=0.001)
    assert found["all cells, one seed"] == pytest.approx(12.776, abs=0.001)
