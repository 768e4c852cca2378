"""Sizes that are decisions: arithmetic, and what cannot be one."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from naslib.errors import ArchitectureError, ConfigError, GraphError
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticEmbedding,
    ElasticLayerNorm,
    ElasticLinear,
    ElasticMultiheadAttention,
    ElasticParameter,
    ElasticSequential,
    Sizes,
    Value,
    index_assignment,
    set_mixing,
    values_in,
)

WIDTH = Value((16, 24), "width")
RATIO = Value((3, 4.5, 6), "ratio")


def test_arithmetic():
    hidden = (WIDTH * RATIO).rounded(8)
    assert [int(hidden.at({"width": w, "ratio": r})) for w in (16, 24) for r in (3, 4.5, 6)] == [
        48,
        72,
        96,
        72,
        112,
        144,
    ]
    others = [2 + WIDTH, WIDTH + 2, 100 - WIDTH, WIDTH - 8, 3 * WIDTH, WIDTH // 5, 100 // WIDTH]
    assert [int(size.at({"width": 24})) for size in others] == [26, 26, 76, 16, 72, 4, 4]
    assert (WIDTH * WIDTH).leaves == (WIDTH,) and hidden.leaves == (WIDTH, RATIO)
    assert (100 - WIDTH).largest == 84 and hidden.largest == 144
    assert str(hidden) == "(width * ratio) rounded to 8" and str(WIDTH // 2) == "(width // 2)"
    assert pickle.loads(pickle.dumps(hidden)) == hidden and copy.deepcopy(WIDTH) == WIDTH


@pytest.mark.parametrize(
    ("number", "multiple", "expected"), [(32 * 0.35, 8, 16), (24 * 1.4, 8, 32), (3, 8, 8), (12, 8, 16), (20, 1, 20)]
)
def test_rounding_is_that_of_mobilenets(number: float, multiple: int, expected: int):
    """To the nearest multiple, and to the next where that takes away more than 10 %: 11.2 -> 8 loses 29 %."""
    assert Value((number,), "x").rounded(multiple).at({"x": number}) == expected


def test_weights_are_as_large_as_the_largest_of_each_size_and_the_largest_values_run():
    embed, heads = Value((8, 4), "embed"), Value((2, 1), "heads")
    sizes = Sizes(embed=embed, heads=heads, size=embed // heads)
    assert sizes.box == (8, 2, 8) and sizes.largest == (8, 2, 4)
    assert sizes.values("size") == (2, 4, 8)
    with assigned(Assignment({"heads": 1})):
        assert sizes.in_force() == (8, 1, 8)
    attention = ElasticMultiheadAttention(embed, heads)
    assert attention.qkv_weight.shape == (3, 2, 8, 8) and attention.extract().head_dim == 4


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Value((), "width"), "value decision 'width' has no values"),
        (lambda: Value((8, 8), "width"), r"differ from each other, but are \[8, 8\]"),
        (lambda: Value((8, -1), "width"), r"numbers from 0, not \[-1\]"),
        (lambda: Value((8, True), "width"), r"numbers from 0, not \[True\]"),
        (lambda: Value((8, float("inf")), "width"), "numbers from 0"),
        (lambda: Value(("8",), "width"), r"not \['8'\]"),
        (lambda: Value((8,), ""), "needs a label"),
        (lambda: Value((8,), None), "needs a label, a text that names it, not None"),  # type: ignore[arg-type]
        (lambda: ElasticLinear("8", 8), "a number or a value decision, not '8'"),  # type: ignore[arg-type]
        (lambda: ElasticLinear(0, 8), "in_features = 0 is 0 for every choice: it is an integer from 1"),
        (lambda: ElasticLinear(Value((0, 4), "width"), 8), r"in_features = width is 0 for width = 0"),
        (lambda: ElasticLinear(WIDTH * RATIO, 8 * RATIO // 1 * 0.1), "it is an integer from 1"),
        (lambda: ElasticLinear(Value((5,), "a") * Value((0.5,), "b"), 8), r"is 2.5 for a = 5, b = 0.5"),
        (lambda: ElasticLinear(WIDTH - 16, 8), r"in_features = \(width - 16\) is 0 for width = 16"),
        (lambda: ElasticLinear(WIDTH // Value((0, 1), "b"), 8), "divided by 0 for width = 16, b = 0"),
        (
            lambda: ElasticLinear(WIDTH, Value((8, 16), "width")),
            r"'width' has the values \[8, 16\] in one place and \[16, 24\]",
        ),
        (lambda: WIDTH.rounded(0), "multiples of 1 or more"),
        (lambda: ElasticConv2d(8, 8, Value((3, 4), "kernel")), r"kernel sizes \[3, 4\] are odd and even"),
        (lambda: ElasticConv2d(8, 8, Value((1, 5), "kernel"), padding=1), "padding 1 is too small"),
        (lambda: ElasticConv2d(WIDTH, WIDTH, 3, groups=2), "the channels of a group depend on the choice"),
        (lambda: ElasticConv2d(WIDTH, 32, 3, groups=WIDTH), "16 groups do not divide|24 groups do not divide"),
        (lambda: ElasticConv2d(8, 8, 3, groups=3), "3 groups do not divide 8 input and 8 output channels evenly"),
        (lambda: ElasticConv2d(8, 8, 3, mix="weight"), "mix is 'weights' or 'outputs', not 'weight'; did you mean"),
        (lambda: set_mixing(ElasticLinear(8, 8), "both"), "mix is 'weights' or 'outputs'"),
        (lambda: ElasticMultiheadAttention(WIDTH, Value((4, 5), "heads")), "5 heads do not divide an embedding of 16"),
        (
            lambda: ElasticSequential([nn.Identity()] * 2, Value((1, 3), "depth")),
            "2 blocks, and the depth can be up to 3",
        ),
        (
            lambda: ElasticSequential([nn.Identity()] * 4, Value((1, 3), "depth")),
            "4 blocks, and the depth can be up to 3",
        ),
        (lambda: ElasticParameter(), "at least one axis"),
        (
            lambda: values_in(nn.Sequential(ElasticLinear(8, WIDTH), ElasticLinear(Value((8, 16), "width"), 8))),
            "two labels",
        ),
    ],
)
def test_bad_sizes(build, message: str):
    with pytest.raises(ConfigError, match=message):
        build()


@pytest.mark.parametrize(
    "layer",
    [
        ElasticLinear(WIDTH, 8),
        ElasticConv2d(WIDTH, 8, 1),
        ElasticBatchNorm2d(WIDTH),
        ElasticLayerNorm(WIDTH),
        ElasticMultiheadAttention(WIDTH, 4),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_an_input_of_another_size(layer: nn.Module):
    x = torch.zeros(2, 16, 4, 24 if isinstance(layer, nn.Conv2d | nn.BatchNorm2d) else 16)
    row = torch.tensor([0.5, 0.5])
    for assignment in (None, Assignment({"width": 1}), Assignment({"width": row})):
        with assigned(assignment), pytest.raises(GraphError, match=r"has size 16 along axis -?1, in force is .*= 24 "):
            layer(x)


def test_assignments_that_do_not_fit():
    layer = ElasticEmbedding(5, WIDTH)
    words = torch.tensor([1, 2])
    for entry, message in [
        (2, "has 2 values, 0 to 1, the assignment says 2"),
        (torch.ones(3), r"has 2 values, the assignment weights of shape \(3,\)"),
        (torch.ones(2, 2), r"weights of shape \(2, 2\)"),
        ((0, 1), r"an index, weights or a Draw, not by \(0, 1\)"),
    ]:
        with assigned(Assignment({"width": entry})), pytest.raises(ArchitectureError, match=message):
            layer(words)
    with assigned(Assignment({"width": torch.ones(2)})):
        for function in (layer.extract, layer.point):
            with pytest.raises(ArchitectureError, match="the assignment has weights for 'width'; give it an index"):
                function()
    with pytest.raises(ArchitectureError, match="no value decision 'widht'"):
        index_assignment(layer, {"widht": 16})
    with pytest.raises(ArchitectureError, match=r"has the values \(16, 24\), not 17"):
        index_assignment(layer, {"width": 17})
    assert index_assignment(layer, {}) == Assignment({"width": 1})


def test_relative_positions_are_of_a_square_of_patches():
    attention = ElasticMultiheadAttention(8, 2, relative=2)
    with pytest.raises(GraphError, match="a square of patches behind one class token, not of 9 tokens"):
        attention(torch.zeros(1, 9, 8))
