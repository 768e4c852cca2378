"""The size space of NATS-Bench: strings, sizes, slices, and the shortcut that changes its kind with the channels."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ArchitectureError, ConfigError
from naslib.optimizers import SPOSOptimizer
from naslib.search_spaces import NATSBenchSizeSearchSpace
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import ElasticShortcut, Value, count_parameters, expected_parameters, extract
from naslib.search_spaces.core.elastic import index_assignment as chosen
from naslib.search_spaces.nats_size.codec import CHANNELS
from naslib.search_spaces.nats_size.codec import count_parameters as formula


def _network(spec: Any, **arguments: Any) -> NATSBenchSizeSearchSpace:
    space = NATSBenchSizeSearchSpace(**arguments)
    space.set_spec(spec)
    space.compile()
    space.parse()
    return space


def test_there_are_32768_architectures() -> None:
    space = NATSBenchSizeSearchSpace().decision_space
    assert space.size() == 8**5 == 32_768
    assert [decision.candidates for decision in space.decisions] == [(8, 16, 24, 32, 40, 48, 56, 64)] * 5


@pytest.mark.parametrize(
    ("spec", "shortcuts"),
    [("64:48:32:16:8", 2), ("64:64:64:64:64", 0), ("8:16:16:8:64", 1), ("8:8:64:32:32", 1)],
)
def test_a_network_has_the_parameters_of_the_formula(spec: str, shortcuts: int) -> None:
    channels = [int(number) for number in spec.split(":")]
    with torch.device("meta"):
        network = _network(spec)
    assert sum(p.numel() for p in network.parameters()) == formula(channels)
    pointwise = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert len(pointwise) == 2 + shortcuts  # one in each residual block
    hundred = _network(spec, n_classes=100, in_channels=1)
    assert sum(p.numel() for p in hundred.parameters()) == formula(channels, 100, 1)


def test_the_formula_by_hand() -> None:
    """8:8:8:8:8: stem, five 3x3 convolutions in each of three cells, two residual blocks, norm and classifier."""
    stem, conv, norm = 27 * 8, 9 * 8 * 8, 2 * 8
    by_hand = (stem + norm) + 3 * 5 * (conv + norm) + 2 * (2 * (conv + norm) + 8 * 8) + norm + 8 * 10 + 10
    assert formula([8] * 5) == by_hand == 11_714


def test_an_architecture_is_a_string() -> None:
    network = _network("64:48:32:16:8")
    assert network.get_code() == (7, 5, 3, 1, 0) and network.genotype() == "64:48:32:16:8"
    for form in (
        "64:48:32:16:8",
        " 64 : 48:32:16:8",
        (7, 5, 3, 1, 0),
        "(7, 5, 3, 1, 0)",
        {"genotype": "64:48:32:16:8"},
    ):
        assert _network(form).get_code() == (7, 5, 3, 1, 0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [("64:48:32:16", "five|5 layers"), ("64:48:32:16:9", "channels_5"), ("64:48:32:16:8:8", "5 layers")],
)
def test_another_string_is_refused(spec: str, words: str) -> None:
    with pytest.raises(ArchitectureError, match=words):
        NATSBenchSizeSearchSpace().set_spec(spec)


@pytest.mark.parametrize("channels", [(), (0, 8), (8, 8.5)])
def test_wrong_channels_are_refused(channels: tuple) -> None:
    with pytest.raises(ConfigError, match="channels are integers from 1"):
        NATSBenchSizeSearchSpace(channels=channels)


def test_the_discrete_network_is_the_path_bit_by_bit() -> None:
    torch.manual_seed(0)
    optimizer = SPOSOptimizer(epochs=1)
    optimizer.adapt_search_space(NATSBenchSizeSearchSpace(channels=(2, 3, 4)))
    images = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for code in [(0, 1, 1, 2, 0), (2, 2, 1, 0, 1), *(optimizer.paths.random(Random(seed)) for seed in range(2))]:
        optimizer.graph.train()
        with torch.no_grad():
            optimizer.graph(images)  # running statistics that are no zeros and ones
        optimizer.use(code)
        optimizer.outcome = optimizer.scores_of(code)
        network = optimizer.get_final_architecture().eval()
        optimizer.graph.eval()
        with torch.no_grad():
            assert torch.equal(network(images), optimizer.graph(images))
        assert network.get_code() == code


def test_it_computes_what_the_benchmark_does() -> None:
    """Against the network written with torch's functions: 3x3 ReLU-conv-norm on the edges, one shortcut per cell."""
    network = _network("3:2:4:4:2", channels=(2, 3, 4)).double().eval()
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    state = dict(network.state_dict())

    def norm(y: Tensor, name: str) -> Tensor:
        values = [state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(y, *values)

    def conv(y: Tensor, name: str, stride: int = 1) -> Tensor:
        return norm(F.conv2d(F.relu(y), state[f"{name}.1.weight"], stride=stride, padding=1), f"{name}.2")

    def cell(y: Tensor, name: str) -> Tensor:
        first = conv(y, f"{name}.edge_0_1")
        second = conv(y, f"{name}.edge_0_2") + conv(first, f"{name}.edge_1_2")
        third = conv(first, f"{name}.edge_1_3") + conv(second, f"{name}.edge_2_3")
        if f"{name}.edge_0_3.0.weight" in state:
            return third + norm(F.conv2d(y, state[f"{name}.edge_0_3.0.weight"]), f"{name}.edge_0_3.1")
        return third + y

    def block(y: Tensor, name: str) -> Tensor:
        low = F.avg_pool2d(y, 2, ceil_mode=True, count_include_pad=False)
        long = conv(conv(y, f"{name}.conv_a", 2), f"{name}.conv_b")
        return long + F.conv2d(low, state[f"{name}.downsample.1.weight"])

    names = [
        name.split(".op.")[0] + ".op.0" for name in state if name.endswith((".edge_0_1.1.weight", "conv_a.1.weight"))
    ]
    with torch.no_grad():
        found = network(x)
        stem = next(name for name in state).rsplit(".", 2)[0]
        y = norm(F.conv2d(x, state[f"{stem}.0.weight"], padding=1), f"{stem}.1")
        for name in names:
            y = cell(y, name) if f"{name}.edge_0_1.1.weight" in state else block(y, name)
        head = next(name for name in state if name.endswith(".4.bias")).removesuffix(".4.bias")
        y = F.relu(norm(y, f"{head}.0")).mean((2, 3))
        torch.testing.assert_close(found, F.linear(y, state[f"{head}.4.weight"], state[f"{head}.4.bias"]))
    assert len(names) == 5


def _shortcut() -> ElasticShortcut:
    torch.manual_seed(0)
    return ElasticShortcut(Value((2, 3, 4), "in"), Value((3, 5, 2), "out")).double().eval()


@pytest.mark.parametrize(("into", "out"), [(2, 2), (3, 3), (2, 5), (4, 3)])
def test_a_shortcut_is_the_identity_where_channels_are_equal(into: int, out: int) -> None:
    shortcut = _shortcut()
    x = torch.randn(2, into, 4, 4, dtype=torch.float64)
    assignment = chosen(shortcut, {"in": into, "out": out})
    with assigned(assignment):
        y = shortcut(x)
        plain = extract(shortcut)
        n_parameters = count_parameters(shortcut)
    assert torch.equal(plain.eval()(x), y) and y.shape == (2, out, 4, 4)
    assert torch.equal(y, x) == (into == out)
    assert n_parameters == sum(p.numel() for p in plain.parameters()) == (0 if into == out else into * out + 2 * out)


def test_a_mixture_is_the_kept_channels_and_one_convolution() -> None:
    """With a norm that is the identity, by hand; every size that has a channel counts in it."""
    shortcut = _shortcut()
    shortcut.bn.eps = 0.0
    generator = torch.Generator().manual_seed(1)
    rows = {name: torch.rand(3, generator=generator, dtype=torch.float64).softmax(0) for name in ("in", "out")}
    x = torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64)
    same = torch.zeros(2, 5, 3, 3, dtype=torch.float64)
    convolved, share = torch.zeros_like(same), torch.zeros(5, dtype=torch.float64)
    outputs = torch.zeros_like(same)
    with torch.no_grad():
        for a, into in zip(rows["in"], (2, 3, 4), strict=True):
            for b, out in zip(rows["out"], (3, 5, 2), strict=True):
                y = x[:, :into] if into == out else F.conv2d(x[:, :into], shortcut.weight[:out, :into])
                term = a * b * F.pad(y, [0, 0, 0, 0, 0, 5 - out])
                outputs += term
                if into == out:
                    same += term
                else:
                    convolved += term
                    share += a * b * (torch.arange(5) < out)
        with assigned(Assignment(rows)):
            torch.testing.assert_close(shortcut(x), same + convolved * share.view(-1, 1, 1), rtol=0, atol=1e-12)
            shortcut.mix = "outputs"
            torch.testing.assert_close(shortcut(x), outputs, rtol=0, atol=1e-12)


def test_all_weight_on_one_size_is_that_size() -> None:
    shortcut = _shortcut()
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    for into, out in ((0, 2), (1, 0), (1, 1), (2, 2)):
        rows = {"in": F.one_hot(torch.tensor(into), 3).double(), "out": F.one_hot(torch.tensor(out), 3).double()}
        with torch.no_grad():
            with assigned(Assignment(rows)):
                mixed = shortcut(x)
            with assigned(Assignment({"in": into, "out": out})):
                alone = shortcut(x[:, : (2, 3, 4)[into]])
        n = alone.shape[1]
        torch.testing.assert_close(mixed[:, :n], alone, rtol=0, atol=1e-12)
        assert not mixed[:, n:].any()


def test_the_expected_size_is_the_mean() -> None:
    shortcut = _shortcut()
    rows = {"in": torch.tensor([0.5, 0.3, 0.2]), "out": torch.tensor([0.1, 0.6, 0.3])}
    expected = sum(
        float(a * b) * (0 if into == out else into * out + 2 * out)
        for a, into in zip(rows["in"], (2, 3, 4), strict=True)
        for b, out in zip(rows["out"], (3, 5, 2), strict=True)
    )
    assert float(expected_parameters(shortcut, Assignment(rows))) == pytest.approx(expected)
    with pytest.raises(ConfigError, match="always equal"):
        ElasticShortcut(Value(CHANNELS, "c"), Value(CHANNELS, "c"))
