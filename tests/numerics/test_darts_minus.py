"""DARTS-: the edge against the formula, the decay, and that the connection leaves no trace in the architecture."""

from __future__ import annotations

import math

import pytest
import torch
from small_spaces import batch, mlp_space

from naslib.errors import ConfigError
from naslib.optimizers import DARTSMinusOptimizer, DARTSOptimizer, GDASOptimizer, OneShotOptimizer
from naslib.optimizers.oneshot.parts import AuxiliarySkip
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import MixedOp

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(n_classes=4, channels=8),
    "nasbench201": lambda: NasBench201SearchSpace(n_classes=4, channels=8, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(n_classes=4, channels=8, cells=3, nodes=2),
}


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _adapted(space: Graph, cls=DARTSMinusOptimizer, **kwargs) -> OneShotOptimizer:
    torch.manual_seed(0)
    optimizer = cls(epochs=10, **kwargs)
    optimizer.adapt_search_space(space)
    return optimizer


@pytest.mark.parametrize("parts", [{}, {"partial_channels": {"k": 4}}], ids=["alone", "around partial channels"])
@pytest.mark.parametrize("space", SPACES)
def test_the_edge_computes_the_formula(space: str, parts):
    cls = DARTSOptimizer if parts else DARTSMinusOptimizer
    optimizer = _adapted(SPACES[space](), cls, parts={**parts, "auxiliary_skip": {}} if parts else None)
    plain = _adapted(SPACES[space](), DARTSOptimizer, parts=parts or None)
    optimizer.new_epoch(3)
    widths = {}
    kinds = set()
    for graph, other in zip(optimizer.graph.nested_graphs(), plain.graph.nested_graphs(), strict=True):
        for u, v, data in graph.edges(data=True):
            if not isinstance(data.op, MixedOp):
                continue
            reference = other.edges[u, v].op
            skip = data.op.surroundings[-1]
            state = {k: t for k, t in data.op.state_dict().items() if "around" not in k}
            reference.load_state_dict(state)
            if skip.connection is not None:
                widths[id(data)] = skip.connection.init_params["C_in"]
            else:
                told = [p.init_params.get("C_in") for p in data.op.primitives]
                widths[id(data)] = next(c for c in told if c) * (4 if len(data.op.surroundings) == 2 else 1)
            x = torch.randn(2, widths[id(data)], 6, 6)
            y = reference(x, edge_data=data)
            kinds.add(type(skip.connection).__name__)
            skipped = x if skip.connection is None else skip.connection(x)
            torch.testing.assert_close(data.op(x, edge_data=data), y + 0.7 * skipped, rtol=0, atol=1e-12)
    assert kinds == ({"NoneType"} if space == "nasbench201" else {"NoneType", "FactorizedReduce"})


def test_connections_have_weights_of_their_own_that_are_trained():
    optimizer = _adapted(SPACES["nasbench301"]())
    skips = [m for m in optimizer.graph.modules() if isinstance(m, AuxiliarySkip)]
    weights = [p for skip in skips for p in skip.parameters()]
    assert len({id(p) for p in weights}) == len(weights) == 2 * sum(s.connection is not None for s in skips) > 0
    assert {id(p) for p in weights} <= {id(p) for p in optimizer.weights}
    assert not any(m.affine for s in skips for m in s.modules() if isinstance(m, torch.nn.BatchNorm2d))
    x, y = torch.randn(4, 3, 8, 8), torch.arange(4)
    before = [p.detach().clone() for p in weights]
    optimizer.weight_step((x, y))
    assert not any(torch.equal(a, b) for a, b in zip(before, weights, strict=True))


@pytest.mark.parametrize(
    ("decay", "formula"),
    [
        ("linear", lambda t: 1 - t / 10),
        ("cosine", lambda t: (1 + math.cos(math.pi * t / 10)) / 2),
        ("slow_cosine", lambda t: math.cos(math.pi * t / 20)),
    ],
)
def test_decay(decay: str, formula):
    optimizer = _adapted(mlp_space(), parts={"auxiliary_skip": {"decay": decay, "beta": 0.5}})
    found = []
    for epoch in range(10):
        optimizer.new_epoch(epoch)
        skips = [m for m in optimizer.graph.modules() if isinstance(m, AuxiliarySkip)]
        assert len(skips) == 6 and len({s.beta for s in skips}) == 1
        found.append(skips[0].beta)
    assert found == pytest.approx([0.5 * formula(epoch) for epoch in range(10)])
    assert found[-1] > 0  # the last epoch still has some of it


def test_resuming_keeps_beta():
    optimizer = _adapted(mlp_space())
    optimizer.new_epoch(4)
    other = _adapted(mlp_space())
    for name, part in other.get_checkpointables().items():
        part.load_state_dict(optimizer.get_checkpointables()[name].state_dict())
    assert other.parts["auxiliary_skip"].beta == pytest.approx(0.6)
    assert all(m.beta == pytest.approx(0.6) for m in other.graph.modules() if isinstance(m, AuxiliarySkip))
    x, _ = batch()
    assert torch.equal(other.graph(x), optimizer.graph(x))


@pytest.mark.parametrize("space", SPACES)
def test_the_architecture_does_not_have_the_connection(space: str):
    optimizer = _adapted(SPACES[space]())
    assert [len(a) for a in optimizer.architectural_weights] == [
        len(a) for a in _adapted(SPACES[space](), DARTSOptimizer).architectural_weights
    ]
    final = optimizer.get_final_architecture()
    assert not any(isinstance(m, AuxiliarySkip) for m in final.modules())
    for graph, net in zip(final.nested_graphs(), optimizer.graph.nested_graphs(), strict=True):
        for u, v, data in graph.edges(data=True):
            if data.has("op_index"):  # the weights are the candidate's
                origin = net.edges[u, v].op.primitives[data.op_index]
                torch.testing.assert_close(data.op.state_dict(), origin.state_dict(), rtol=0, atol=0)


def test_with_sampled_operations():
    optimizer = _adapted(SPACES["nasbench201"](), GDASOptimizer, parts={"auxiliary_skip": {"beta": 0.5}})
    optimizer.new_epoch(0)
    x, y = torch.randn(4, 3, 8, 8), torch.arange(4)
    assert all(loss.isfinite() for loss in optimizer.step((x, y), (x, y))[2:])


def test_errors():
    for keywords, message in (({"decay": "cos"}, "decay"), ({"beta": -1.0}, "beta")):
        with pytest.raises(ConfigError, match=message):
            DARTSOptimizer(parts={"auxiliary_skip": keywords})
    space = mlp_space()
    strided = [ops.AvgPool1x1(3, 2, 8, 8), ops.Zero(2)]
    space.edges[2, 3].op.edges[1, 2].set("op", strided)
    _adapted(space)
    strided[0].init_params["stride"] = 3
    with pytest.raises(ConfigError, match="no connection for an edge of stride 3 from 8 to 8"):
        _adapted(space)
