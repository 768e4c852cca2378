"""Controllers against random search: what a search returns, and what the table says of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import nas_rl


class Table:
    """A table in which the validation accuracy is the sum of the genes, and the test accuracy one more."""

    is_one_training = False

    def query(self, code: Any, metric: Any, dataset: Any = None, epoch: Any = None, full_lc: bool = False) -> float:
        return float(sum(code)) + (metric.name == "TEST_ACCURACY")


@pytest.mark.parametrize("method", ["random", "nas_rl, 0.01", "ppo, 0.005, softmax: own"])
def test_a_search_returns_the_best_by_validation_and_the_mean_of_the_last(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nas_rl, "get_dataset_api", lambda *args: Table())
    best, test, last = nas_rl.search_table(method, 3, 40, None)
    assert test == best + 1 and 12 < best <= 24 and 6 < last < best
    assert nas_rl.search_table(method, 3, 40, None) == (best, test, last)


def test_a_line_is_the_mean_over_seeds() -> None:
    rows = [
        dict(zip(nas_rl.FIELDS, ("random", "40", str(seed), value, "90", "70"), strict=True))
        for seed, value in enumerate(("91", "93", "95"))
    ]
    assert float(np.std([91, 93, 95], ddof=1)) == 2.0
    assert (
        nas_rl.table("digits", rows).splitlines()[-1]
        == "| random | 40 | 3 | 93.00 ± 2.00 | 90.00 ± 0.00 | 70.00 ± 0.00 |"
    )
    with pytest.raises(SystemExit):
        nas_rl.main(["digits", "--methods", "ppo"])
