"""Costs beside the score, whatever gives a trial its score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from naslib.benchmarks.lookup import get_dataset_api
from naslib.cli.builders import build_trainer
from naslib.config import load_config
from naslib.errors import BenchmarkError, ConfigError, TrialFailed
from naslib.evaluators import Evaluator, TableEvaluator, WithCosts
from naslib.evaluators.with_costs import split_objectives
from naslib.hardware.benchmark import CostBenchmark
from naslib.hardware.costs import ArchitectureCost, HardwareCosts
from naslib.hardware.given import CostsOfSpace
from naslib.hardware.metrics import METRICS, macs, memory, params
from naslib.history import Objective, Outcome, Trial, load
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.pareto_search.known import known_columns
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network


class _Score(Evaluator):
    """Say the sum of the code, and count who asks."""

    objectives = (Objective("accuracy", True, "%"), Objective("loss"))
    fidelity = 3
    has_curves = True

    def __init__(self) -> None:
        self.asked = 0

    def evaluate(self, trial: Any, should_stop: Any = None) -> Outcome:
        """Return the sum, and its half."""
        self.asked += 1
        return Outcome((float(sum(trial.code)), sum(trial.code) / 2), 1.5, {"own": 1})


class _Length(ArchitectureCost):
    """Say how often there is a 1; a code that begins with 9 has no figure."""

    def __init__(self, name: str, is_known: bool = True) -> None:
        self.metric, self.about, self.is_known = METRICS[name], "counted", is_known

    def of(self, code: Any) -> float:
        """Return it."""
        if code[0] == 9:
            raise BenchmarkError("not measured")
        return float(code.count(1))

    def user(self) -> dict[str, Any]:
        """Return a word on it."""
        return {f"{self.metric.name}_runs": 5}


def test_values_are_in_the_order_of_the_names() -> None:
    inner = _Score()
    names = ["latency", "accuracy", "MACS", "loss"]
    rest, costs = split_objectives(names, ())
    assert (rest, costs) == (["accuracy", "loss"], ["latency", "macs"])
    evaluator = WithCosts(inner, HardwareCosts([_Length("latency"), _Length("macs")]), names)
    assert [(o.name, o.maximize, o.unit) for o in evaluator.objectives] == [
        ("latency", False, "ms"),
        ("accuracy", True, "%"),
        ("macs", False, "M"),
        ("loss", True, ""),
    ]
    outcome = evaluator.evaluate(Trial(0, (1, 2, 1), 3))
    assert outcome == Outcome((2.0, 4.0, 2.0, 2.0), 1.5, {"own": 1, "latency_runs": 5, "macs_runs": 5})
    assert not evaluator.has_curves, "curves are of the first objective"
    with pytest.raises(TrialFailed, match="not measured"):
        evaluator.evaluate(Trial(1, (9, 2, 1), 3))
    assert inner.asked == 1, "what has no cost is not evaluated"
    assert evaluator.describe()["costs"] == {"latency": "counted", "macs": "counted"}


def test_what_an_evaluator_measures_itself_stays_with_it() -> None:
    assert split_objectives(["accuracy", "params", "FLOPS"], ("params", "flops")) == (
        ["accuracy", "params", "FLOPS"],
        [],
    )
    assert split_objectives(None, ()) == (None, [])
    assert split_objectives(["accuracy", "PARAMETERS"], ()) == (["accuracy"], ["params"])
    with pytest.raises(ConfigError, match="macs, latency are costs, which take no evaluation"):
        split_objectives(["macs", "latency"], ())


def test_a_benchmark_answers_for_costs_by_their_names() -> None:
    table: Any = get_dataset_api("nasbench201", "digits")
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1, in_channels=1)
    made = CostsOfSpace(space, input_shape=lambda: (1, 8, 8), api=table, dataset="digits")
    api = CostBenchmark(table, made.costs(["macs", "params", "memory"]))
    code = table.code_of(3)
    network = fresh_network(space, code)
    assert api.query(code, "memory", "digits", 12) == memory(network, (1, 8, 8))
    assert api.query(code, "params", "digits") == table.query(code, "PARAMETERS", "digits")
    assert api.query(code, "macs", "digits") == table.query(code, "FLOPS", "digits")
    assert api.query(code, "VAL_ACCURACY", "digits") == table.query(code, "VAL_ACCURACY", "digits")
    assert api.query_batch([code, code], "memory").tolist() == 2 * [memory(network, (1, 8, 8))]
    assert api.has("memory") and api.has(api.metric_of("memory")) and not api.has("energy")
    assert api.known_codes(api.metric_of("memory")) is None and api.code_of(3) == code
    with pytest.raises(BenchmarkError, match="no learning curve"):
        api.query(code, "memory", full_lc=True)
    evaluator = TableEvaluator(api, "digits", ["VAL_ACCURACY", "memory"])
    assert [o.unit for o in evaluator.objectives] == ["%", "MB"] and evaluator.is_instant
    measured = CostBenchmark(table, HardwareCosts([_Length("latency", is_known=False)]))
    asked = TableEvaluator(measured, "digits", ["VAL_ACCURACY", "latency"])
    assert not asked.is_instant, "a search that goes on must find what was measured"
    assert asked.evaluate(Trial(0, code, -1)).user == {"latency_runs": 5}


def _run(folder: Path, *overrides: str) -> Any:
    config = load_config(
        overrides=[
            "dataset=digits",
            "search_space=nasbench201",
            "optimizer=rs",
            "search_space_args={channels: 2, cells_per_stage: 1}",
            "search.epochs=2",
            f"out_dir={folder}",
            *overrides,
        ]
    )
    trainer = build_trainer(config)
    trainer.search()
    return load(config.save)


ARGS = {
    "train": "search.evaluator_args={epochs: 1}",
    "proxy": "search.evaluator_args={proxy: l2_norm}",
    "mepa": "search.evaluator_args={shared_steps: 1, valid_batches: 1}",
    "predictor": "search.evaluator_args={table: 20, dataset: digits, predictor_type: et}",
}
FIRST = {"proxy": "l2_norm", "predictor": "VAL_ACCURACY"}


@pytest.mark.parametrize("name", ["proxy", *(pytest.param(n, marks=pytest.mark.slow) for n in ARGS if n != "proxy")])
def test_every_evaluator_has_costs_beside_its_score(name: str, tmp_path: Path) -> None:
    first = FIRST.get(name, "accuracy")
    costs = f"[{first}, macs, params, memory, latency]"
    trials = _run(
        tmp_path,
        f"search.evaluator={name}",
        ARGS[name],
        f"search.objectives={costs}",
        "search.hardware={latency: {here: true, threads: 1}}",
        "search.batch_size=200",
    )
    assert [o.name for o in trials.objectives] == [first, "macs", "params", "memory", "latency"]
    space = NasBench201SearchSpace(channels=2, cells_per_stage=1, in_channels=1)
    for trial in trials:
        network = fresh_network(space, trial.code)
        _, of_macs, of_params, of_memory, of_latency = trial.values
        assert of_macs == pytest.approx(macs(network, (1, 8, 8)), rel=1e-12)
        assert of_params == params(network)
        assert of_memory == memory(network, (1, 8, 8))
        assert of_latency > 0 and trial.user["latency_runs"] == 50 and trial.user["latency_threads"] == 1


def test_pareto_search_looks_up_what_is_known() -> None:
    table: Any = get_dataset_api("nasbench201", "digits")
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1, in_channels=1)
    found = {}
    for known in ("auto", []):
        torch.manual_seed(0)
        np.random.seed(0)
        search: Any = OPTIMIZERS.get("pareto_search")(
            objectives=["VAL_ACCURACY", "macs"], known=known, fidelity=-1, num_init=5, k=5, num_candidates=10
        )
        search.adapt_search_space(space, "digits", dataset_api=table)
        for epoch in range(15):
            search.new_epoch(epoch)
        codes = search.state.codes
        told = known_columns(search.known, search)
        assert list(told) == ([1] if known else [])
        mean, std = search._believed(codes, np.zeros((len(codes), 2)), codes, told)
        if known:
            assert mean[:, 1].tolist() == [-table.query(code, "FLOPS", "digits") for code in codes]
            assert not std[:, 1].any()
        found[str(known)] = list(codes)
    assert found["auto"] != found["[]"]
    wrong: Any = OPTIMIZERS.get("pareto_search")(objectives=["VAL_ACCURACY", "macs"], known=["mac"], fidelity=-1)
    with pytest.raises(ConfigError, match=r"known: no objective is called 'mac'.*did you mean 'macs'"):
        wrong.adapt_search_space(space, "digits", dataset_api=table)
    with pytest.raises(ConfigError, match="list of objectives or auto"):
        OPTIMIZERS.get("pareto_search")(known="all")
