"""Several objectives in a run of the Trainer: summary, picture, resume, and the history of trials."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_files import data_file

from naslib import history
from naslib.build import main
from naslib.errors import OptimizerStateError
from naslib.history.pareto import dominates, hypervolume
from naslib.optimizers import NSGA2, RandomSearch
from naslib.search_spaces import NasBench201SearchSpace
from naslib.utils import get_dataset_api

TABLE = data_file("nb201.npz")
NEEDS_TABLE = pytest.mark.skipif(not TABLE.is_file(), reason=f"the table {TABLE} is not there")
WORDS = ["dataset=cifar10", "search_space=nasbench201", "search.objectives=[VAL_ACCURACY, LATENCY]", "seed=3"]


@NEEDS_TABLE
def test_a_run_leaves_its_front(tmp_path: Path):
    words = [*WORDS, "optimizer=nsga2", "search.epochs=60", "search.population_size=10", f"data={TABLE.parent}"]
    assert main([*words, f"out_dir={tmp_path}", "search.checkpoint_freq=1000"]) == 0
    (folder,) = (path.parent for path in tmp_path.rglob("summary.json"))
    trials = json.loads((folder / "summary.json").read_text())["trials"]
    assert trials["objectives"] == ["VAL_ACCURACY", "LATENCY"]
    front = trials["front"]
    told = history.load(folder)
    assert len(told) == 60
    merits = {(t.values[0], -t.values[1]) for t in told if t.values}
    best = {one for one in merits if not any(dominates(other, one) for other in merits)}
    assert {(m["values"][0], -m["values"][1]) for m in front["members"]} == best
    assert front["members"][0]["values"][0] == max(one for one, _ in merits) == trials["best_values"][0]
    members = np.array(sorted(best))
    reference = members.min(0) - 0.05 * (members.max(0) - members.min(0))
    assert front["reference_point"] == pytest.approx((reference * [1, -1]).tolist()) == trials["reference_point"]
    expected = hypervolume(members, reference.tolist())
    assert front["hypervolume"] == trials["hypervolume"] == pytest.approx(expected) and expected > 0
    codes = {t.number: list(t.code) for t in told}
    assert all(codes[m["trial"]] == m["code"] and m["genotype"] for m in front["members"])
    assert (folder / "front.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and (folder / "front.svg").is_file()


@NEEDS_TABLE
def test_a_loop_of_ones_own_asks_the_table_for_every_objective():
    api = get_dataset_api("nasbench201", "cifar10", str(TABLE.parent))
    np.random.seed(0)
    optimizer = RandomSearch(objectives=["VAL_ACCURACY", "PARAMETERS"])
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "cifar10", dataset_api=api)
    for epoch in range(40):
        optimizer.new_epoch(epoch)
    accuracy, size = optimizer.metrics
    for member in optimizer.record.front.members:
        asked = [api.query(member.code, metric, "cifar10", 200) for metric in (accuracy, size)]
        assert member.merits == (asked[0], -asked[1])
    assert len(optimizer.record.front) >= 3


def test_a_generation_that_is_pending_is_waited_for():
    optimizer = NSGA2(population_size=2)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), evaluator=_Nothing())
    assert len(optimizer.ask(5)) == 2
    with pytest.raises(OptimizerStateError, match="NSGA2 waits for the trials that are pending"):
        optimizer.new_epoch(0)


class _Nothing:
    objectives = (history.Objective("nothing"),)
