"""RelaxedMixedOp: what surrounds a mixture, and what a draw leaves out."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp, Surrounding
from naslib.optimizers.oneshot.supernet.sampling import Draw
from naslib.search_spaces.core.shared_work import SharedWork


class Affine(Surrounding):
    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x, work, inner):
        return self.scale * inner(x, work) + self.shift

    def discretized(self, op):
        return nn.Sequential(op, nn.Identity()) if self.shift else op


def test_the_last_surrounding_is_the_outermost():
    mixed = RelaxedMixedOp([nn.Identity(), nn.Tanh()])
    mixed.surround(Affine(2.0, 0.0))
    mixed.surround(Affine(1.0, 5.0))
    x = torch.ones(3)
    weights = torch.tensor([1.0, 0.0])
    for given in (weights, Draw((0,), weights)):
        assert torch.equal(mixed.apply_weights(x, given), torch.full((3,), 7.0))  # 2 x + 5, not 2 (x + 5)
    assert [type(s) for s in mixed.surroundings] == [Affine] * 2 and mixed.surroundings[0].scale == 2.0
    assert isinstance(mixed.discretized(1), nn.Sequential) and mixed.discretized(1)[0] is mixed.primitives[1]
    copied = copy.deepcopy(mixed)
    assert torch.equal(copied.apply_weights(x, weights), mixed.apply_weights(x, weights))
    assert copied.surroundings[0] is not mixed.surroundings[0]


def test_a_surrounding_defines_forward():
    with pytest.raises(NotImplementedError, match=r"Surrounding does not define forward"):
        Surrounding()(torch.ones(1), SharedWork(), lambda x, work: x)


def test_only_what_was_drawn_runs():
    calls: list[int] = []
    ops = [nn.Identity() for _ in range(4)]
    for index, op in enumerate(ops):
        op.register_forward_hook(lambda *_, index=index: calls.append(index))
    mixed = RelaxedMixedOp(ops)
    weights = torch.zeros(4, requires_grad=True)
    y = mixed.apply_weights(torch.ones(2, requires_grad=True), Draw((1, 3), weights, (0,)))
    assert calls == [1, 3] and torch.equal(y.detach(), torch.full((2,), 2.0))
    y.sum().backward()
    assert calls == [1, 3, 0]
    torch.testing.assert_close(weights.grad, torch.tensor([2.0, 2.0, 0.0, 2.0]))


def test_a_drawn_output_is_not_aliased_to_its_input():
    mixed = RelaxedMixedOp([nn.Identity(), nn.Tanh()])
    x = torch.ones(2, requires_grad=True)
    y = mixed.apply_weights(x, Draw((0,), torch.tensor([1.0, 0.0], requires_grad=True)))
    y.sum().backward()
    assert y is not x and torch.equal(x.grad, torch.ones(2))
