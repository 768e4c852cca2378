"""The elastic MobileNetV3: published sizes of subnets, their spelling, slices, kernel transforms, sorted channels."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from data_files import data_file
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ArchitectureError, ConfigError
from naslib.optimizers import DARTSOptimizer, SPOSOptimizer
from naslib.search_spaces import OFAMobileNetV3SearchSpace
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import ElasticConv2d, Value, extract, index_assignment
from naslib.search_spaces.ofa_mobilenetv3.codec import count_parameters
from naslib.search_spaces.ofa_mobilenetv3.primitives import InvertedResidual

TABLE, LATENCY = data_file("ofa_mbv3_top1.npz"), data_file("ofa_latency.npz")
TINY: dict[str, Any] = {
    "n_classes": 4,
    "kernels": (3, 5),
    "expansions": (2, 3),
    "depths": (1, 2),
    "widths": (8,) * 9,
    "strides": (1, 2, 1, 1, 1, 2),
    "image_size": 8,
}
LARGEST = {"ks": 7, "e": 6, "d": 4, "r": 224}


def _images(n: int = 3, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed)).to(dtype)


def _published(**arguments: Any) -> OFAMobileNetV3SearchSpace:
    with torch.device("meta"):
        return OFAMobileNetV3SearchSpace(**arguments)


def _parameters(spec: Any, **arguments: Any) -> int:
    network = _published(**arguments)
    network.set_spec(spec)
    network.compile()
    network.parse()
    return sum(parameter.numel() for parameter in network.parameters())


def test_there_are_as_many_networks_as_published() -> None:
    """More than 10^19: ((3 * 3)^2 + (3 * 3)^3 + (3 * 3)^4)^5."""
    space = _published().decision_space
    assert space.size() == ((3 * 3) ** 2 + (3 * 3) ** 3 + (3 * 3) ** 4) ** 5
    assert len(space) == 5 + 20 * 2


def test_the_largest_network_has_the_published_size() -> None:
    found = _parameters(LARGEST)
    assert found == count_parameters(_full(7, 6, 4)) and round(found / 1e6, 1) == 7.7


def _full(kernel: int, expansion: int, depth: int) -> dict[str, list[int]]:
    return {"ks": [kernel] * 20, "e": [expansion] * 20, "d": [depth] * 5}


@pytest.mark.skipif(not TABLE.is_file(), reason=f"no {TABLE.name} in the shared data directory")
def test_subnets_have_the_parameters_of_the_table() -> None:
    with np.load(TABLE) as file:
        rows = {name: file[name] for name in ("ks", "e", "d", "r", "params")}
    settings = [{name: rows[name][row].tolist() for name in ("ks", "e", "d")} for row in range(len(rows["r"]))]
    assert [count_parameters(spec) for spec in settings] == rows["params"].tolist()
    for row in (0, 777):
        spec = {**settings[row], "r": [int(rows["r"][row])]}
        assert _parameters(spec) == rows["params"][row]


@pytest.mark.skipif(not LATENCY.is_file(), reason=f"no {LATENCY.name} in the shared data directory")
def test_rows_of_the_latency_table_are_architectures() -> None:
    with np.load(LATENCY) as file:
        rows = {name: file[name] for name in ("ks", "e", "d", "r")}
    codec = _published(resolutions=sorted(set(rows["r"].tolist())))._codec()
    for row in range(0, 5000, 250):
        spec = {name: rows[name][row].tolist() for name in ("ks", "e", "d")} | {"r": int(rows["r"][row])}
        found = codec.genotype(codec.canonical(spec))
        there = [block for stage in range(5) for block in range(4 * stage, 4 * stage + spec["d"][stage])]
        assert found["d"] == spec["d"] and found["r"] == [spec["r"]]
        for name in ("ks", "e"):
            assert found[name] == [spec[name][block] if block in there else 0 for block in range(20)]
        assert codec.canonical(found) == codec.canonical(spec)


def test_other_widths_and_sizes_follow_the_formula() -> None:
    spec = {"ks": [3, 5, 5, 3, 3, 5, 3, 3, 5, 5], "e": [2, 3, 3, 2, 2, 2, 3, 3, 2, 3], "d": [1, 2, 2, 1, 2]}
    assert _parameters(spec, **TINY) == count_parameters(spec, 4, 3, (8,) * 9)
    wide = [24, 24, 32, 48, 96, 136, 192, 1152, 1536]
    assert _parameters({**LARGEST, "d": 3}, width_mult=1.2) == count_parameters(_full(7, 6, 3), widths=wide)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ks": [3] * 9}, "ks of an architecture of ofa_mobilenetv3 is 10 numbers"),
        ({"e": 4}, r"block\d.expansion. chooses 1 of 2, 3, not 4"),
        ({"d": [2, 2, 2, 2, 5]}, "stage5.depth"),
        ({"r": 224}, "r is 224, and this network runs at 8"),
        ({"w": 1.2}, "no 'w'"),
        ({"k": 3}, "no 'k'"),
    ],
)
def test_other_settings_are_refused(change: dict[str, Any], words: str) -> None:
    space = OFAMobileNetV3SearchSpace(**TINY)
    with pytest.raises(ArchitectureError, match=words):
        space.set_spec({"ks": 3, "e": 2, "d": 2, **change})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kernels": (3, 4)}, "kernels are odd"),
        ({"depths": (0, 2)}, "depths are integers from 1"),
        ({"expansions": (1, 3)}, "expansions are larger than 1"),
        ({"widths": (8, 8)}, "widths are 9 numbers"),
        ({"strides": (3,) * 6}, "strides are 6 times 1 or 2"),
        ({"resolutions": ()}, "resolutions are integers"),
        ({"dropout": 1}, "dropout"),
        ({"width_mult": 0}, "width_mult"),
        ({"mix": "weight"}, "did you mean 'weights'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        OFAMobileNetV3SearchSpace(**{**TINY, **arguments})


def _adapted(method: type, **arguments: Any) -> Any:
    torch.manual_seed(0)
    optimizer = method(epochs=1)
    optimizer.adapt_search_space(OFAMobileNetV3SearchSpace(**{**TINY, **arguments}))
    _disturb(optimizer.graph)
    return optimizer


@torch.no_grad()
def _disturb(module: nn.Module) -> None:
    """Make transforms no identity, and norms no identity either."""
    generator = torch.Generator().manual_seed(9)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and ("transforms" in name or "running" in name or tensor.dim() == 1):
            tensor.add_(0.3 * torch.rand(tensor.shape, generator=generator).to(tensor))


@pytest.mark.parametrize("arguments", [{}, {"kernel_transform": False}, {"resolutions": (6, 8)}])
def test_the_discrete_network_is_the_path_bit_by_bit(arguments: dict[str, Any]) -> None:
    optimizer = _adapted(SPOSOptimizer, **arguments)
    space = optimizer.search_space.decision_space
    for seed in range(3):
        code = space.random(Random(seed))
        optimizer.use(code)
        optimizer.outcome = optimizer.scores_of(code)
        network = optimizer.get_final_architecture().eval()
        optimizer.graph.eval()
        with torch.no_grad():
            assert torch.equal(network(_images()), optimizer.graph(_images()))
        assert network.get_code() == code
        assert not any(isinstance(module, ElasticConv2d) for module in network.modules())


def test_smaller_kernels_are_maps_of_the_centre_of_the_next_larger_one() -> None:
    """By the authors' words: 7 to 5 by a 25x25 matrix, 5 to 3 by a 9x9 one, both shared by all channels."""
    block = InvertedResidual(4, 4, Value((3, 5, 7), "k"), 2, 1, "relu", has_se=False)
    conv = block.depthwise[0]
    assert {name: tuple(p.shape) for name, p in conv.transforms.items()} == {"7to5": (25, 25), "5to3": (9, 9)}
    _disturb(block)
    kept = {5: conv.weight[..., 1:6, 1:6].flatten(2) @ conv.transforms["7to5"].T}
    five = kept[5].unflatten(2, (5, 5))
    kept[3] = five[..., 1:4, 1:4].flatten(2) @ conv.transforms["5to3"].T
    for kernel in (3, 5):
        plain = extract(block, index_assignment(block, {"k": kernel}))
        torch.testing.assert_close(plain.depthwise[0].weight, kept[kernel].unflatten(2, (kernel, kernel)))
    crop = InvertedResidual(4, 4, Value((3, 5, 7), "k"), 2, 1, "relu", has_se=False, kernel_transform=False)
    plain = extract(crop, index_assignment(crop, {"k": 3}))
    assert torch.equal(plain.depthwise[0].weight, crop.depthwise[0].weight[..., 2:5, 2:5])


def test_mixed_weights_and_mixed_outputs_are_equal_with_transforms() -> None:
    """Of every convolution of the supernet, in float64, with gradients of weights, transforms and mixing weights."""
    generator = torch.Generator().manual_seed(3)
    network = _adapted(DARTSOptimizer).graph.double()
    layers = [m for m in network.modules() if isinstance(m, ElasticConv2d) and m.sizes.leaves]
    assert sum(bool(layer.transforms) for layer in layers) == 10
    for layer in layers:
        leaves = layer.sizes.leaves
        rows = {leaf.label: _row(len(leaf.values), generator) for leaf in leaves}
        x = torch.randn(2, layer.in_channels, 6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
        inputs = [x, *layer.parameters(), *rows.values()]
        seen = []
        for mix in ("weights", "outputs"):
            layer.mix = mix
            with assigned(Assignment(rows)):
                y = layer(x)
            seen.append([y, *torch.autograd.grad(y.square().sum(), inputs)])
        for first, second in zip(*seen, strict=True):
            torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)


def _row(n: int, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator, dtype=torch.float64).softmax(0).requires_grad_()


def test_a_mixture_of_resolutions_is_that_of_the_outputs() -> None:
    network = _adapted(DARTSOptimizer, resolutions=(6, 8), depths=(1,)).graph.double().eval()
    whole = next(iter(network.edges(data=True)))[2].op
    row = torch.tensor([0.3, 0.7], dtype=torch.float64)
    with torch.no_grad():
        singles = []
        for index in (0, 1):
            with assigned(Assignment({"resolution": index})):
                singles.append(whole(_images(dtype=torch.float64)))
        with assigned(Assignment({"resolution": row})):
            mixed = whole(_images(dtype=torch.float64))
        smaller = F.interpolate(
            _images(dtype=torch.float64), (6, 6), mode="bilinear", align_corners=False, antialias=True
        )
        torch.testing.assert_close(mixed, 0.3 * singles[0] + 0.7 * singles[1], rtol=0, atol=1e-12)
        torch.testing.assert_close(singles[0], whole.body(smaller), rtol=0, atol=1e-12)
        assert (singles[0] - singles[1]).abs().max() > 1e-6


@pytest.mark.parametrize("used", [(4,), (3, 4), (2, 3, 4)])
def test_sorted_channels_change_nothing_at_the_expansions_in_use(used: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    block = InvertedResidual(8, 8, 3, Value((2, 3, 4), "e"), 1, "relu", has_se=True).double().eval()
    _disturb(block)
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)

    def at(expansion: int) -> Tensor:
        with torch.no_grad(), assigned(index_assignment(block, {"e": expansion})):
            return block(x)

    before = {expansion: at(expansion) for expansion in (2, 3, 4)}
    block.sort_channels({"e": used})
    for expansion, y in before.items():
        if expansion in used:
            torch.testing.assert_close(at(expansion), y, rtol=0, atol=1e-12)
        else:
            assert (at(expansion) - y).abs().max() > 1e-6
    importance = block.narrow[0].weight.detach().abs().sum((0, 2, 3))
    bounds = [0, *(8 * expansion for expansion in used)]
    for begin, end in itertools.pairwise(bounds):
        assert torch.equal(importance[begin:end], importance[begin:end].sort(descending=True).values)


def test_what_is_retrained_may_have_another_width() -> None:
    space = OFAMobileNetV3SearchSpace(**TINY)
    space.set_spec({"ks": 3, "e": 3, "d": 1})
    space.compile()
    space.parse()
    network = space.evaluation_network(width_mult=2.0, dropout=0.0)
    sizes = count_parameters({"ks": [3] * 10, "e": [3] * 10, "d": [1] * 5}, 4, 3, (16,) * 9)
    assert sum(p.numel() for p in network.parameters()) == sizes
    assert network.genotype() == space.genotype()
    assert network(_images()).shape == (3, 4)
