"""The evaluator of proxies: a function of the trial alone, its votes, its failures, and what it refuses."""

from __future__ import annotations

import math
import pickle
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from naslib.errors import ConfigError, DataError, TrialFailed
from naslib.evaluators import ProxyEvaluator
from naslib.history import Objective, Trial
from naslib.optimizers import RegularizedEvolution
from naslib.predictors import compute_proxy
from naslib.predictors.proxies.scoring import seeded_network
from naslib.search_spaces import NasBench201SearchSpace
from naslib.tasks import Classification, Regression
from naslib.utils.seeding import derive_seed, rng_snapshot, set_seed

CODE = (2, 0, 3, 3, 2, 4)
DEAD = (1,) * 6


def space() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(3, 2, channels=4, cells_per_stage=1)


def images(n: int = 24) -> TensorDataset:
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(n, 2, 8, 8, generator=generator), torch.arange(n) % 3)


def evaluator(loader: Any = None, **kwargs: Any) -> ProxyEvaluator:
    loader = loader if loader is not None else DataLoader(images(), 8)
    return ProxyEvaluator(space(), loader, **{"seed": 11, **kwargs})


def test_a_value_is_that_of_the_trials_network_on_the_first_batch():
    found = evaluator(proxy="snip").evaluate(Trial(3, CODE, 0))
    seed = derive_seed(11, "trial", 3)
    data = [images()[:8][0], images()[:8][1]]
    expected = compute_proxy("snip", seeded_network(space(), CODE, seed), Classification(), data, seed)
    assert found.values == (expected,)
    assert found.user == {"snip": expected}
    assert evaluator(proxy="snip").evaluate(Trial(9, CODE, 0, seed=seed)).values == (expected,)
    assert evaluator(proxy="snip").evaluate(Trial(4, CODE, 0)).values != (expected,)


def test_batches_do_not_depend_on_what_was_drawn_before():
    def values(made: ProxyEvaluator) -> tuple[float, ...]:
        return made.evaluate(Trial(0, CODE, 0)).values

    first = evaluator(DataLoader(images(), 8, shuffle=True), proxy="zico")
    set_seed(4)
    torch.rand(9)
    ready, loader = space(), DataLoader(images(), 8, shuffle=True)
    before = rng_snapshot()
    second = ProxyEvaluator(ready, loader, seed=11, proxy="zico")
    assert values(first) == values(second) == values(pickle.loads(pickle.dumps(second)))
    assert torch.equal(before["torch"], rng_snapshot()["torch"])
    assert len(second.scorer.batch) == 2


def test_objectives_and_their_directions():
    assert evaluator(proxy="ntk").objectives == (Objective("ntk", False, ""),)
    assert evaluator(proxy="nwot").objectives == (Objective("nwot", True, ""),)
    both = evaluator(proxy="nwot", objectives=["nwot", "params", "flops"])
    values = both.evaluate(Trial(0, CODE, 0)).values
    network = seeded_network(space(), CODE, 0)
    assert values[1] == sum(p.numel() for p in network.parameters()) / 1e6
    macs = compute_proxy("flops", network, Classification(), [images()[:2][0], images()[:2][1]])
    assert values[2] == pytest.approx(macs)
    assert [o.maximize for o in both.objectives] == [True, False, False]
    with pytest.raises(ConfigError, match=r"no 'accuracy' is measured.*there are: nwot, params, flops"):
        evaluator(proxy="nwot", objectives=["accuracy"])


def test_a_vote_is_the_mean_logarithm_of_places_among_a_sample():
    made = evaluator(proxy=["params", "ntk"], sample=6)
    assert made.objectives == (Objective("vote", True, ""),)
    rows = []
    for number in range(6):
        code = made.scorer.space._codec().random(Random(derive_seed(11, "drawn", number)))
        seed = derive_seed(11, "sample", number)
        network = seeded_network(space(), code, seed)
        data = [images()[:8][0], images()[:8][1]]
        try:
            rows.append([compute_proxy(name, network, Classification(), data, seed) for name in ("params", "ntk")])
        except ValueError:
            continue
    assert len(rows) >= 3
    found = made.evaluate(Trial(0, CODE, 0))
    total = 0.0
    for sign, name, column in zip((1, -1), ("params", "ntk"), np.asarray(rows).T, strict=True):
        total += math.log(place_by_hand(sign * found.user[name], sorted(sign * column))) / 2
    assert found.values[0] == pytest.approx(total, rel=1e-9)
    assert found.user["vote"] == found.values[0]
    assert pickle.loads(pickle.dumps(made)).evaluate(Trial(0, CODE, 0)).values == found.values


def place_by_hand(value: float, sample: list[float]) -> float:
    m, span = len(sample), sample[-1] - sample[0]
    if value > sample[-1]:
        return m / (m + 1) + 1 / (m + 1) * (value - sample[-1]) / (span + value - sample[-1])
    if value < sample[0]:
        return 1 / (m + 1) * span / (span + sample[0] - value)
    points = sorted(set(sample))
    shares = [np.mean([i + 1 for i, other in enumerate(sample) if other == point]) / (m + 1) for point in points]
    return float(np.interp(value, points, shares))


def test_az_nas_is_a_vote_of_four():
    made = evaluator(proxy="az_nas", sample=4)
    assert [objective.name for objective in made.objectives] == ["vote"]
    found = made.evaluate(Trial(0, CODE, 0))
    assert {name for name in found.user if name.startswith("az_nas.")} == {
        "az_nas.expressivity", "az_nas.progressivity", "az_nas.trainability", "az_nas.complexity"
    }  # fmt: skip
    assert found.values[0] < 0


def test_a_network_without_a_proxy_is_a_failed_trial():
    made = evaluator(proxy="jacov")
    with pytest.raises(TrialFailed, match="jacov: the outputs of this network do not depend on its inputs"):
        made.evaluate(Trial(0, DEAD, 0))
    made.check(DEAD)  # others have one
    assert math.isfinite(made.evaluate(Trial(1, CODE, 0)).values[0])


def test_what_is_refused_before_the_search():
    numbers = TensorDataset(images().tensors[0], torch.randn(24, 3))
    made = ProxyEvaluator(space(), DataLoader(numbers, 8), task=Regression(), proxy="epe_nas")
    with pytest.raises(ConfigError, match=r"search\.evaluator_args\.proxy: epe_nas needs one class per input"):
        made.check(CODE)
    with pytest.raises(ConfigError, match=r"search\.evaluator_args\.network_args do not fit the space"):
        evaluator(proxy="snip", network_args={"colour": 3}).check(CODE)
    for kwargs, message in (
        ({"proxy": "synflo"}, "did you mean 'synflow'"),
        ({"proxy": []}, "name at least one proxy"),
        ({"batches": 0}, "batches must be at least 1"),
        ({"sample": 1}, "sample must be at least 2"),
        ({"options": {"nwot": {}}}, "options of nwot"),
    ):
        with pytest.raises(ConfigError, match=message):
            evaluator(**kwargs)
    with pytest.raises(DataError, match="9 are asked for, and the training part has 3"):
        evaluator(batches=9)


def test_describe_says_what_values_depend_on():
    one, two = evaluator(proxy="nwot"), evaluator(proxy=["nwot", "synflow"], sample=5)
    assert one.describe() == {
        "evaluator": "ProxyEvaluator", "objectives": ["nwot"], "proxy": ["nwot"], "batches": 1, "options": {},
        "network_args": None, "task": "Classification(loss=CrossEntropyLoss)",
    }  # fmt: skip
    assert two.describe()["sample"] == 5


def test_a_search_finds_the_largest_network_by_params():
    optimizer = RegularizedEvolution(population_size=8, sample_size=4)
    set_seed(0)
    made = evaluator(proxy="params")
    optimizer.adapt_search_space(space(), evaluator=made)
    for _ in range(50):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, made.evaluate(trial).values)
    best = nn.utils.parameters_to_vector(seeded_network(space(), (2,) * 6, 0).parameters()).numel() / 1e6
    assert optimizer.record.incumbent_values[0] >= 0.7 * best
