"""What is said of the shipped table: by hand on a small one, and of the file itself."""

from __future__ import annotations

import numpy as np
import pytest
from small_results import small_results

from benchmarks.digits_table import FILE, LARGEST, main, rank_correlations


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
