"""The TangleNAS macro space: slices, sizes, and the two ways of mixing them, which are equal here."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from data_files import data_file
from torch import nn
from torch.nn import functional as F

from naslib.benchmarks import TangleNASMacroTable
from naslib.errors import ArchitectureError, ConfigError
from naslib.optimizers import DARTSOptimizer, SPOSOptimizer
from naslib.search_spaces import TangleNASMacroSearchSpace
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.elastic import ElasticConv2d
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.tanglenas_macro.codec import count_parameters

FILE = data_file("tanglenas_toy.npz")
needs_table = pytest.mark.skipif(not FILE.is_file(), reason=f"no {FILE.name} in the shared data directory")
BEST = [[32, 64, 128, 128], [3, 7, 5, 7]]
SMALL = {"channels": 1, "image_size": 12}


def _supernet(method: type, **sizes: object) -> DARTSOptimizer:
    torch.manual_seed(0)
    optimizer = method(epochs=1)
    optimizer.adapt_search_space(TangleNASMacroSearchSpace(**{**SMALL, **sizes}))
    return optimizer


@pytest.mark.parametrize("spec", [BEST, [[8, 16, 32, 64], [3, 3, 3, 3]], [[16, 64, 32, 256], [7, 5, 3, 5]]])
def test_a_network_has_the_parameters_of_the_formula(spec: list[list[int]]) -> None:
    with torch.device("meta"):
        network = TangleNASMacroSearchSpace()
        network.set_spec(spec)
    network.compile()
    network.parse()
    assert sum(p.numel() for p in network.parameters()) == count_parameters(network.get_code())
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.out_channels for conv in convolutions] == [*spec[0], 256]
    assert [conv.kernel_size[0] for conv in convolutions] == [*spec[1], 7]
    assert not any(isinstance(conv, ElasticConv2d) for conv in convolutions)


def test_both_spellings_are_one_code() -> None:
    codes = []
    for form in (BEST, str(BEST), {"channels": BEST[0], "kernels": BEST[1]}, (2, 2, 2, 1, 0, 2, 1, 2)):
        space = TangleNASMacroSearchSpace()
        space.instantiate_model = False
        space.set_spec(form)
        codes.append(space.get_code())
        assert space.genotype() == {"channels": BEST[0], "kernels": BEST[1]}
    assert set(codes) == {(2, 2, 2, 1, 0, 2, 1, 2)}


@pytest.mark.parametrize("spec", [[[32, 64, 128], [3, 7, 5, 7]], [[33, 64, 128, 128], [3, 7, 5, 7]]])
def test_another_architecture_is_refused(spec: list[list[int]]) -> None:
    with pytest.raises(ArchitectureError, match=r"four convolutions|4 convolutions|channels_1"):
        TangleNASMacroSearchSpace(**{**SMALL, "channels": 8}).set_spec(spec)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [({"image_size": 11}, "at least 12"), ({"image_size": (32, 8)}, "kernel of 7"), ({"mix": "weight"}, "mix")],
)
def test_wrong_arguments_are_refused(sizes: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TangleNASMacroSearchSpace(**sizes)


def test_what_is_left_of_a_path_is_the_path_bit_by_bit() -> None:
    optimizer = _supernet(SPOSOptimizer)
    images = torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    space = optimizer.search_space.decision_space
    for seed in range(3):
        code = space.random(Random(seed))
        optimizer.use(code)
        optimizer.outcome = optimizer.scores_of(code)
        network = optimizer.get_final_architecture().eval()
        optimizer.graph.eval()
        with torch.no_grad():
            assert torch.equal(network(images), optimizer.graph(images))
        assert network.get_code() == code


def test_a_path_is_slices_of_the_convolutions() -> None:
    """Written out by torch's functions: first channels, centre of the kernel."""
    optimizer = _supernet(SPOSOptimizer)
    optimizer.graph.double().eval()
    optimizer.use((0, 2, 1, 0, 1, 0, 2, 1))  # channels 1, 8, 8, 8 and kernels 5, 3, 7, 5
    convs = [m for m in optimizer.graph.modules() if isinstance(m, nn.Conv2d)]
    linear = [m for m in optimizer.graph.modules() if isinstance(m, nn.Linear)]
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        found, reads = optimizer.graph(x), 3
        for layer, (width, kernel) in enumerate(zip((1, 8, 8, 8), (5, 3, 7, 5), strict=True)):
            at = (7 - kernel) // 2
            weight = convs[layer].weight[:width, :reads, at : at + kernel, at : at + kernel]
            x = F.relu(F.conv2d(x, weight, convs[layer].bias[:width], padding=kernel // 2))
            x = F.max_pool2d(x, 2) if layer in (1, 2) else x
            reads = width
        x = F.conv2d(x, convs[4].weight[:, :reads], convs[4].bias, padding=2).flatten(1)
        for layer in linear[:-1]:
            x = F.relu(layer(x))
        torch.testing.assert_close(found, linear[-1](x), rtol=0, atol=1e-12)


def test_mixed_weights_and_mixed_outputs_are_equal_in_every_layer() -> None:
    """Also their gradients, by the weights and by what mixes them: a convolution is linear in its weight."""
    generator = torch.Generator().manual_seed(3)
    layers = [m for m in _supernet(DARTSOptimizer).graph.double().modules() if isinstance(m, ElasticConv2d)]
    assert len(layers) == 5
    for layer in layers:
        rows = {
            leaf.label: torch.rand(len(leaf.values), generator=generator, dtype=torch.float64)
            for leaf in layer.sizes.leaves
        }
        for row in rows.values():
            row.div_(row.sum()).requires_grad_()
        x = torch.randn(2, layer.in_channels, 6, 6, generator=generator, dtype=torch.float64, requires_grad=True)
        seen = []
        for mix in ("weights", "outputs"):
            layer.mix = mix
            with _holding(rows):
                y = layer(x)
            inputs = [x, layer.weight, layer.bias, *rows.values()]
            seen.append([y, *torch.autograd.grad(y.square().sum(), inputs)])
        for first, second in zip(*seen, strict=True):
            torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-10)


def _holding(rows: dict[str, torch.Tensor]):
    from naslib.search_spaces.core.assignment import assigned

    return assigned(Assignment(rows))


@needs_table
def test_the_table_has_every_architecture_once() -> None:
    table = TangleNASMacroTable(FILE)
    accuracy = table.query_batch(table.codes, Metric.TEST_ACCURACY, "cifar10")
    assert len({tuple(code) for code in table.codes.tolist()}) == 6561
    assert accuracy.max() == pytest.approx(84.41, abs=5e-3) and int((accuracy == 10.0).sum()) == 14
    raw = np.load(FILE)
    row = int(accuracy.argmax())
    assert [raw["macro_channels"][row].tolist(), raw["macro_kernels"][row].tolist()] == BEST
    space = TangleNASMacroSearchSpace()
    space.instantiate_model = False
    space.set_spec(BEST)
    assert table.index_of(space.get_code()) == row
    assert space.query(Metric.TEST_ACCURACY, "cifar-10", dataset_api=table) == accuracy[row]
