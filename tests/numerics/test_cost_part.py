"""The part `cost`: its gradient, the multiplier method, a target that the architecture meets, and what is refused."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from small_spaces import ConvSpace, images
from torch import Tensor

from naslib.errors import ConfigError, NASLibError
from naslib.hardware import LatencyTable, operation_key, trace_candidates
from naslib.hardware.metrics import METRICS
from naslib.hardware.projection import cost_range
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, OneShotOptimizer
from naslib.optimizers.oneshot.parts._lagrangian import AugmentedLagrangian
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.registry import SEARCH_SPACES

SHAPE = (2, 8, 8)


def _adapted(cost: dict[str, Any], name: str = "darts", space: Graph | None = None, **keys: Any) -> OneShotOptimizer:
    torch.manual_seed(0)
    given = {"input_shape": SHAPE, **cost}
    parts = {"warm_up": {"epochs": 0}, "cost": given, **keys.pop("parts", {})}
    optimizer = OPTIMIZERS.get(name)(parts=parts, **{"epochs": 3, "arch_learning_rate": 0.1, **keys})
    optimizer.adapt_search_space(space if space is not None else ConvSpace())
    optimizer.before_training()
    return optimizer


def _range(metric: str, space: Graph | None = None, **more: Any) -> tuple[float, float]:
    optimizer = _adapted({"metric": metric, "weight": 1.0, **more}, space=space)
    return cost_range(optimizer.parts["cost"].model)


def _search(optimizer: OneShotOptimizer, shape=SHAPE, classes: int = 3, steps: int = 2, first: int = 0) -> None:
    for epoch in range(first, optimizer.epochs):
        optimizer.new_epoch(epoch)
        for step in range(steps):
            generator = torch.Generator().manual_seed(10 * epoch + step)
            x = torch.randn(6, *shape, generator=generator)
            data = x, torch.randint(classes, (6,), generator=generator)
            optimizer.step(data, data)


# the term


def _gradient(optimizer: OneShotOptimizer) -> list[Tensor]:
    alphas = list(optimizer.architectural_weights)
    total = optimizer.parts["cost"].architecture_loss(torch.zeros((), dtype=torch.float64))
    return list(torch.autograd.grad(total, alphas))


def _double(optimizer: OneShotOptimizer) -> OneShotOptimizer:
    with torch.no_grad():
        for index, alpha in enumerate(optimizer.architectural_weights):
            alpha.copy_(torch.linspace(-1, 1, len(alpha)) * (index + 1))
    optimizer.architectural_weights.double()
    return optimizer


TERMS: dict[str, tuple[dict[str, Any], Any]] = {
    # by what dE/dalpha is multiplied, for E, the cost C of the architecture, and the mean M of uniform probabilities
    "weight": ({"weight": 3.0}, lambda e, c, m: 3.0 / m),
    "weight and target": ({"weight": 3.0, "target": 0.0004}, lambda e, c, m: 3.0 / 0.0004),
    "below the target": ({"weight": 3.0, "target": 0.0009, "one_sided": True}, lambda e, c, m: 0.0),
    "constraint": (
        {"target": 0.0004, "multiplier": 0.5, "penalty": 2.0},
        lambda e, c, m: (0.5 + 2.0 * (c / 0.0004 - 1)) / 0.0004,
    ),
    "one-sided, met": ({"target": 0.0009, "penalty": 2.0, "one_sided": True}, lambda e, c, m: 0.0),
    "on the expectation": (
        {"target": 0.0004, "multiplier": 0.5, "penalty": 2.0, "acts_on": "expectation"},
        lambda e, c, m: (0.5 + 2.0 * (e / 0.0004 - 1)) / 0.0004,
    ),
}


@pytest.mark.parametrize("name", TERMS)
def test_the_gradient_of_the_term(name: str):
    """`factor * p_i (F_i - sum_j p_j F_j)`, F of both copies of the cell: 4 * 4 * k^2 weights of a convolution."""
    settings, factor = TERMS[name]
    optimizer = _double(_adapted({"metric": "params", **settings}))
    part = optimizer.parts["cost"]
    sizes = [
        torch.tensor([sum(p.numel() for p in op.parameters()) for op in d.op.primitives]) for d in optimizer.decisions
    ]
    costs = [2 * size.double() / 1e6 for size in sizes]
    rows = [alpha.detach().softmax(-1) for alpha in optimizer.architectural_weights]
    inside = sum(int(size.sum()) for size in sizes) * 2
    fixed = (sum(p.numel() for p in optimizer.graph.parameters()) - inside) / 1e6
    expected = fixed + sum(float(row @ cost) for row, cost in zip(rows, costs, strict=True))
    architecture = fixed + sum(float(cost[row.argmax()]) for row, cost in zip(rows, costs, strict=True))
    mean = fixed + sum(float(cost.mean()) for cost in costs)
    assert part.expected() == pytest.approx(expected, rel=1e-12)
    multiplied = factor(expected, architecture, mean)
    for gradient, p, f in zip(_gradient(optimizer), rows, costs, strict=True):
        torch.testing.assert_close(gradient, multiplied * p * (f - p @ f), rtol=1e-10, atol=1e-15)


def test_the_multiplier_method_by_hand():
    """Minimize x^2 with x >= 1, as g = 1 - x <= 0: the multiplier goes to 2."""
    method = AugmentedLagrangian(True, 0.0, 4.0, 2.0, 100.0, 1e-9)
    told = []
    for _ in range(30):
        # of x^2 + (lambda + rho (1 - x))^2 / (2 rho): 2 x = lambda + rho (1 - x)
        x = (method.multiplier + method.penalty) / (2 + method.penalty)
        assert float(method.slope(1 - x)) == pytest.approx(2 * x)
        method.update(1 - x)
        told.append((method.multiplier, method.penalty))
    assert told[0] == (pytest.approx(4 / 3), 4.0)
    assert method.multiplier == pytest.approx(2.0, rel=1e-6) and method.penalty == 4.0  # each step is a third
    stuck = AugmentedLagrangian(False, 0.0, 1.0, 2.0, 5.0, 0.01)
    for violation, penalty in ((0.3, 1.0), (0.29, 2.0), (0.1, 2.0), (-0.09, 4.0), (-0.09, 5.0), (0.005, 5.0)):
        stuck.update(violation)
        assert stuck.penalty == penalty
    other = AugmentedLagrangian(False, 0.0, 1.0, 2.0, 5.0, 0.01)
    other.load_state_dict(stuck.state_dict())
    assert vars(other) == vars(stuck)
    assert float(AugmentedLagrangian(True, 0.1, 1.0, 2.0, 5.0, 0.01).slope(-0.5)) == 0.0


# the target


@pytest.mark.parametrize(
    ("metric", "shares"),
    [
        ("macs", [0.4]),
        pytest.param("params", [0.3, 0.6], marks=pytest.mark.slow),
        pytest.param("memory", [0.3, 0.6], marks=pytest.mark.slow),
    ],
)
def test_the_architecture_meets_the_target(metric: str, shares: list[float]):
    """On cells of the DARTS space, whose nodes drop edges, in one epoch of one step."""
    shape, space = (3, 8, 8), NasBench301SearchSpace(channels=4, cells=2, auxiliary=False)
    low, high = _range(metric, space, input_shape=shape)
    if metric == "memory":  # and the live tensors, which are the same in all architectures
        first = _adapted({"metric": metric, "weight": 1.0, "input_shape": shape}, space=space)
        first.new_epoch(0)
        low, high = low + first.parts["cost"]._offset, high + first.parts["cost"]._offset
    for share in shares:
        target = low + share * (high - low)
        optimizer = _adapted({"metric": metric, "target": target, "input_shape": shape}, space=space, epochs=1)
        _search(optimizer, shape, classes=10, steps=1)
        optimizer.select_architecture([], [])
        found = optimizer.get_final_architecture()
        counted = METRICS[metric].of_network(found, shape)
        assert abs(counted / target - 1) <= 0.02
        report = optimizer.parts["cost"].report()
        assert report["met"] and report["found"]["architecture"] == pytest.approx(counted, rel=1e-12)
        assert len(report["history"]) == 1 and report["history"][0]["target"] == target


def test_the_constraint_moves_the_architecture_before_the_projection():
    low, high = _range("params")
    optimizer = _adapted({"metric": "params", "target": low + 0.05 * (high - low), "project": False})
    with torch.no_grad():  # the dearest architecture
        for decision in optimizer.decisions:
            sizes = [sum(p.numel() for p in op.parameters()) for op in decision.op.primitives]
            decision.alpha.copy_(0.3 * torch.tensor(sizes) / max(sizes))
    _search(optimizer, steps=4)
    optimizer.select_architecture([], [])
    part = optimizer.parts["cost"]
    costs = [entry["architecture"] for entry in part.history]
    assert costs[0] == pytest.approx(high) and part.found["architecture"] < costs[0]
    assert part.history[1]["multiplier"] > 0 and optimizer.outcome is None


def test_one_sided_targets_leave_what_is_cheaper():
    low, high = _range("params")
    for target, is_projected in ((2 * high, False), (low + 0.02 * (high - low), True)):
        optimizer = _adapted({"metric": "params", "target": target, "one_sided": True}, arch_learning_rate=1e-4)
        _search(optimizer)
        before = optimizer.get_final_architecture().genotype()
        optimizer.select_architecture([], [])
        assert optimizer.outcome is not None
        assert is_projected or optimizer.get_final_architecture().genotype() == before
        assert METRICS["params"].of_network(optimizer.get_final_architecture(), SHAPE) <= target


def test_a_grid_that_is_too_coarse_gives_the_nearest_below(caplog: pytest.LogCaptureFixture):
    optimizer = _adapted({"metric": "params", "weight": 1.0})
    model = optimizer.parts["cost"].model
    costs = {model.fixed}
    for term in model.terms:
        costs = {cost + float(value) for cost in costs for value in term.values}
    first, second = sorted(costs)[:2]
    target = 0.5 * (first + second)
    optimizer = _adapted({"metric": "params", "target": target, "tolerance": 0.001}, epochs=1)
    _search(optimizer)
    with caplog.at_level(logging.WARNING):
        optimizer.select_architecture([], [])
    assert "no architecture has params within 0.1 % of the target" in caplog.text and "nearest below" in caplog.text
    assert optimizer.parts["cost"].found["architecture"] == pytest.approx(first, rel=1e-9)
    assert optimizer.parts["cost"].report()["met"] is False


def test_a_search_that_is_continued_is_the_same():
    low, high = _range("macs")
    cost = {"metric": "macs", "target": low + 0.4 * (high - low)}
    whole, first, second = (_adapted(cost) for _ in range(3))
    _search(whole)
    first.epochs = 2
    _search(first)
    for name, item in second.get_checkpointables().items():
        item.load_state_dict(first.get_checkpointables()[name].state_dict())
    second.new_epoch(1)  # of an epoch that was begun already: nothing happens twice
    assert second.parts["cost"].state_dict() == first.parts["cost"].state_dict()
    _search(second, first=2)
    for optimizer in (whole, second):
        optimizer.select_architecture([], [])
    assert second.parts["cost"].state_dict() == whole.parts["cost"].state_dict()
    for a, b in zip(whole.architectural_weights, second.architectural_weights, strict=True):
        assert torch.equal(a, b)
    assert whole.get_final_architecture().genotype() == second.get_final_architecture().genotype()


def test_a_target_can_follow_a_schedule():
    low, high = _range("macs")
    schedule = {"schedule": "piecewise", "values": [high, low], "milestones": [1]}
    optimizer = _adapted({"metric": "macs", "target": schedule}, epochs=2)
    assert optimizer.parts["cost"].target == high
    with pytest.raises(ConfigError, match=r"search.parts.cost.penalty cannot follow a schedule"):
        DARTSOptimizer(parts={"cost": {"target": 1.0, "penalty": schedule}})


@pytest.mark.slow
def test_the_target_of_the_network_that_is_retrained():
    """At another size than the supernet's; affine batch norms, which the terms do not have, are corrected."""
    space = NasBench301SearchSpace(channels=2, cells=2, auxiliary=False)
    network = {"cells": 3, "channels": 4, "auxiliary": False}
    for metric in ("macs", "params"):
        cost = {"metric": metric, "input_shape": (3, 8, 8), "network": network}
        low, high = cost_range(_adapted({**cost, "weight": 1.0}, space=space).parts["cost"].model)
        optimizer = _adapted({**cost, "target": 0.5 * (low + high)}, space=space, epochs=1)
        optimizer.new_epoch(0)
        part = optimizer.parts["cost"]
        assert (abs(part._offset) < 1e-9) == (metric == "macs")
        optimizer.select_architecture([], [])
        network_found = optimizer.get_final_architecture().evaluation_network(**network)
        counted = METRICS[metric].of_network(network_found, (3, 8, 8))
        assert part.found["architecture"] == pytest.approx(counted, rel=1e-12)
        assert abs(counted / (0.5 * (low + high)) - 1) <= 0.02
    with pytest.raises(ConfigError, match=r"network: NasBench301SearchSpace has no size 'depth' \(it has"):
        _adapted({**cost, "weight": 1.0, "network": {"depth": 3}}, space=space)
    parts = {"progressive_shrinking": {"stages": [{"epochs": 1}, {"n_ops": 2}], "warm_up": 0}}
    with pytest.raises(ConfigError, match="progressive_shrinking takes candidates out, and the costs"):
        _adapted({**cost, "weight": 1.0}, space=space, parts=parts)
    with pytest.raises(ConfigError, match=r"network: evaluation.channels=4: a network of NAS-Bench-201"):
        fixed = NasBench201SearchSpace(channels=2, cells_per_stage=1)
        _adapted({**cost, "weight": 1.0, "network": {"channels": 4}}, space=fixed)


# latency


def _table(space: Graph, shape=SHAPE, **more: Any) -> LatencyTable:
    """Return milliseconds for every candidate: a quarter more for each one after the other."""
    edges = trace_candidates(space, shape)
    keys = [operation_key(o, e.input_shape, s) for e in edges for o, s in zip(e.ops, e.output_shapes, strict=True)]
    entries = {key: 1.0 + 0.25 * number for number, key in enumerate(dict.fromkeys(keys))}
    return LatencyTable(entries, **{"fixed": 2.0, "info": {"input_shape": list(shape)}, **more})


@pytest.mark.slow
def test_a_latency_target_by_a_table():
    shape, space = (3, 8, 8), NasBench301SearchSpace(channels=4, cells=3, auxiliary=False)
    cost = {"metric": "latency", "table": _table(space, shape), "input_shape": None}
    low, high = cost_range(_adapted({**cost, "weight": 1.0}, space=space).parts["cost"].model)
    target = 0.5 * (low + high)
    optimizer = _adapted({**cost, "target": target}, space=space, epochs=1)
    _search(optimizer, shape, classes=10, steps=1)
    optimizer.select_architecture([], [])
    found = optimizer.get_final_architecture()
    by_place = {}
    for edge, row in zip(
        trace_candidates(space, shape), cost["table"].costs(trace_candidates(space, shape)), strict=True
    ):
        by_place[edge.place] = row
    latency = 2.0
    for cell in found._graphs_in_scope(space.OPTIMIZER_SCOPE):
        for _, _, data in cell.edges(data=True):
            if data.has("op_index"):
                latency += by_place[data._shared["_decision"], data._private["_number"]][data.op_index]
    assert optimizer.parts["cost"].of(found) == pytest.approx(latency, rel=1e-12)
    assert abs(latency / target - 1) <= 0.02


def test_calibration_measures_whole_networks(monkeypatch: pytest.MonkeyPatch):
    """Networks that take 1.5 times the sum of their operations and 4 ms are told so; the state keeps it."""
    asked: list[int] = []

    def measure(networks, input_shape, **keys):
        asked.append(len(networks))
        part = optimizer.parts["cost"]
        return [1.5 * (part.of(network) - 2.0) + 4.0 for network in networks]

    monkeypatch.setattr("naslib.optimizers.oneshot.parts._cost_source.measure_networks", measure)
    optimizer = _adapted({"metric": "latency", "table": _table(ConvSpace()), "target": 20.0, "calibrate": 6})
    before = optimizer.parts["cost"].model
    state = torch.random.get_rng_state()
    optimizer.new_epoch(0)
    part = optimizer.parts["cost"]
    assert asked == [6] and optimizer.outcome is None and torch.equal(state, torch.random.get_rng_state())
    assert part.calibration.scale == pytest.approx(1.5) and part.calibration.shift == pytest.approx(4.0)
    for old, new in zip(before.terms, part.model.terms, strict=True):
        torch.testing.assert_close(new.values, 1.5 * old.values)
    assert part.model.fixed == pytest.approx(4.0)
    other = _adapted({"metric": "latency", "table": _table(ConvSpace()), "target": 20.0, "calibrate": 6})
    other.parts["cost"].load_state_dict(part.state_dict())
    other.new_epoch(1)
    assert asked == [6] and other.parts["cost"].model.fixed == part.model.fixed


def test_the_last_choice_is_corrected_by_what_its_network_takes(monkeypatch: pytest.MonkeyPatch):
    """Networks take a tenth more than their table says, on a machine whose speed changes between measurements."""
    asked: list[int] = []

    def measure(networks, input_shape, **keys):
        speed = (1.0, 1.2, 0.9)[len(asked) % 3]
        asked.append(keys["repeats"])
        part = optimizer.parts["cost"]
        choices = [part.source.choices(network, optimizer, part.model) for network in networks]
        return [1.1 * speed * part.model.of_choices(choice) for choice in choices]

    monkeypatch.setattr("naslib.optimizers.oneshot.parts._cost_source.measure_networks", measure)
    cost = {"metric": "latency", "table": _table(ConvSpace()), "verify": 7, "tolerance": 0.03}
    low, high = cost_range(_adapted({**cost, "weight": 1.0}).parts["cost"].model)
    target = low + 0.7 * (high - low)
    optimizer = _adapted({**cost, "target": target}, epochs=1)
    _search(optimizer, steps=1)
    assert not asked
    optimizer.select_architecture([], [])
    part = optimizer.parts["cost"]
    assert asked and set(asked) == {7}
    by_table = part.of(optimizer.get_final_architecture())
    assert abs(1.1 * by_table / target - 1) <= 0.03 and part.report()["met"]
    assert part.found["architecture"] == pytest.approx(1.1 * by_table)


# what is refused


def test_refusals_before_the_search():
    def reason(cost: dict[str, Any], name: str = "darts", **more: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            _adapted(cost, name, **more)
        return str(caught.value)

    assert "give target, what the architecture is to cost, or weight" in reason({})
    assert "no cost is called 'mac'" in reason({"metric": "mac", "target": 1.0})
    assert "target must be positive, got -1" in reason({"target": -1.0})
    assert "macs is counted on the network itself: leave table out" in reason({"target": 1.0, "table": "t.json"})
    assert "latency needs a table of what operations cost: measure one" in reason({"metric": "latency", "target": 1.0})
    assert "energies cannot be measured here" in reason({"metric": "energy", "target": 1.0})
    assert "growth must be at least 1, got 0.5" in reason({"target": 1.0, "growth": 0.5})
    assert "acts_on must be 'architecture' or 'expectation'" in reason({"target": 1.0, "acts_on": "mixture"})
    low, high = _range("params")
    assert f"they have {low:.4g} to {high:.4g} M" in reason({"metric": "params", "target": 10.0})
    assert "the nearest target is" in reason({"metric": "params", "target": low / 10, "one_sided": True})
    for name in ("spos", "random_nas", "fair_nas"):
        text = reason({"metric": "params", "weight": 1.0}, name)
        assert "cost does not fit" in text and "its paths can be limited: search.limits" in text
    table = {"entries": {"Identity": 1.0}, "fixed": 2.0, "input_shape": [3, 8, 8]}
    sizes = {"space": SEARCH_SPACES.get("nats_size")()}
    text = reason({"metric": "latency", "table": table, "target": 3.0, "input_shape": None}, **sizes)
    assert "cost does not fit sizes of elastic layers" in text and "a table has the costs of operations" in text


# every method


NAMES = sorted({OPTIMIZERS.get(n): n for n in reversed(OPTIMIZERS.names())}.values())
METHODS = [n for n in NAMES if issubclass(OPTIMIZERS.get(n), OneShotOptimizer) and not OPTIMIZERS.get(n).OWN_SPACE]
PATHS = {"fair_nas", "gsparsity", "ofa", "one_shot", "random_nas", "spos", "te_nas"}
BY_REWARD = {"enas"}  # what it finds is the best of some draws
SPACES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "simple_cell": (lambda: SEARCH_SPACES.get("simple_cell")(), (3, 16, 16)),
    "nasbench201": (lambda: NasBench201SearchSpace(channels=4, cells_per_stage=1), (3, 16, 16)),
    "nasbench301": (lambda: NasBench301SearchSpace(channels=4, cells=3, auxiliary=False), (3, 16, 16)),
    "proxylessnas": (lambda: SEARCH_SPACES.get("proxylessnas")(), (3, 32, 32)),
    "fbnet": (lambda: SEARCH_SPACES.get("fbnet")(), (3, 32, 32)),
    "nats_size": (lambda: SEARCH_SPACES.get("nats_size")(), (3, 16, 16)),
}
KEYS: dict[str, dict[str, Any]] = {
    "enas": {"controller_aggregate": 1, "samples_per_step": 1},
    "p_darts": {"added_cells": [0], "skip_dropout": [0.0], "max_skips": None, "warm_up_epochs": 0},
    "fair_darts": {"threshold": None},
}
FEW = [("gdas", "nasbench201", "params")]
ALL = [(n, s, m) for n in METHODS for s in SPACES for m in ("params", "macs", "memory", "latency")]


def _moved(name: str, of_space: str, metric: str) -> None:
    """The cost of the architecture that is found is nearer to the target than what the search began with."""
    make, shape = SPACES[of_space]
    cost: dict[str, Any] = {"metric": metric, "input_shape": shape}
    if metric == "latency":
        if of_space == "nats_size":
            return
        cost["table"] = _table(make(), shape)
    keys = {"arch_learning_rate": 0.05, "epochs": 2, **KEYS.get(name, {})}
    if name in PATHS:
        with pytest.raises(ConfigError, match="does not fit"):
            _adapted({**cost, "weight": 1.0}, name, make(), **keys)
        return
    try:
        first = _adapted({**cost, "weight": 0.0}, name, make(), **keys)
    except NASLibError as error:
        if "cost does not fit" not in str(error):  # the method and the space do not go together, whatever is paid
            with pytest.raises(type(error)):
                parts = {"cost": False, **keys.pop("parts", {})}
                OPTIMIZERS.get(name)(parts=parts, **keys).adapt_search_space(make())
        return
    first.new_epoch(0)
    part = first.parts["cost"]
    low, high = (end + part._offset for end in cost_range(part.model))
    began = part.history[0]["architecture"]
    target = low + (0.7 if began < 0.5 * (low + high) else 0.25) * (high - low)
    optimizer = _adapted({**cost, "target": target}, name, make(), **keys)
    _search(optimizer, shape, classes=10)
    data = torch.randn(6, *shape), torch.arange(6)
    optimizer.select_architecture([data], [data])
    found = optimizer.get_final_architecture()
    cost_found = optimizer.parts["cost"].of(found)
    if name in BY_REWARD:
        assert low - 1e-9 <= cost_found <= high + 1e-9
        return
    assert abs(cost_found - target) <= max(0.02 * target, 0.0) + 1e-9 or not optimizer.parts["cost"].report()["met"]
    assert abs(cost_found - target) < abs(began - target)


@pytest.mark.parametrize(("name", "of_space", "metric"), FEW)
def test_methods_move_towards_the_target(name: str, of_space: str, metric: str):
    _moved(name, of_space, metric)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "of_space", "metric"), [entry for entry in ALL if entry not in FEW])
def test_every_method_on_every_space_for_every_metric(name: str, of_space: str, metric: str):
    _moved(name, of_space, metric)


@pytest.mark.slow
def test_the_controller_pays_for_what_it_draws():
    """ENAS that pays for parameters draws fewer of them than before, and than one that does not pay."""
    means = []
    for weight in (0.0, 5.0):
        optimizer: Any = _adapted(
            {"metric": "params", "weight": weight}, "enas", epochs=60, controller_aggregate=1, arch_learning_rate=0.005
        )
        model = optimizer.parts["cost"].model

        def drawn(optimizer: Any = optimizer, model: Any = model) -> float:
            torch.manual_seed(5)
            codes = [optimizer.controller.sample().code for _ in range(100)]
            gates = [optimizer.path_choices.gates(code) for code in codes]
            return sum(model.of_choices([int(row.argmax()) for row in rows]) for rows in gates) / 100

        before = drawn()
        _search(optimizer, steps=4)
        means.append((before, drawn()))
    (before, without), (same, paid) = means
    assert before == same and paid < 0.6 * before and paid < 0.6 * without


def test_images_of_the_space_tell_the_shape_of_the_input():
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    optimizer = _adapted({"metric": "macs", "weight": 1.0, "input_shape": None}, space=space)
    assert optimizer.parts["cost"].source.shape == (3, 32, 32)
    with pytest.raises(ConfigError, match="nothing says for which inputs the costs are"):
        _adapted({"metric": "macs", "weight": 1.0, "input_shape": None})
    assert images()[0].shape[1:] == SHAPE
