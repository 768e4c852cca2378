"""The spaces of NAS-RL: networks and cells by their equations in float64, sizes, draws and changes, and bad input."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.errors import ArchitectureError, ConfigError, GraphError, UnsupportedBySpaceError
from naslib.search_spaces import NASRLCNNSearchSpace, NASRLRNNSearchSpace
from naslib.search_spaces.nas_rl_cnn.layers import side_by_side
from naslib.search_spaces.nas_rl_rnn.genotype import NASCELL
from naslib.search_spaces.nas_rl_rnn.layers import TreeLayer, TreeStep
from naslib.training.space_record import describe_architecture, rebuild_architecture
from naslib.utils.passage import Memory

LAYERS: list[dict[str, Any]] = [
    {"height": 3, "width": 5, "filters": 4, "inputs": [], "stride_height": 2, "stride_width": 1},
    {"height": 1, "width": 3, "filters": 6, "inputs": [], "stride_height": 1, "stride_width": 1},
    {"height": 3, "width": 1, "filters": 4, "inputs": [1, 2], "stride_height": 1, "stride_width": 3},
    {"height": 5, "width": 3, "filters": 6, "inputs": [1], "stride_height": 1, "stride_width": 1},
]
ARGS: dict[str, Any] = {
    "min_layers": 2,
    "max_layers": 5,
    "heights": (1, 3, 5),
    "widths": (1, 3, 5),
    "filters": (4, 6),
    "strides": (1, 2, 3),
}


def by_hand(network: Any, x: Tensor) -> Tensor:
    """Return the logits of `LAYERS`, layer by layer."""

    def layer(number: int, read: Tensor, stride: tuple[int, int]) -> Tensor:
        convolution, norm, _ = network.convolutions[number - 1]
        height, width = convolution.weight.shape[2:]
        y = F.conv2d(read, convolution.weight, stride=stride, padding=(height // 2, width // 2))
        mean, variance = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), unbiased=False, keepdim=True)
        return ((y - mean) / (variance + norm.eps).sqrt()).clamp(min=0)

    first, second = layer(1, x, (2, 1)), layer(2, x, (1, 1))
    assert first.shape[2:] == (4, 7) and second.shape[2:] == (7, 7)
    wide = torch.zeros(len(x), 10, 7, 7, dtype=x.dtype)
    wide[:, :4, 1:5], wide[:, 4:] = first, second  # three rows are missing: one above, two below
    third, fourth = layer(3, wide, (1, 3)), layer(4, first, (1, 1))
    assert third.shape[2:] == (7, 3) and fourth.shape[2:] == (4, 7)
    last = torch.zeros(len(x), 10, 7, 7, dtype=x.dtype)
    last[:, :4, :, 2:5], last[:, 4:, 1:5] = third, fourth  # nothing reads the third and the fourth
    return F.linear(last.mean((2, 3)), network.classifier.weight, network.classifier.bias)


def test_a_network_is_what_its_layers_say() -> None:
    space = NASRLCNNSearchSpace(n_classes=3, in_channels=2, **ARGS)
    space.set_spec(LAYERS)
    space.parse()
    space.double()
    x = torch.randn(4, 2, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(space(x), by_hand(space.edges[1, 2].op, x), rtol=0, atol=1e-12)
    assert space.genotype() == LAYERS
    # 15 x 2 x 4, 3 x 2 x 6, 3 x 10 x 4, 15 x 4 x 6, norms of 4 + 6 + 4 + 6 filters, a classifier of 4 + 6
    expected = 120 + 36 + 120 + 360 + 2 * 20 + 11 * 3
    assert space.count_parameters(space.codec.layers(space.get_code())) == expected
    assert sum(parameter.numel() for parameter in space.parameters()) == expected
    larger = space.evaluation_network(more_filters=40)
    sizes = [op[0].out_channels for op in larger.edges[1, 2].op.convolutions]
    assert sizes == [44, 46, 44, 46] and larger.get_code() == space.get_code()
    assert larger.count_parameters(larger.codec.layers(larger.get_code())) == sum(
        p.numel() for p in larger.parameters()
    )


def test_pooling_halves_the_image_behind_its_layers() -> None:
    space = NASRLCNNSearchSpace(n_classes=3, **ARGS, pool_after=[1, 4])
    space.set_spec([{"height": 1, "width": 1, "filters": 4}, {"height": 1, "width": 1, "filters": 4, "inputs": [1]}])
    space.parse()
    seen: list[Any] = []
    for convolution in space.edges[1, 2].op.convolutions:
        convolution.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[2:])))
    assert space(torch.randn(2, 3, 7, 7)).shape == (2, 3) and seen == [(7, 7), (4, 4)]


def test_smaller_images_have_zeros_around_them() -> None:
    ones, small = torch.ones(1, 1, 3, 4), torch.full((1, 2, 2, 1), 2.0)
    found = side_by_side([ones, small])
    assert found.shape == (1, 3, 3, 4)
    assert found[0, 1].tolist() == [[0, 2, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]


def test_there_are_as_many_networks_as_the_paper_lets_be() -> None:
    assert NASRLCNNSearchSpace(min_layers=15, max_layers=15).decision_space.size() == 64**15 * 2**105
    strided = NASRLCNNSearchSpace(min_layers=2, max_layers=2, strides=(1, 2, 3))
    assert strided.decision_space.size() == (64 * 9) ** 2 * 2
    names = NASRLCNNSearchSpace(strides=(1, 2, 3)).decision_space.names
    first, second = [name for name in names if "_1/" in name], [name for name in names if "_2/" in name]
    sizes = ["height", "width", "stride_height", "stride_width", "filters"]
    assert first == [f"layer_1/{name}" for name in sizes]
    assert second == ["layer_2/inputs", *(f"layer_2/{name}" for name in sizes)]


def test_every_depth_is_drawn_as_often() -> None:
    space = NASRLCNNSearchSpace(**ARGS).decision_space
    depths = Counter(space.depth_of(space.random(Random(seed))) for seed in range(1200))  # type: ignore[attr-defined]
    assert set(depths) == {2, 3, 4, 5} and all(abs(count - 300) < 4 * 15 for count in depths.values())


def test_a_mutation_adds_and_takes_layers_at_the_end() -> None:
    space, rng = NASRLCNNSearchSpace(**ARGS).decision_space, Random(0)
    code = space.random(Random(3))
    seen: Counter[int] = Counter()
    for _ in range(400):
        before, code = code, space.mutate(code, rng)
        change = space.depth_of(code) - space.depth_of(before)  # type: ignore[attr-defined]
        seen[change] += 1
        assert space.is_valid(code) and change in (-1, 0, 1)
        longer = max(before, code, key=space.depth_of)  # type: ignore[attr-defined]
        if change:
            depth = space.depth_of(longer)  # type: ignore[attr-defined]
            assert space.choices(longer)[f"layer_{depth}/inputs"] == (depth - 1,)
    assert seen[1] > 0 and seen[-1] > 0
    with pytest.raises(UnsupportedBySpaceError, match="a layer can be added in 1,500,000 ways"):
        odd = tuple(range(1, 200, 2))
        wide = NASRLCNNSearchSpace(2, min_layers=1, max_layers=2, heights=odd, widths=odd, filters=range(1, 151))
        wide.decision_space.neighbours((0, 0, 0, 0, *[-1] * 4))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ([{"height": 3, "width": 3, "filter": 4}] * 2, "layer 1 has no 'filter'; did you mean 'filters'"),
        ([{"height": 3, "width": 3, "filters": 4}] * 9, "has 2 to 5 layers, not 9"),
        ([{"height": 3, "width": 3, "filters": 5}] * 2, "'layer_1/filters' chooses 1 of 4, 6, not 5"),
        ([{"height": 3, "width": 3}] * 2, "decision 'layer_1/filters' is not made"),
        ([{"height": 3, "width": 3, "filters": 4, "inputs": [1]}] * 2, "layer 1 reads the image"),
        ([{"height": 3, "width": 3, "filters": 4}, 7], "layer 2 is 7"),
        ((1, 2, 3), "a code of this space is"),
    ],
)
def test_what_is_no_network_is_said_why(spec: Any, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        NASRLCNNSearchSpace(**ARGS).set_spec(spec)


def test_what_the_spaces_cannot_be_is_said_why() -> None:
    with pytest.raises(ConfigError, match=r"min_layers <= max_layers(.|\n)*heights are different odd numbers"):
        NASRLCNNSearchSpace(min_layers=3, max_layers=2, heights=(2, 3))
    with pytest.raises(ConfigError, match="pool_after has numbers of layers"):
        NASRLCNNSearchSpace(pool_after=[0])
    with pytest.raises(ConfigError, match="no head for segmentation"):
        NASRLCNNSearchSpace(task="segmentation")
    with pytest.raises(ArchitectureError, match="a stride_width of 2, and that of this space is 1"):
        NASRLCNNSearchSpace(min_layers=1).set_spec([{"height": 3, "width": 3, "filters": 24, "stride_width": 2}])
    with pytest.raises(ConfigError, match="a power of two from 2 on, not 6"):
        NASRLRNNSearchSpace(base=6)
    with pytest.raises(GraphError, match="no architecture is set on this nas_rl_cnn"):
        NASRLCNNSearchSpace()(torch.zeros(1, 3, 8, 8))
    space = NASRLCNNSearchSpace(**ARGS)
    space.set_spec(LAYERS)
    with pytest.raises(ConfigError, match="more_filters must not be negative"):
        space.evaluation_network(more_filters=-1)


# trees


def test_the_space_of_trees_is_that_of_the_paper() -> None:
    space = NASRLRNNSearchSpace().decision_space
    assert space.size() == 63_331_869_759_897_600 == 8**16 * 15**2  # "approximately 6 x 10^16"
    assert len(space.decisions) == 2 * 16 + 2


def test_the_published_cell_is_that_of_its_equations() -> None:
    generator = torch.Generator().manual_seed(0)
    step = TreeStep(NASCELL, 5, 4).double()
    with torch.no_grad():
        for parameter in step.parameters():
            parameter.normal_(generator=generator)
    x, h, c = (torch.randn(3, n, dtype=torch.float64, generator=generator) for n in (5, 4, 4))
    i, m = (x @ step.of_input.T).split(4, 1), (h @ step.of_state.T).split(4, 1)
    sig, tanh, relu = torch.sigmoid, torch.tanh, torch.relu
    first = [sig(i[0] + m[0]), relu(i[1] + m[1]), sig(i[2] + m[2]), relu(i[3] * m[3])]
    first += [tanh(i[4] + m[4]), sig(i[5] + m[5]), tanh(i[6] + m[6]), sig(i[7] + m[7])]
    second = [tanh(first[0] * first[1]), tanh(first[2] + first[3]), tanh(first[4] * first[5]), sig(first[6] + first[7])]
    new_c = tanh(second[0] + c) * second[1]
    new_h = tanh(new_c * tanh(second[2] + second[3]))
    found_h, found_c = step(x, h, c)
    torch.testing.assert_close(found_h, new_h, rtol=0, atol=1e-14)
    torch.testing.assert_close(found_c, new_c, rtol=0, atol=1e-14)


def test_the_example_of_the_paper_is_computed_as_it_says() -> None:
    space = NASRLRNNSearchSpace(n_classes=7, base=2, hidden=3, layers=1)
    genotype = {
        "nodes": [["add", "tanh"], ["elem_mult", "relu"], ["elem_mult", "sigmoid"]],
        "inject": ["add", "relu"],
        "cell_out": 1,
        "cell_in": 0,
    }
    space.set_spec(genotype)
    space.parse()
    assert space.genotype() == genotype
    step = space.edges[2, 3].op.step.double()
    x, h, c = (torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in range(3))
    w1, w3 = step.of_input.chunk(2)
    w2, w4 = step.of_state.chunk(2)
    a0 = torch.relu(torch.tanh(x @ w1.T + h @ w2.T) + c)
    c_next = (x @ w3.T) * (h @ w4.T)
    expected = torch.sigmoid(a0 * torch.relu(c_next))
    found, found_c = step(x, h, c)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(found_c, c_next, rtol=0, atol=1e-14)


def test_text_goes_on_where_the_batch_before_ended() -> None:
    space = NASRLRNNSearchSpace(n_classes=9, base=2, hidden=4, layers=2)
    space.set_spec(space.decision_space.random(Random(5)))
    space.parse()
    space.double().eval()
    words = torch.randint(9, (3, 8), generator=torch.Generator().manual_seed(0))
    whole = space(words)
    first = Memory()
    with first.reading():
        one = space(words[:, :5])
    with Memory(first.after).reading():
        other = space(words[:, 5:])
    torch.testing.assert_close(torch.cat([one, other], 1), whole, rtol=0, atol=1e-14)


def test_sizes_and_bad_cells() -> None:
    space = NASRLRNNSearchSpace(n_classes=50, hidden=6, layers=2, dropout=0.1, dropout_hidden=0.2)
    space.set_spec(NASCELL)
    space.parse()
    assert sum(p.numel() for p in space.parameters()) == space.count_parameters() == 50 * 7 + 16 * 2 * 36
    network = space.evaluation_network(hidden=8, layers=1, dropout=0.0)
    assert (network.hidden, network.layers, network.shares["dropout_hidden"]) == (8, 1, 0.2)
    assert network.get_hash() == space.get_hash()
    for change, message in (
        ({"nodes": [["add", "tanh"]] * 14}, "a tree of 8 leaves has 15 nodes"),
        ({"inject": ["add"]}, r"a node is \(combination, activation\)"),
        ({"inject": ["add", "swish"]}, "'inject/activation' chooses"),
        ({"cell_in": 15}, "'cell/in' chooses"),
        ({"cell_inn": 3}, "did you mean 'cell_in'"),
    ):
        with pytest.raises(ArchitectureError, match=message):
            space.codec.canonical({**NASCELL.to_json(), **change})
    with pytest.raises(ConfigError, match=r"hidden must be at least 1(.|\n)*dropout must be in"):
        NASRLRNNSearchSpace(hidden=0, dropout=1.0)


@pytest.mark.parametrize("kind", ["cnn", "rnn"])
def test_a_record_rebuilds_a_network_of_the_sizes_that_it_has(kind: str) -> None:
    if kind == "cnn":
        space: Any = NASRLCNNSearchSpace(3, 1, 2, 4, heights=(1, 3), widths=(1, 5), filters=(4, 6), strides=(1, 2))
    else:
        space = NASRLRNNSearchSpace(7, base=4, hidden=6, layers=1, dropout_words=0.25)
    space.put_architecture(space.codec.random(Random(3)))
    space.parse()
    again: Any = rebuild_architecture(json.loads(json.dumps(describe_architecture(space))))
    assert again.get_code() == space.get_code()
    assert [p.shape for p in again.parameters()] == [p.shape for p in space.parameters()]
    wide = space.evaluation_network(**({"more_filters": 5} if kind == "cnn" else {"hidden": 8}))
    again = rebuild_architecture(json.loads(json.dumps(describe_architecture(wide))))
    assert [p.shape for p in again.parameters()] == [p.shape for p in wide.parameters()]
    assert [p.shape for p in wide.parameters()] != [p.shape for p in space.parameters()]
    assert kind == "cnn" or again.shares["dropout_words"] == 0.25


def test_a_layer_goes_on_where_the_batch_before_ended() -> None:
    torch.manual_seed(1)
    first, second = TreeLayer(NASCELL, 5, 4, 0), TreeLayer(NASCELL, 4, 4, 1)
    x = torch.randn(2, 6, 5)
    parts, memory = [], Memory()
    for piece in x.split(3, dim=1):
        with memory.reading():
            parts.append(second(first(piece)))
        memory = Memory(memory.after)
    torch.testing.assert_close(torch.cat(parts, dim=1), second(first(x)))
    assert sorted(memory.before) == ["tree_0", "tree_1"]
