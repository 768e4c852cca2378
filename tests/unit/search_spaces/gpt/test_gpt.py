"""GPT: sizes, causality, ties and biases, what a path computes, and what is refused."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from naslib.errors import ArchitectureError, ConfigError, GraphError
from naslib.search_spaces import GPTSearchSpace
from naslib.search_spaces.core.assignment import assigned
from naslib.search_spaces.core.elastic import Elastic, count_parameters, index_assignment
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.gpt.spellings import read_spec, text_of

WORDS = 11


def _tiny(**arguments: Any) -> GPTSearchSpace:
    sizes: dict[str, Any] = {"embed": (6, 8), "depth": (1, 2, 3), "heads": (1, 2), "mlp_ratio": (1, 2), "head_dim": 4}
    return GPTSearchSpace(**{"n_classes": WORDS, **sizes, **arguments})


def _parsed(space: Graph) -> Graph:
    space.compile()
    space.parse()
    return space


def _tokens(n: int = 2, length: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(WORDS, (n, length), generator=torch.Generator().manual_seed(seed))


def _choices(embed: int, heads: Any, ratios: Any, bias: int) -> dict[str, Any]:
    found: dict[str, Any] = {"embed": embed, "depth": len(heads), "bias": bias}
    for number, (n, ratio) in enumerate(zip(heads, ratios, strict=True), start=1):
        found |= {f"block_{number}/heads": n, f"block_{number}/mlp_ratio": ratio}
    return found


@pytest.mark.parametrize(("preset", "depths", "parameters"), [
    # all weights of the largest network, 50,254 words, embedding and last layer one: GPT-2's 124, 354 and 774 M, which
    # have vectors for 1,024 positions besides
    ("s", (10, 11, 12), 123_651_072),
    ("m", (22, 23, 24), 353_771_520),
    ("l", (34, 35, 36), 772_715_520),
])  # fmt: skip
def test_a_preset_is_as_large_as_it_is_said_to_be(preset: str, depths: Any, parameters: int) -> None:
    with torch.device("meta"):
        space = GPTSearchSpace(50_254, preset=preset)
    assert space.decision_space.size() == 3 * 2 * sum(9**depth for depth in depths)
    assert count_parameters(space) == parameters
    embed, depth = max(space.choices.embed), max(depths)
    assert parameters == 50_254 * embed + 2 * embed + depth * (12 * embed**2 + 13 * embed)
    assert space.get_type() == f"gpt_{preset}"
    assert GPTSearchSpace(10, embed=(192, 384, 768)).get_type() == "gpt"


@pytest.mark.parametrize("positions", ["rotary", "learned"])
@pytest.mark.parametrize("parallel", [True, False])
def test_an_architecture_is_the_slice_of_the_supernet_bit_by_bit(positions: str, parallel: bool) -> None:
    torch.manual_seed(0)
    space = _tiny(positions=positions, parallel=parallel, context=7)
    for seed in range(6):
        found = space.clone()
        choices = space.decision_space.choices(space.decision_space.random(Random(seed)))
        found.set_spec(choices)
        _parsed(found).eval()
        supernet = _parsed(space.clone()).eval()
        with assigned(index_assignment(supernet, choices)), torch.no_grad():
            assert torch.equal(found(_tokens()), supernet(_tokens()))
        assert not any(isinstance(module, Elastic) for module in found.modules())
        e, bias = choices["embed"], choices["bias"]
        expected = WORDS * e + 2 * e + (7 * e if positions == "learned" else 0)
        for number in range(1, choices["depth"] + 1):
            inner, hidden = 4 * choices[f"block_{number}/heads"], e * choices[f"block_{number}/mlp_ratio"]
            expected += 4 * e + 4 * inner * e + 2 * hidden * e + bias * (3 * inner + e + hidden + e)
        assert sum(parameter.numel() for parameter in found.parameters()) == expected


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_no_position_reads_what_comes_after_it(positions: str) -> None:
    torch.manual_seed(1)
    space = _parsed(_tiny(positions=positions)).eval().double()
    tokens = _tokens()
    others = tokens.clone()
    others[:, 4:] = (others[:, 4:] + 1) % WORDS
    with torch.no_grad():
        first, second = space(tokens), space(others)
    assert torch.equal(first[:, :4], second[:, :4])
    assert not torch.isclose(first[:, 4:], second[:, 4:]).all(-1).any()


def test_rotary_positions_depend_on_distances_alone() -> None:
    """The last of three tokens sees the same two before it, wherever they stand, where nothing else is there."""
    torch.manual_seed(2)
    space = _tiny(depth=1, heads=1, mlp_ratio=1, bias=1).double()
    attention = space.edges[2, 3].op.blocks[0].attention
    query, key = torch.randn(1, 1, 9, 4, dtype=torch.float64), torch.randn(1, 1, 9, 4, dtype=torch.float64)
    query, key = query[:, :, :1].expand(-1, -1, 9, -1), key[:, :, :1].expand(-1, -1, 9, -1)
    from naslib.search_spaces.core.elastic.relative import rotated

    scores = rotated(query, attention.rotary) @ rotated(key, attention.rotary).transpose(-2, -1)
    for distance in range(-8, 9):
        along = scores[0, 0].diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-12, atol=1e-12)
    assert len({round(float(scores[0, 0, 0, i]), 6) for i in range(9)}) == 9


def _norm(x: Tensor, norm: Any) -> Tensor:
    y = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    return y * norm.weight + norm.bias


def test_a_network_computes_what_a_language_model_does() -> None:
    torch.manual_seed(3)
    space = _tiny(positions="learned").double()
    space.set_spec(_choices(8, (2, 1), (1, 2), bias=0))
    _parsed(space).eval()
    tokens = _tokens()
    stem, blocks, head = space.edges[1, 2].op, space.edges[2, 3].op, space.edges[3, 4].op
    x = stem.embedding.weight[tokens] + stem.positions.weight[:, :7]
    for block in blocks:
        size, layer, read = 4, block.attention, _norm(x, block.attention_norm)
        weights = layer.qkv.weight.view(3, -1, size, 8)
        assert layer.qkv.bias is layer.proj.bias is block.linear[0].bias is None
        found = []
        for number in range(layer.num_heads):
            query, key, value = (read @ weights[i, number].T for i in range(3))
            scores = query @ key.transpose(1, 2) / size**0.5 + torch.full((7, 7), float("-inf")).triu(1)
            found.append(scores.softmax(-1) @ value)
        hidden = _norm(x, block.linear_norm) @ block.linear[0].weight.T
        linear = (hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))) @ block.linear[2].weight.T
        x = x + torch.cat(found, -1) @ layer.proj.weight.T + linear
    expected = _norm(x, head.norm) @ stem.embedding.weight.T
    torch.testing.assert_close(space(tokens), expected, rtol=1e-10, atol=1e-12)


def test_embedding_and_last_layer_are_one_weight() -> None:
    space = _tiny()
    assert space.edges[3, 4].op.linear.weight is space.edges[1, 2].op.embedding.weight
    space.set_spec(_choices(6, (1,), (2,), bias=1))
    network = _parsed(space).evaluation_network()
    for graph in (space, network):
        assert graph.edges[3, 4].op.linear.weight is graph.edges[1, 2].op.embedding.weight
    assert not torch.equal(network.edges[1, 2].op.embedding.weight, space.edges[1, 2].op.embedding.weight)
    apart = _tiny(tied=False)
    assert apart.edges[3, 4].op.linear.weight is not apart.edges[1, 2].op.embedding.weight


def test_what_the_benchmark_writes_is_read() -> None:
    text = "gpt-s-2-8-1-2-2-1-False"
    assert read_spec(text) == _choices(8, (2, 1), (1, 2), bias=0)
    recipe = {
        "sample_embed_dim": 8,
        "sample_n_layer": 2,
        "sample_n_head": [2, 1, 2],
        "sample_mlp_ratio": [1, 2, 1],
        "sample_bias": "False",
    }
    assert read_spec(recipe) == read_spec(text)
    space, other = _tiny(), _tiny()
    space.set_spec(text)
    other.set_spec({**recipe, "sample_bias": False})
    assert space.get_code() == other.get_code() == (1, 1, 1, 0, 0, 0, 1, -1, -1)
    assert text_of(space.genotype(), "s") == text
    with pytest.raises(ArchitectureError, match=r"has 3 layers, and 4 numbers for them"):
        _tiny().set_spec("gpt-s-3-8-1-2-2-1-False")
    with pytest.raises(ArchitectureError, match=r"embed"):
        _tiny().set_spec("gpt-s-2-9-1-2-2-1-False")
    with pytest.raises(ArchitectureError):
        _tiny().set_spec("gpt-s-2-8-1-2-2-1-Flase")


def test_without_biases_there_are_none() -> None:
    space = _tiny(bias=0)
    assert "bias" not in space.decision_space.names
    blocks = space.edges[2, 3].op
    names = {name for name, _ in blocks.named_parameters() if name.endswith("bias")}
    assert names and all("norm" in name for name in names)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"preset": "small"}, r"no preset 'small'"),
    ({"positions": "rotery"}, r"positions are rotary or learned, not 'rotery'; did you mean 'rotary'"),
    ({"head_dim": 2}, r"head_dim = 2: rotary positions turn half of a head"),
    ({"bias": 2}, r"bias is 1, 0 or both, not \[2\]"),
    ({"bias": (0, 2)}, r"bias is 1, 0 or both, not \[0, 2\]"),
    ({"context": 0}, r"context is a number of positions from 1, not 0"),
    ({"task": "classification"}, r"gpt has no head for classification"),
    ({"dropout": -0.1}, r"dropout is a share"),
])  # fmt: skip
def test_what_cannot_be_is_said_before_any_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _tiny(**arguments)


def test_sequences_longer_than_there_are_positions_are_refused() -> None:
    space = _parsed(_tiny(positions="learned", context=6))
    with pytest.raises(GraphError, match=r"sequences of 7 tokens for 6 positions"):
        space(_tokens())
    assert _parsed(_tiny(context=6))(_tokens()).shape == (2, 7, WORDS)
