"""Candidates that become wider in the middle of a search: what is copied, and what the wider operation computes."""

from __future__ import annotations

import pytest
import torch

from naslib.errors import ConfigError
from naslib.optimizers import DrNASOptimizer
from naslib.optimizers.oneshot.parts import _widen
from naslib.optimizers.oneshot.parts._widen import random_source, widened
from naslib.optimizers.oneshot.parts.partial_channels import PartialChannels
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core import primitives as ops

SOURCE = {(4, 6): [0, 1, 2, 3, 1, 3], (2, 3): [0, 1, 1]}
HALVES = [0, 1, 1, 2, 3, 3]  # of a FactorizedReduce, whose two convolutions write half the channels each
OPS = {
    "sep_conv": (lambda: ops.SepConv(4, 4, 3, 1, 1, affine=True), SOURCE[4, 6]),
    "dil_conv": (lambda: ops.DilConv(4, 4, 3, 1, 2, 2, affine=True), SOURCE[4, 6]),
    "relu_conv": (lambda: ops.ReLUConvBN(4, 4, 3, 1, affine=True), SOURCE[4, 6]),
    "skip": (lambda: ops.FactorizedReduce(4, 4, affine=True), HALVES),
    "max_pool": (lambda: ops.MaxPool(4, 3, 1, use_bn=True), SOURCE[4, 6]),
}


def _trained(make):
    """Return an operation with statistics and momentum, and its optimizer."""
    torch.manual_seed(0)
    op = make()
    optimizer = torch.optim.SGD([*op.parameters(), torch.nn.Parameter(torch.zeros(1))], lr=1e-3, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        op(torch.randn(8, 4, 6, 6, requires_grad=True)).pow(3).mean().backward()
        optimizer.step()
    return op, optimizer


@pytest.fixture
def known_source(monkeypatch):
    monkeypatch.setattr(_widen, "random_source", lambda: lambda before, after: torch.tensor(SOURCE[before, after]))


@pytest.mark.parametrize("name", OPS)
def test_divided_copies_compute_copies(name, known_source):
    make, outputs = OPS[name]
    op, optimizer = _trained(make)
    x = torch.randn(2, 4, 6, 6)
    expected = op.eval()(x)[:, outputs]
    wide = widened(op, 6, 4, optimizer, divide=True).eval()
    torch.testing.assert_close(wide(x[:, SOURCE[4, 6]]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPS)
def test_plain_copies_are_the_weights_statistics_and_momenta_of_their_sources(name, known_source):
    make, outputs = OPS[name]
    op, optimizer = _trained(make)
    values = {key: value.clone() for key, value in op.state_dict().items()}
    momenta = {key: optimizer.state[p]["momentum_buffer"].clone() for key, p in op.named_parameters()}
    identities = dict(op.named_parameters())
    wide = widened(op, 6, 4, optimizer, divide=False)
    assert dict(wide.named_parameters()) == identities
    for key, value in wide.state_dict().items():
        expected, momentum = values[key], momenta.get(key)
        is_norm = value.dim() == 1
        for dim, (before, after) in enumerate(zip(expected.shape, value.shape, strict=True)):
            if before != after:
                index = outputs if is_norm else SOURCE[before, after]
                expected = expected.index_select(dim, torch.tensor(index))
                momentum = None if momentum is None else momentum.index_select(dim, torch.tensor(index))
        assert torch.equal(value, expected), key
        if momentum is not None:
            assert torch.equal(optimizer.state[identities[key]]["momentum_buffer"], momentum), key
    assert wide(torch.randn(2, 6, 6, 6)).shape[1] == 6


def test_sources_keep_what_there_is():
    torch.manual_seed(0)
    source = random_source()
    index = source(5, 12)
    assert index[:5].tolist() == list(range(5)) and (index[5:] < 5).all() and source(5, 12) is index


def _adapted(stages, k=4, **keywords):
    torch.manual_seed(0)
    parts = {"partial_channels": {"k": k}, "progressive_shrinking": {"stages": stages, "warm_up": 0, **keywords}}
    optimizer = DrNASOptimizer(parts=parts)
    optimizer.adapt_search_space(NasBench301SearchSpace(n_classes=4, channels=8, cells=3, nodes=1))
    return optimizer


def _step(optimizer, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(4, 3, 8, 8, generator=generator), torch.randint(4, (4,), generator=generator)
    return optimizer.step((x, y), (x, y))


@pytest.mark.parametrize("divide", [False, True])
def test_a_search_goes_on_with_more_channels_and_fewer_candidates(divide):
    optimizer = _adapted([{"epochs": 1}, {"epochs": 1, "n_ops": 3, "k": 2}, {"k": 1}], divide=divide)
    sizes = []
    for epoch, (k, n_ops) in enumerate([(4, 8), (2, 3), (1, 3)]):
        optimizer.new_epoch(epoch)
        assert all(value.isfinite().all() for value in _step(optimizer, epoch))
        for data in optimizer.decisions:
            assert [s.k for s in data.op.surroundings if isinstance(s, PartialChannels)] == [k]
            assert len(data.op.primitives) == n_ops
        assert [id(p) for p in optimizer.op_optimizer.param_groups[0]["params"]] == [
            id(p) for p in optimizer.graph.parameters()
        ]
        for parameter, state in optimizer.op_optimizer.state.items():
            assert state["momentum_buffer"].shape == parameter.shape
        sizes.append(sum(p.numel() for p in optimizer.weights))
    assert sizes[2] > sizes[1]
    assert optimizer.structure.state_dict()["parts"] == {"partial_channels": {"k": 1}}
    assert optimizer.get_final_architecture()(torch.randn(2, 3, 8, 8)).shape == (2, 4)


def test_what_cannot_work_is_said_before_the_search():
    with pytest.raises(ConfigError, match="8 channels cannot be divided by k = 3"):
        _adapted([{"epochs": 1}, {"k": 3}])
    with pytest.raises(ConfigError, match="need the part partial_channels"):
        optimizer = DrNASOptimizer(parts={"progressive_shrinking": {"stages": [{"epochs": 1}, {"k": 2}]}})
        optimizer.adapt_search_space(NasBench301SearchSpace(channels=8, cells=3, nodes=1))
    with pytest.raises(ConfigError, match="stage 0 begins with the supernet as it is"):
        _adapted([{"epochs": 1, "k": 4}, {"k": 2}])
    optimizer = _adapted([{"epochs": 1}])
    with pytest.raises(ConfigError, match="must become smaller than 4"):
        optimizer.parts["partial_channels"].widen(4)
