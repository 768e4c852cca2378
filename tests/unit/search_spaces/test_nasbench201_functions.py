"""Architectures of NAS-Bench-201 that are one function: by hand, by their number, by what networks compute."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import torch
from torch import nn

from naslib.search_spaces import NasBench201SearchSpace

CODEC = NasBench201SearchSpace.codec
SKIP, ZERO, THREE, ONE, POOL = range(5)


def same(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    return CODEC.function_of(first) == CODEC.function_of(second)


def test_by_hand():
    """Edges are (1,2) (1,3) (1,4) (2,3) (2,4) (3,4)."""
    nothing = (ZERO,) * 6
    # nothing arrives at node 4
    assert same(nothing, (THREE, ONE, ZERO, POOL, ZERO, ZERO))
    # node 3 is read by nothing, so what enters it does not matter
    assert same((SKIP, THREE, ZERO, ONE, THREE, ZERO), (SKIP, ZERO, ZERO, ZERO, THREE, ZERO))
    # one convolution of the input, on either way
    assert same((ZERO, ZERO, THREE, ZERO, ZERO, ZERO), (THREE, ZERO, ZERO, ZERO, SKIP, ZERO))
    assert not same((ZERO, ZERO, THREE, ZERO, ZERO, ZERO), (ZERO, ZERO, ONE, ZERO, ZERO, ZERO))
    # the value of one convolution twice is not the sum of two
    once_read_twice = (THREE, ZERO, ZERO, SKIP, SKIP, SKIP)
    two = (THREE, ZERO, THREE, ZERO, SKIP, ZERO)
    assert not same(once_read_twice, two)
    assert same(two, (THREE, THREE, ZERO, ZERO, SKIP, SKIP))
    # pooling is linear: of a sum, or of its summands
    assert same((SKIP, THREE, ZERO, SKIP, ZERO, POOL), (SKIP, THREE, ZERO, SKIP, ZERO, POOL))
    assert same((ZERO, SKIP, POOL, ZERO, ZERO, POOL), (POOL, ZERO, POOL, ZERO, SKIP, ZERO))
    # a convolution of nothing is the bias of its norm, whatever its kernel
    assert same((ZERO, ZERO, SKIP, ZERO, THREE, ZERO), (ZERO, ZERO, SKIP, ZERO, ONE, ZERO))
    assert not same((ZERO, ZERO, SKIP, ZERO, THREE, ZERO), (ZERO, ZERO, SKIP, ZERO, ZERO, ZERO))


def test_how_many_there_are():
    groups = defaultdict(list)
    for code in CODEC.iterate():
        groups[CODEC.function_of(code)].append(code)
    assert len(groups) == 5_234 and sum(map(len, groups.values())) == 15_625
    # nothing: (1,4) is Zero, and (2,4) and (3,4) are, or pass on a node where nothing arrives. Where (1,2) is none of
    # Zero (4 ways) that is node 3 in 1 of 25 ways; where it is, node 2, and node 3 in 3 of 25 ways
    assert len(groups[CODEC.function_of((ZERO,) * 6)]) == 4 * (25 + 2 * 1) + 3 * (25 + 2 * 3)


def test_networks_of_one_function_with_weights_that_depend_on_the_kernel_alone_compute_the_same():
    rng, x = Random(0), torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    groups = defaultdict(list)
    for code in CODEC.iterate():
        groups[CODEC.function_of(code)].append(code)
    several = [codes for codes in groups.values() if len(codes) > 1]
    for codes in rng.sample(several, 12):
        first, second = (network(code)(x) for code in rng.sample(codes, 2))
        assert torch.allclose(first, second, atol=1e-9)


def network(code: tuple[int, ...]) -> nn.Module:
    space = NasBench201SearchSpace(channels=2, cells_per_stage=1)
    space.set_spec(code)
    space.parse()
    space.double().eval()
    for module in space.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            generator = torch.Generator().manual_seed(module.weight.numel())
            module.weight.data = torch.randn(module.weight.shape, generator=generator, dtype=torch.float64) / 3
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data.fill_(0.1 * module.num_features)
        if isinstance(module, nn.Linear):
            module.bias.data.zero_()
    return lambda x: space(x.double())
