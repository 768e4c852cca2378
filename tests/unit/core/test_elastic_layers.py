"""Elastic layers: what a slice, a mixture and an extracted layer compute, against plain functions."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from elastic_layers import CASES, Case, built, called, terms, zero_padded
from torch import nn

from naslib.search_spaces.core.assignment import Assignment, Draw, assigned
from naslib.search_spaces.core.elastic import Elastic, count_parameters, expected_parameters, values_in

MIXES = ("weights", "outputs")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_mix = pytest.mark.parametrize("mix", MIXES)


def _close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_the_grid_is_what_it_was():
    assert len(CASES) == 20
    assert (
        sum(len(case.grid()) for case in CASES)
        == 18 + 6 + 9 + 3 + 3 + 9 + 3 + 3 + 4 + 4 + 2 + 2 + 6 + 8 + 4 + 4 + 4 + 4 + 4 + 3
    )
    assert {type(case.build("weights")).__name__ for case in CASES} == {
        "ElasticConv2d",
        "ElasticBatchNorm2d",
        "ElasticLinear",
        "ElasticLayerNorm",
        "ElasticEmbedding",
        "ElasticParameter",
        "ElasticMultiheadAttention",
        "ElasticSequential",
    }


@each_case
@each_mix
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_every_slice_is_the_plain_layer(case: Case, mix: str, training: bool):
    """Equal to the formula, and the extracted layer gives the same bits; so do its gradients, in the slice alone."""
    for indices in case.grid():
        layer = built(case, mix).train(training)
        x = case.inputs(case.sizes(indices))
        reference, expected = copy.deepcopy(layer), None
        expected = case.run(reference, x, case.sizes(indices))
        with assigned(Assignment(indices)):
            extracted = layer.extract()
            y = called(layer, x)
            assert count_parameters(layer) == sum(p.numel() for p in extracted.parameters())
        _close(y, expected)
        assert extracted.training == training and not any(isinstance(m, Elastic) for m in extracted.modules())
        again = called(extracted, x)
        assert torch.equal(again, y) and again.shape == y.shape
        for name, buffer in extracted.named_buffers():  # statistics moved alike
            whole = layer.get_buffer(name)
            assert torch.equal(buffer, whole[: len(buffer)] if buffer.dim() else whole)
        if y.requires_grad:
            probe = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
            (y * probe).sum().backward()
            (expected * probe).sum().backward()
            for parameter, other in zip(layer.parameters(), reference.parameters(), strict=True):
                if case.name == "embedding":  # the row of padding is not trained
                    other.grad[0] = 0.0
                grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                _close(grad, torch.zeros_like(other) if other.grad is None else other.grad)


@each_case
@each_mix
def test_mixtures_are_the_weighted_sums(case: Case, mix: str):
    """Output and gradients by weights and logits, written out in double precision."""
    layer = built(case, mix)
    reference = copy.deepcopy(layer)
    logits, others = case.rows(), case.rows()
    x = case.inputs(case.largest())
    with assigned(Assignment({label: row.softmax(0) for label, row in logits.items()})):
        y = called(layer, x)
    weights = {label: row.softmax(0) for label, row in others.items()}
    if mix == "weights" and case.mixed is not None:
        expected = case.mixed(reference, x, weights)
    else:
        expected = torch.zeros_like(y)
        for sizes, weight in terms(case, weights):
            narrow = x if x is None or x.dtype == torch.long else _narrow(case, x, sizes)
            expected = expected + weight * zero_padded(case.run(reference, narrow, sizes), y.shape)
    _close(y, expected)
    probe = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    (y * probe).sum().backward()
    (expected * probe).sum().backward()
    for parameter, other in zip(layer.parameters(), reference.parameters(), strict=True):
        if case.name == "embedding":
            other.grad[0] = 0.0
        _close(parameter.grad, other.grad)
    for label in logits:
        _close(logits[label].grad, others[label].grad)


def _narrow(case: Case, x: torch.Tensor, sizes: dict) -> torch.Tensor:
    """Return the input that a slice of these sizes reads."""
    small = case.inputs(sizes)
    return x[tuple(slice(0, n) for n in small.shape)]


@each_case
@each_mix
def test_all_weight_on_one_size_is_that_size(case: Case, mix: str):
    for indices in case.grid():
        layer = built(case, mix)
        x = case.inputs(case.largest())
        rows = {
            value.label: torch.eye(len(value.values), dtype=torch.float64)[indices[value.label]]
            for value in case.values
        }
        with assigned(Assignment(rows)):
            y = called(copy.deepcopy(layer), x)
        narrow = x if x is None or x.dtype == torch.long else _narrow(case, x, case.sizes(indices))
        with assigned(Assignment(indices)):
            small = called(layer, narrow)
        _close(y, zero_padded(small.detach(), y.shape))


@each_case
def test_a_draw_is_its_index_and_hands_its_gradient_to_all_weights(case: Case):
    layer = built(case)
    value = case.values[0]
    logits = torch.zeros(len(value.values), dtype=torch.float64, requires_grad=True)
    others = {v.label: 0 for v in case.values[1:]}
    index = 1
    draw = Draw((index,), logits.softmax(0))
    small, large = (case.inputs(case.sizes({**others, value.label: i})) for i in (index, _largest(value)))
    with torch.no_grad(), assigned(Assignment({**others, value.label: draw})):
        y = called(layer, small)
    with torch.no_grad(), assigned(Assignment({**others, value.label: index})):
        assert torch.equal(called(layer, small), y)
    with assigned(Assignment({**others, value.label: draw})):
        mixed = called(layer, large)
    _close(
        mixed, mixed.detach() * 0 + zero_padded(_at(case, layer, large, {**others, value.label: index}), mixed.shape)
    )
    row = torch.eye(len(value.values), dtype=torch.float64)[index].requires_grad_()
    with assigned(Assignment({**others, value.label: row})):
        straight = called(layer, large)
    (gate,) = torch.autograd.grad(straight.square().sum(), row)
    (found,) = torch.autograd.grad(mixed.square().sum(), logits)
    p = torch.full_like(gate, 1 / len(gate))
    _close(found, p * (gate - (p * gate).sum()))  # the gradient of softmax


def _largest(value) -> int:
    return value.values.index(max(value.values))


def _at(case: Case, layer: nn.Module, x: torch.Tensor, indices: dict) -> torch.Tensor:
    narrow = x if x is None or x.dtype == torch.long else _narrow(case, x, case.sizes(indices))
    with torch.no_grad(), assigned(Assignment(indices)):
        return called(layer, narrow)


@each_case
def test_without_an_assignment_the_largest_runs(case: Case):
    layer = built(case)
    x = case.inputs(case.largest())
    y = called(layer, x)
    other = built(case)
    with assigned(Assignment({value.label: _largest(value) for value in case.values})):
        assert torch.equal(called(other, x), y)
    with assigned(Assignment({"another decision": 0})):
        assert torch.equal(called(built(case), x), y)
    with assigned(Assignment({value.label: -1 for value in case.values})):  # decisions that are not made
        assert torch.equal(called(built(case), x), y)


@each_case
def test_copies_pickles_and_states(case: Case):
    layer = built(case)
    x = case.inputs(case.sizes({value.label: 1 for value in case.values}))
    layer.eval()
    with assigned(Assignment({value.label: 1 for value in case.values})):
        y = called(layer, x)
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert torch.equal(called(other, x), y)
        fresh = case.build("outputs").double().eval()
        fresh.load_state_dict(layer.state_dict())
        assert torch.equal(called(fresh, x), y)
    assert set(values_in(copy.deepcopy(layer))) == set(case.values)


@each_case
@each_mix
def test_second_derivatives(case: Case, mix: str):
    """Second-order searches differentiate the gradient: `gradgradcheck` in logits and one weight."""
    layer = built(case, mix).eval()
    x = case.inputs(case.largest())
    rows = tuple(case.rows().values())
    labels = [value.label for value in case.values]
    name, parameter = next(iter(layer.named_parameters()), ("", None))
    inputs = (*rows, *(() if parameter is None else (parameter.detach()[..., :1].clone().requires_grad_(),)))

    def function(*given: torch.Tensor) -> torch.Tensor:
        rows = given[: len(labels)]
        changed = {}
        if parameter is not None:
            changed = {name: torch.cat([given[-1], parameter.detach()[..., 1:]], -1)}
        with assigned(Assignment({label: row.softmax(0) for label, row in zip(labels, rows, strict=True)})):
            return torch.func.functional_call(layer, changed, () if x is None else (x,)).square().mean()

    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@each_case
def test_expected_number_of_parameters(case: Case):
    layer = built(case)
    rows = {label: row.detach().softmax(0).requires_grad_() for label, row in case.rows().items()}
    expected = torch.zeros((), dtype=torch.float64)
    for indices in case.grid():
        weight = torch.ones((), dtype=torch.float64)
        for label, index in indices.items():
            weight = weight * rows[label][index]
        expected = expected + weight * count_parameters(layer, Assignment(indices))
    found = expected_parameters(layer, Assignment(rows))
    _close(found, expected)
    if found.requires_grad:
        for a, b in zip(
            torch.autograd.grad(found, rows.values()), torch.autograd.grad(expected, rows.values()), strict=True
        ):
            _close(a, b)
