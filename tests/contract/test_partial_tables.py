"""Every black-box method searches a table that lacks most of its space, and asks it for nothing that it lacks."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from every_black_box import KEYWORDS, ON_ANY_SPACE

from naslib.benchmarks import Benchmark, get_dataset_api
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.seeding import set_seed

# As many evaluations as a search has here are enough for these
BY_MODEL = {"predictor_type": "bayes_lin_reg", "num_init": 8, "k": 6, "num_candidates": 20}
SMALL: dict[str, dict[str, Any]] = {**KEYWORDS, **dict.fromkeys(("bananas", "bp", "npenas"), BY_MODEL)}


class Asked(Benchmark):
    """A table of some architectures that keeps what it is asked for."""

    name, datasets = "nasbench201", ("digits",)

    def __init__(self, count: int = 40) -> None:
        self.table: Any = get_dataset_api("nasbench201", "digits")
        self.some = Random(0).sample(self.table.results.codes, count)
        self.asked: list[tuple[int, ...]] = []

    def query(self, code: Any, metric: Any, dataset: Any = None, epoch: int = -1, full_lc: bool = False) -> Any:
        assert tuple(code) in self.some, f"{code} is not in the table"
        self.asked.append(tuple(code))
        return self.table.query(tuple(code), metric, dataset, epoch, full_lc)

    def query_batch(self, codes: Any, metric: Any, dataset: Any = None, epoch: int = -1) -> np.ndarray:
        return np.array([self.query(tuple(code), metric, dataset, epoch) for code in np.asarray(codes).tolist()])

    def has(self, metric: Any, dataset: Any = None, epoch: int = -1) -> bool:
        return bool(self.table.has(metric, dataset, epoch))

    def known_codes(self, metric: Metric, dataset: Any = None, epoch: int = -1) -> list[tuple[int, ...]]:
        return self.some


@pytest.mark.parametrize("name", ON_ANY_SPACE)
def test_a_search_asks_for_what_there_is(name: str) -> None:
    set_seed(3)
    method, table = OPTIMIZERS.get(name), Asked()
    optimizer = method(**{"fidelity": 9, **SMALL.get(name, {})})
    space = NasBench201SearchSpace(channels=8, cells_per_stage=1)
    optimizer.adapt_search_space(space, "digits", dataset_api=table)
    table.asked.clear()
    # what comes with naslib proposes nothing twice, and ends with an error where nothing is left
    for number in range(len(table.some) if name == "proposer" else 60):
        optimizer.new_epoch(number)
    assert optimizer.record.evaluations + optimizer.record.failed >= 40 and optimizer.record.failed == 0
    assert len(set(table.asked)) >= 10 and set(table.asked) <= set(table.some)
    assert optimizer.record.incumbent in table.some
