"""The part `latency`: the expected latency and its gradient, with any optimizer, drawn or relaxed."""

from __future__ import annotations

import math

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.hardware import LatencyTable, measure_table, operation_key, trace_candidates
from naslib.optimizers import (
    OPTIMIZERS,
    DARTSOptimizer,
    DrNASOptimizer,
    GDASOptimizer,
    OneShotOptimizer,
    ProxylessNASOptimizer,
)
from naslib.optimizers.oneshot.methods.proxylessnas import PathSampler
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.primitives import Zero


def _space():
    """mlp_space whose second candidate is Tanh alone, so that every candidate has a key of its own."""
    space = mlp_space()
    for edge in space._edges_in_scope("cell", private_edge_data=True):
        edge.data.set("op", [edge.data.op[0], nn.Tanh(), nn.Identity()])
    return space


def _table(**kwargs) -> LatencyTable:
    slow = operation_key(nn.Sequential(nn.Linear(6, 6), nn.Tanh()), (6,), (6,))
    entries = {slow: 5.0, "Tanh-input:6-output:6": 2.0, "Identity-input:6-output:6": 0.5}
    return LatencyTable(entries, **{"fixed": 3.0, "info": {"input_shape": [6]}, **kwargs})


def _adapted(kind: type[OneShotOptimizer] = DARTSOptimizer, latency: dict | None = None, **kwargs) -> OneShotOptimizer:
    torch.manual_seed(0)
    settings = {"table": _table(), "reference": 10.0, **(latency or {})}
    optimizer = kind(parts={"warm_up": {"epochs": 0}, "latency": settings}, **{"arch_learning_rate": 0.1, **kwargs})
    optimizer.adapt_search_space(_space())
    optimizer.before_training()
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn(3))
    optimizer.graph.double()
    optimizer.architectural_weights.double()
    return optimizer


def _expected(alphas: list[torch.Tensor]) -> torch.Tensor:
    """E[latency] as a sum over all architectures: both copies of the cell run the same operation."""
    ms, total = torch.tensor([5.0, 2.0, 0.5], dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64)
    p = [alpha.softmax(-1) for alpha in alphas]
    for i in range(3):
        for j in range(3):
            for k in range(3):
                total = total + p[0][i] * p[1][j] * p[2][k] * (3.0 + 2 * (ms[i] + ms[j] + ms[k]))
    return total


# the expected latency


def test_expectation_over_all_architectures():
    optimizer = _adapted()
    part = optimizer.parts["latency"]
    alphas = [alpha.detach() for alpha in optimizer.architectural_weights]
    assert part.expected() == pytest.approx(float(_expected(alphas)), rel=1e-12)
    assert all(torch.equal(costs, torch.tensor([10.0, 4.0, 1.0]).double()) for costs in part.costs)


def test_gradient_of_the_expected_latency():
    """dE/dalpha_i = p_i (F_i - E_edge), over both copies."""
    optimizer = _adapted()
    part, alphas = optimizer.parts["latency"], list(optimizer.architectural_weights)
    found = torch.autograd.grad(part._expectation(optimizer.choice_probabilities()), alphas)
    costs = torch.tensor([10.0, 4.0, 1.0], dtype=torch.float64)
    for alpha, gradient in zip(alphas, found, strict=True):
        p = alpha.detach().softmax(-1)
        torch.testing.assert_close(gradient, p * (costs - (p * costs).sum()), rtol=0, atol=1e-12)


def test_every_copy_of_a_cell_counts_with_its_own_shapes():
    space = NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=2)
    entries = {}
    for stage, shape in enumerate(("8x8x4", "4x4x8", "2x2x16")):
        for index, op in enumerate(("Identity", "ReLUConvBN", "ReLUConvBN", "AvgPool1x1")):
            settings = {0: "", 1: "-kernel:3-stride:1", 2: "-kernel:1-stride:1", 3: "-kernel:3-stride:1"}[index]
            entries[f"{op}-input:{shape}-output:{shape}{settings}"] = 10.0**stage * (index + 1)
    table = LatencyTable(entries, 0.0, info={"input_shape": [3, 8, 8]})
    optimizer = GDASOptimizer(epochs=2, parts={"latency": {"table": table, "reference": 50.0, "loss": "add_linear"}})
    optimizer.adapt_search_space(space)
    costs = optimizer.parts["latency"].costs
    assert len(costs) == 6
    # Identity, Zero, 3x3, 1x1, pooling: two cells in each stage
    assert all(row.tolist() == [2 * 111.0 * value for value in (1, 0, 2, 3, 4)] for row in costs)


LOSSES = {
    "mul_log": ({"loss": "mul_log"}, lambda ce, e: 0.2 * ce * (torch.log(e) / math.log(10.0)) ** 0.3),
    "mul_log 2": ({"loss": "mul_log", "alpha": 1.5, "beta": 0.6}, lambda ce, e: 1.5 * ce * (torch.log10(e)) ** 0.6),
    "add_linear": ({"loss": "add_linear"}, lambda ce, e: ce + 0.1 * (e - 10.0) / 10.0),
    "add_linear 2": ({"loss": "add_linear", "weight": 2.0}, lambda ce, e: ce + 2.0 * (e - 10.0) / 10.0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses(name: str):
    settings, formula = LOSSES[name]
    optimizer = _adapted(latency=settings)
    data = batch()
    gradient, _, loss = optimizer.architecture_gradient(data, data)
    alphas = list(optimizer.architectural_weights)
    _, ce = optimizer.forward_loss(data)
    assert loss == ce  # what is reported is the validation loss alone
    exact = torch.autograd.grad(formula(ce, _expected(alphas)), alphas)
    for first, second in zip(gradient, exact, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


SAMPLED = [
    (DARTSOptimizer, {}),
    (DARTSOptimizer, {"unrolled": True, "hessian": "exact"}),
    (GDASOptimizer, {"epochs": 3}),
    (ProxylessNASOptimizer, {"mode": "full"}),
    (ProxylessNASOptimizer, {"mode": "full_v2"}),
]


@pytest.mark.parametrize(("kind", "kwargs"), SAMPLED)
def test_the_gradient_is_there_whatever_is_drawn(kind: type[OneShotOptimizer], kwargs: dict):
    """The latency of the softmax is added to what the method computes; the sample has no part in it."""
    optimizer = _adapted(kind, {"loss": "add_linear", "weight": 3.0}, **kwargs)
    data = batch()
    torch.manual_seed(4)
    gradient, _, _ = optimizer.architecture_gradient(data, data)
    optimizer.parts.pop("latency")
    torch.manual_seed(4)
    without, _, _ = optimizer.architecture_gradient(data, data)
    alphas = list(optimizer.architectural_weights)
    exact = torch.autograd.grad(3.0 * _expected(alphas) / 10.0, alphas)
    for first, second, latency in zip(gradient, without, exact, strict=True):
        torch.testing.assert_close(first - second, latency, rtol=0, atol=1e-12)


def test_the_expectation_under_a_dirichlet_distribution():
    """The mean of Dir(elu(alpha) + 1) is its concentration, divided by the sum."""
    optimizer = _adapted(DrNASOptimizer, {"loss": "add_linear"})
    alphas = list(optimizer.architectural_weights)
    found = optimizer.parts["latency"].architecture_loss(torch.zeros((), dtype=torch.float64))
    costs = torch.tensor([10.0, 4.0, 1.0], dtype=torch.float64)
    concentrations = [nn.functional.elu(alpha) + 1 for alpha in alphas]
    expected = 0.1 * (sum((c / c.sum() * costs).sum() for c in concentrations) + 3.0 - 10.0) / 10.0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for first, second in zip(torch.autograd.grad(found, alphas), torch.autograd.grad(expected, alphas), strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


def test_a_drawn_zero_does_not_drop_the_latency():
    """The authors' code sets the whole gradient of alpha to None where the active operation is Zero."""
    torch.manual_seed(0)
    space = mlp_space()
    for edge in space._edges_in_scope("cell", private_edge_data=True):
        edge.data.set("op", [Zero(stride=1), nn.Tanh(), nn.Identity()])
    parts = {"latency": {"table": _table(), "reference": 10.0, "loss": "add_linear"}}
    optimizer = ProxylessNASOptimizer(warm_up_epochs=0, parts=parts)
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([9.0, 0.0, 0.0]))
    torch.manual_seed(1)
    data = batch(dtype=torch.float32)
    gradient, _, _ = optimizer.architecture_gradient(data, data)
    assert all(mask.tolist() == [True, False, False] for mask in optimizer._active(optimizer.last_sample))
    costs = torch.tensor([0.0, 4.0, 1.0])  # Zero costs nothing, without being in the table
    p = torch.tensor([9.0, 0.0, 0.0]).softmax(-1)
    expected = 0.1 / 10.0 * p * (costs - (p * costs).sum())
    # nothing else pulls at the first two: what they feed is zero
    torch.testing.assert_close(gradient[0], expected, rtol=1e-4, atol=1e-12)


def test_the_latency_of_a_pair():
    """In the mode `two` the expectation is over the pair, as in the authors' code."""
    optimizer = _adapted(ProxylessNASOptimizer, {"loss": "add_linear", "weight": 3.0}, mode="two")
    data = batch()
    torch.manual_seed(4)
    gradient, _, _ = optimizer.architecture_gradient(data, data)
    pairs = optimizer._involved(optimizer.last_sample)
    optimizer.parts.pop("latency")
    torch.manual_seed(4)
    without, _, _ = optimizer.architecture_gradient(data, data)
    costs = torch.tensor([10.0, 4.0, 1.0], dtype=torch.float64)
    rows = zip(optimizer.architectural_weights, pairs, gradient, without, strict=True)
    for alpha, mask, first, second in rows:
        q = torch.zeros(3, dtype=torch.float64)
        q[mask] = alpha.detach()[mask].softmax(-1)
        torch.testing.assert_close(first - second, 0.3 * q * (costs - (q * costs).sum()), rtol=0, atol=1e-12)
        assert not first[~mask].any()


def test_rewards_are_always_multiplied():
    """Also where the network is faster than the reference."""
    optimizer = _adapted(ProxylessNASOptimizer, update="reinforce", n_networks=2)
    part = optimizer.parts["latency"]
    for indices, latency in (((0, 0, 0), 33.0), ((2, 2, 2), 6.0), ((0, 1, 2), 18.0)):
        choices = [torch.arange(3) == index for index in indices]
        assert part.reward(0.8, choices) == pytest.approx(0.8 * (10.0 / latency) ** 0.1, rel=1e-6)
    optimizer.step(batch(), batch(seed=1))
    assert 0 < optimizer.reward_average < 1.1


@pytest.mark.parametrize("name", ["darts", "gdas", "proxylessnas"])
def test_a_search_for_speed_finds_the_fast_network(name: str):
    kwargs = {} if name != "gdas" else {"epochs": 1}
    optimizer = _adapted(OPTIMIZERS.get(name), {"loss": "add_linear", "weight": 100.0}, **kwargs)
    part = optimizer.parts["latency"]
    optimizer.new_epoch(0)
    before = part.expected()
    for seed in range(40):
        optimizer.step(batch(seed=seed), batch(seed=seed + 50))
    assert part.expected() < before - 3
    final = optimizer.get_final_architecture()
    assert part.of(final) == pytest.approx(3.0 + 6 * 0.5)


def test_an_architecture_costs_what_is_left_of_it():
    """The DARTS space drops edges at the end; every kept edge counts with its own shapes."""
    torch.manual_seed(0)
    space = NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=3)
    table = measure_table(space, (3, 8, 8), repeats=1, progress=False)
    parts = {"latency": {"table": table, "reference": 2.0, "loss": "add_linear"}}
    optimizer = DARTSOptimizer(parts=parts)
    optimizer.adapt_search_space(space)
    final = optimizer.get_final_architecture()
    part, kept, total = optimizer.parts["latency"], 0, table.fixed
    shapes: dict[int, tuple] = {}
    for edge in final._edges_in_scope(optimizer.scope, private_edge_data=True):
        if edge.data.has("op_index"):
            edge.data.op.register_forward_hook(lambda m, x, y: shapes.update({id(m): (x[0].shape[1:], y.shape[1:])}))
    final.eval()(torch.zeros(1, 3, 8, 8))
    for edge in final._edges_in_scope(optimizer.scope, private_edge_data=True):
        if edge.data.has("op_index"):
            kept += 1
            total += table.lookup(operation_key(edge.data.op, *shapes[id(edge.data.op)]))
    assert kept == 3 * 2 * 3 and part.of(final) == pytest.approx(total)


# what is refused


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"loss": "mul_lot"}, "did you mean 'mul_log'"),
        ({"table": None}, "naslib.hardware.measure"),
        ({"reference": None}, "reference"),
        ({"reference": 0.5}, "add_linear"),
        ({"table": _table(fixed=None)}, "fixed"),
        ({"table": _table(info={})}, "input_shape"),
        ({"table": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_bad_keywords(settings: dict, says: str):
    with pytest.raises(ConfigError, match=says):
        _adapted(latency=settings)


def test_problems_are_found_when_adapting():
    fast = {key: ms / 100 for key, ms in _table().entries.items()}
    with pytest.raises(ConfigError, match="more than 1 ms"):
        _adapted(latency={"table": LatencyTable(fast, 0.1, info={"input_shape": [6]})})
    _adapted(latency={"table": LatencyTable(fast, 0.1, info={"input_shape": [6]}), "loss": "add_linear"})
    lacking = dict(list(_table().entries.items())[1:])
    with pytest.raises(ConfigError, match=r"lacks 1 of the operations(.|\n)*Sequential-input:6"):
        _adapted(latency={"table": lacking, "fixed": 0.0, "input_shape": [6]})
    with pytest.raises(ConfigError, match="7 edges"):
        _adapted(latency={"table": _table(n_edges=7)})


def test_an_optimizer_without_architecture_parameters_is_told():
    with pytest.raises(ConfigError, match="latency does not fit SPOSOptimizer: it has no architecture parameters"):
        _adapted(OPTIMIZERS.get("spos"))


def test_a_table_that_does_not_fit_a_later_stage_is_found_before_the_search():
    def space(cells: int) -> NasBench301SearchSpace:
        return NasBench301SearchSpace(n_classes=4, channels=4, cells=cells, nodes=2)

    edges = trace_candidates(space(4), (3, 8, 8))
    entries = {
        operation_key(o, e.input_shape, s): 1.0 for e in edges for o, s in zip(e.ops, e.output_shapes, strict=True)
    }
    small = len(trace_candidates(space(2), (3, 8, 8)))
    assert small < len(edges)
    settings = {"added_cells": [0, 2], "skip_dropout": [0.0, 0.4], "epochs": 4}
    for n_edges, fits in ((None, True), (small, False)):
        table = LatencyTable(entries, 1.0, n_edges, info={"input_shape": [3, 8, 8]})
        latency = {"table": table, "reference": 10.0, "loss": "add_linear"}
        optimizer = OPTIMIZERS.get("p_darts")(parts={"latency": latency}, **settings)
        if fits:
            optimizer.adapt_search_space(space(2))
            optimizer.new_epoch(2)
            assert float(optimizer.parts["latency"].costs[0].max()) > 0
            continue
        with pytest.raises(ConfigError, match=f"network with {small} edges under search, this one has {len(edges)}"):
            optimizer.adapt_search_space(space(2))


def test_candidates_may_leave_the_supernet():
    optimizer = _adapted(latency={"loss": "add_linear"})
    part = optimizer.parts["latency"]
    optimizer.structure.prune([[0, 2], [1, 2], [0, 1]])
    assert [row.tolist() for row in part.costs] == [[10.0, 1.0], [4.0, 1.0], [10.0, 4.0]]
    optimizer.step(batch(), batch(seed=1))
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.tensor([0.0, 1.0]))
    assert part.of(optimizer.get_final_architecture()) == pytest.approx(3.0 + 2 * (0.5 + 0.5 + 2.0))


def test_a_mapping_is_a_table():
    optimizer = _adapted(latency={"table": dict(_table().entries), "fixed": 1.0, "input_shape": (6,)})
    exact = _expected([alpha.detach() for alpha in optimizer.architectural_weights])
    assert optimizer.parts["latency"].expected() == pytest.approx(float(exact) - 2)


def test_evaluation_draws_no_pair():
    sampler = PathSampler("two")
    (entry,) = sampler(torch.tensor([[0.0, 2.0, 1.0]], requires_grad=True), False)
    assert entry.on == (1,) and entry.evaluated == (0, 2)
