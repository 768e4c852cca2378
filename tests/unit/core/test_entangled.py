"""Candidates that share weights: what they run alone, in a mixture, and what is left of them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from naslib.errors import GraphError
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.elastic import (
    EntangledCandidate,
    count_parameters,
    entangle,
    entangle_edges,
    extract,
    values_in,
)
from naslib.search_spaces.core.primitives import (
    AvgPool,
    DilConv,
    Identity,
    MixedOp,
    ReLUConvBN,
    SepConv,
    Zero,
    mix_outputs,
)
from naslib.search_spaces.core.shared_work import Passes, SharedWork

C = 4
KINDS = {
    "nor_conv": lambda: [ReLUConvBN(C, C, 1), ReLUConvBN(C, C, 3)],
    "nor_conv, affine": lambda: [ReLUConvBN(C, C, 3, affine=True), ReLUConvBN(C, C, 1, affine=True)],
    "sep_conv": lambda: [SepConv(C, C, 3, 1, 1, affine=False), SepConv(C, C, 5, 1, 2, affine=False)],
    "sep_conv, strided": lambda: [SepConv(C, C, 3, 2, 1, affine=False), SepConv(C, C, 5, 2, 2, affine=False)],
    "dil_conv": lambda: [DilConv(C, C, 3, 1, 2, 2, affine=False), DilConv(C, C, 5, 1, 4, 2, affine=False)],
    "conv alone": lambda: [nn.Conv2d(C, C, k, padding=k // 2) for k in (1, 3, 5)],
    "widths": lambda: [
        nn.Sequential(nn.Conv2d(C, n, 1), nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, C, 3, padding=1)) for n in (6, 3)
    ],
    "linear widths": lambda: [nn.Sequential(nn.Linear(5, n), nn.ReLU(), nn.Linear(n, 5)) for n in (2, 3)],
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def _ops(kind: str) -> list[nn.Module]:
    torch.manual_seed(0)
    return [op.double() for op in KINDS[kind]()]


def _input(kind: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (3, 5) if kind == "linear widths" else (3, C, 8, 8)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _with_statistics(candidates: list[nn.Module], kind: str) -> None:
    for candidate in candidates:
        for _ in range(2):
            candidate(_input(kind))


@each_kind
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_a_candidate_is_an_operation_of_its_class_with_a_slice(kind: str, training: bool):
    ops = _ops(kind)
    candidates = entangle(ops)
    _with_statistics(candidates, kind)
    largest = max(range(len(ops)), key=lambda i: sum(p.numel() for p in ops[i].parameters()))
    for index, (op, candidate) in enumerate(zip(ops, candidates, strict=True)):
        candidate.train(training)
        plain = extract(candidate)
        assert type(plain) is type(op) and repr(plain) == repr(op.train(training))
        assert [p.shape for p in plain.parameters()] == [p.shape for p in op.parameters()]
        assert count_parameters(candidate) == sum(p.numel() for p in op.parameters())
        if index == largest:  # keeps its weights
            assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), op.parameters(), strict=True))
        if hasattr(op, "init_params"):
            assert candidate.get_op_name == op.get_op_name == plain.get_op_name
            assert plain.init_params == op.init_params and plain.kernel_size == op.kernel_size
        x = _input(kind)
        assert torch.equal(candidate(x), plain(x))
        assert torch.equal(pickle.loads(pickle.dumps(candidate))(x), copy.deepcopy(candidate)(x))
    assert values_in(nn.ModuleList(candidates)) == ()


def test_slices_are_centres():
    small, large = entangle([SepConv(C, C, 3, 1, 1), SepConv(C, C, 5, 1, 2)])
    whole = large.shared.op.op[1].weight
    assert torch.equal(extract(small).op[1].weight, whole[:, :, 1:4, 1:4])
    assert extract(small).op[1].padding == (1, 1) and torch.equal(extract(large).op[1].weight, whole)


@each_kind
def test_a_mixture_is_one_operation(kind: str):
    """The weights of slices are relative to each other, their sum that of the operation; calls are counted."""
    candidates = entangle(_ops(kind))
    w = torch.tensor([0.5, 0.2, 0.1, 0.2][: len(candidates) + 1], dtype=torch.float64)
    ops = [*candidates, Identity()]
    op = candidates[0].shared.op
    called = []
    layers = [m for m in op.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        layer.register_forward_hook(lambda *_: called.append(1))
    x = _input(kind)
    if "strided" in kind:
        ops[-1] = nn.AvgPool2d(1, 2)
    y = mix_outputs(ops, x, w)
    assert len(called) == len(layers)
    n = len(candidates)
    total = w[:n].sum()
    with candidates[0].shared.running(w[:n] / total):
        expected = total * copy.deepcopy(op)(x) + w[n] * ops[-1](x)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("mix", ["weights", "outputs"])
def test_mixtures_of_linear_operations_are_sums_of_outputs(mix: str):
    """A convolution is linear in its weight, so both ways of mixing give the weighted sum, and the same gradients."""
    ops = entangle([nn.Conv2d(C, C, k, padding=k // 2).double() for k in (1, 3, 5)], mix)
    weight, bias = ops[0].shared.op.weight, ops[0].shared.op.bias
    logits = torch.tensor([0.3, -0.2, 0.5, 0.1], dtype=torch.float64, requires_grad=True)
    x = _input("conv alone")
    y = mix_outputs([*ops, Identity()], x, logits.softmax(0))
    p = logits.softmax(0)
    expected = p[3] * x
    for i, k in enumerate((1, 3, 5)):
        first = (5 - k) // 2
        small = weight[:, :, first : first + k, first : first + k]
        expected = expected + p[i] * nn.functional.conv2d(x, small, bias, padding=k // 2)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    probe = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    found = torch.autograd.grad((y * probe).sum(), [logits, weight, bias])
    wanted = torch.autograd.grad((expected * probe).sum(), [logits, weight, bias])
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@each_kind
def test_all_weight_on_one_candidate_is_that_candidate(kind: str):
    candidates = entangle(_ops(kind))
    for index in range(len(candidates)):
        row = torch.eye(len(candidates), dtype=torch.float64)[index]
        together = copy.deepcopy(candidates)
        y = mix_outputs(together, _input(kind), row)
        torch.testing.assert_close(y, copy.deepcopy(candidates[index])(_input(kind)))
        # others have all the weight: nothing comes of these, and no gradient is lost in 0 / 0
        logits = torch.zeros(len(candidates) + 1, dtype=torch.float64).requires_grad_()
        zero = torch.eye(len(logits), dtype=torch.float64)[-1] + logits - logits.detach()
        other = nn.AvgPool2d(1, 2) if "strided" in kind else Identity()
        x = _input(kind)
        y = mix_outputs([*copy.deepcopy(candidates), other], x, zero)
        torch.testing.assert_close(y, other(x))
        (gradient,) = torch.autograd.grad(y.sum(), logits)
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("passes", [Passes(), Passes.none()], ids=["all passes", "no pass"])
def test_passes_change_nothing(passes: Passes):
    torch.manual_seed(0)
    ops = [*entangle(KINDS["sep_conv"]()), *entangle(KINDS["dil_conv"]()), Identity(), Zero(1)]
    ops = [op.double() for op in ops]
    w = torch.randn(6, dtype=torch.float64).softmax(0).requires_grad_()
    x = _input("sep_conv")
    y = mix_outputs(copy.deepcopy(ops), x, w, SharedWork(passes))
    reference = mix_outputs(copy.deepcopy(ops), x, w)
    torch.testing.assert_close(y, reference)
    for a, b in zip(torch.autograd.grad(y.sum(), w), torch.autograd.grad(reference.sum(), w), strict=True):
        torch.testing.assert_close(a, b)


def test_a_mixed_op_keeps_what_it_is_told():
    candidates = entangle(KINDS["nor_conv"]())
    op = MixedOp([*candidates, Identity()])
    assert len(list(op.parameters())) == len(list(candidates[0].parameters()))
    plain = op.discretized(0)
    assert isinstance(plain, ReLUConvBN) and plain.kernel_size == 1 and isinstance(op.discretized(2), Identity)
    # a candidate that has left takes its slice with it
    x = _input("nor_conv").float()
    torch.testing.assert_close(
        mix_outputs([candidates[0]], x, torch.tensor([0.5])), 0.5 * copy.deepcopy(candidates[0])(x)
    )


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([Identity()], "give two or more, not 1"),
        ([ReLUConvBN(C, C, 3), SepConv(C, C, 3, 1, 1)], "have other layers at the top"),
        ([nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU())], "have other layers"),
        ([nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh())], "have other layers at 0"),
        ([nn.Conv2d(C, C, 3), nn.Conv2d(C, C, 5)], r"their paddings are \[-1, 0\] then, not \[0, 0\]|padding"),
        ([nn.Conv2d(C, C, 3, padding=1), nn.Conv2d(C, C, 5, padding=1)], "padding"),
        ([nn.Conv2d(C, C, 3, padding=1), nn.Conv2d(C, C, 3, stride=2, padding=1)], "not in stride"),
        ([nn.Conv2d(C, C, 3, padding=1), nn.Conv2d(C, C, 3, padding=1, bias=False)], "not in bias"),
        ([nn.Conv2d(C, C, (1, 3)), nn.Conv2d(C, C, 3)], "square"),
        ([AvgPool(C, 3, 1), AvgPool(C, 5, 1)], "AvgPool2d at .* differs in kernel_size"),
        ([nn.LayerNorm(4), nn.LayerNorm(5)], "LayerNorm of several shapes cannot share weights"),
    ],
)
def test_what_cannot_share_weights(ops: list[nn.Module], message: str):
    with pytest.raises((GraphError, ValueError), match=message):
        entangle(ops)
    assert not isinstance(ops[0], EntangledCandidate)


def test_the_candidates_of_a_space_share_weights_by_class():
    space = NasBench201SearchSpace()
    entangle_edges(space, [ReLUConvBN])
    lists = [op for op in space.get_all_edge_data("op", "all", private_edge_data=True) if isinstance(op, list)]
    assert len(lists) == 6 * 15
    for ops in lists:
        names = [op.get_op_name for op in ops]
        assert names == ["Identity", "Zero", "ReLUConvBN3x3", "ReLUConvBN1x1", "AvgPool1x1"]
        assert isinstance(ops[2], EntangledCandidate) and ops[2].shared is ops[3].shared
    with pytest.raises(GraphError, match="no edge has two candidates of one class among SepConv"):
        entangle_edges(NasBench201SearchSpace(), [SepConv])
