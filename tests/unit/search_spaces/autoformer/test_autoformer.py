"""AutoFormer: sizes, published networks, what a path computes, and what is refused."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ArchitectureError, ConfigError, GraphError, UnsupportedBySpaceError
from naslib.search_spaces import AutoFormerSearchSpace
from naslib.search_spaces.autoformer.presets import PRESETS
from naslib.search_spaces.autoformer.spellings import PUBLISHED, choices_of, read_spec, recipe_of
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import Elastic, SelfAttention, count_parameters, index_assignment, set_mixing
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import DropPath, set_drop_path_prob
from naslib.search_spaces.published import published


def _tiny(**arguments: Any) -> AutoFormerSearchSpace:
    sizes: dict[str, Any] = {"embed": (6, 8), "depth": (1, 2, 3), "heads": (1, 2), "mlp_ratio": (1, 1.5), "head_dim": 4}
    return AutoFormerSearchSpace(**{"n_classes": 5, "image_size": 8, **sizes, **arguments})


def _meta(**arguments: Any) -> AutoFormerSearchSpace:
    with torch.device("meta"):
        return AutoFormerSearchSpace(**arguments)


@pytest.mark.parametrize(("preset", "depths", "per_layer"), [
    ("tiny", (12, 13, 14), 2 * 2),
    ("small", (12, 13, 14), 3 * 3),
    ("base", (14, 15, 16), 3 * 3),
    ("cifar", (5, 6, 7), 3 * 3),
    ("mini", (2, 3, 4), 3 * 3),
])  # fmt: skip
def test_a_preset_has_as_many_architectures_as_its_table_says(preset: str, depths: Any, per_layer: int) -> None:
    space = _meta(preset=preset, image_size=224)
    assert space.decision_space.size() == 3 * sum(per_layer**depth for depth in depths)
    assert space.decision_space.names[:2] == ("embed", "depth")
    assert len(space.decision_space.decisions) == 2 + 2 * max(depths)
    assert space.get_type() == (f"autoformer_{preset}" if preset in ("tiny", "small", "base") else "autoformer")


def _parameters(architecture: Any, relative: int, classes: int, patches: int, patch: int, head_dim: int = 64) -> int:
    """Count the parameters of a vision transformer, layer by layer."""
    e, depth = architecture["embed"], architecture["depth"]
    total = (3 * patch**2 + 1) * e + e + (patches + 1) * e + 2 * e + (e + 1) * classes
    for number in range(1, depth + 1):
        inner = architecture[f"block_{number}/heads"] * head_dim
        hidden = int(e * architecture[f"block_{number}/mlp_ratio"])
        total += 4 * e + 3 * inner * (e + 1) + e * (inner + 1) + hidden * (e + 1) + e * (hidden + 1)
        total += 2 * 2 * (2 * relative + 2) * head_dim if relative else 0
    return total


@pytest.mark.parametrize(("name", "preset", "relative", "parameters"), [
    ("AutoFormer-T", "tiny", 14, 5_867_944),  # 5.7 M in the paper
    ("AutoFormer-T", "tiny", 0, 5_768_104),
    ("AutoFormer-S", "small", 14, 22_891_432),  # 22.9 M
    ("AutoFormer-B", "base", 14, 53_691_688),  # 53.7 M
])  # fmt: skip
def test_published_networks_build_and_count(name: str, preset: str, relative: int, parameters: int) -> None:
    architecture = PUBLISHED[name]
    plain = _meta(n_classes=1000, image_size=224, preset=preset, relative=relative)
    more = plain.arguments_for(architecture)
    assert more == ({"mlp_ratio": [3.0, 3.5, 4.0]} if preset == "tiny" else {})
    space = _meta(n_classes=1000, image_size=224, preset=preset, relative=relative, **more) if more else plain
    assert space.arguments_for(architecture) == {}
    assert count_parameters(space, index_assignment(space, architecture)) == parameters
    assert _parameters(architecture, relative, 1000, 196, 16) == parameters
    space.set_spec(architecture)
    assert sum(parameter.numel() for parameter in _parsed(space).parameters()) == parameters
    assert space.genotype() == architecture


@pytest.mark.parametrize(("name", "parameters"), [
    ("autoformer-t", 5_867_944), ("autoformer-s", 22_891_432), ("autoformer-b", 53_691_688),
])  # fmt: skip
def test_published_networks_are_found_by_name(name: str, parameters: int) -> None:
    with torch.device("meta"):
        network = published(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    with torch.device("meta"):
        other = published(name, n_classes=10, in_channels=1)
    embed = other.genotype()["embed"]
    assert parameters - sum(p.numel() for p in other.parameters()) == 990 * (embed + 1) + 2 * 256 * embed


def _parsed(space: Graph) -> Graph:
    space.compile()
    space.parse()
    return space


@pytest.mark.parametrize("relative", [0, 1])
@pytest.mark.parametrize("pooling", ["mean", "token"])
def test_an_architecture_is_the_slice_of_the_supernet_bit_by_bit(relative: int, pooling: str) -> None:
    torch.manual_seed(0)
    space = _tiny(relative=relative, pooling=pooling)
    images = torch.randn(2, 3, 8, 8)
    for seed in range(6):
        found = space.clone()
        choices = space.decision_space.choices(space.decision_space.random(Random(seed)))
        found.set_spec(choices)
        _parsed(found).eval()
        supernet = _parsed(space.clone()).eval()
        with assigned(index_assignment(supernet, choices)), torch.no_grad():
            assert torch.equal(found(images), supernet(images))
        assert not any(isinstance(module, Elastic) for module in found.modules())
        expected = _parameters(choices, relative, 5, 16, 2, head_dim=4)
        assert sum(parameter.numel() for parameter in found.parameters()) == expected


def _norm(x: Tensor, norm: Any) -> Tensor:
    y = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    return y * norm.weight + norm.bias


def _attend(x: Tensor, layer: Any) -> Tensor:
    """Attend head by head, written out."""
    size = layer.head_dim
    weights, biases = layer.qkv.weight.view(3, -1, size, x.shape[-1]), layer.qkv.bias.view(3, -1, size)
    found = []
    for head in range(layer.num_heads):
        query, key, value = (x @ weights[i, head].T + biases[i, head] for i in range(3))
        found.append((query @ key.transpose(1, 2) / size**0.5).softmax(-1) @ value)
    return torch.cat(found, -1) @ layer.proj.weight.T + layer.proj.bias


def test_a_network_computes_what_a_vision_transformer_does() -> None:
    torch.manual_seed(1)
    space = _tiny().double()
    space.set_spec(choices_of(8, (2, 1), (1.5, 1)))
    _parsed(space).eval()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    stem, blocks, head = space.edges[1, 2].op, space.edges[2, 3].op, space.edges[3, 4].op
    kernel = stem.project.weight.view(-1, 3, 2, 2)
    x = F.conv2d(images, kernel, stem.project.bias, stride=2).flatten(2).transpose(1, 2)
    x = torch.cat((stem.token.weight.expand(2, 1, 8), x), 1) + stem.positions.weight
    assert len(blocks) == 2
    for block in blocks:
        x = x + _attend(_norm(x, block.attention_norm), block.attention)
        first, _, second = block.linear
        hidden = _norm(x, block.linear_norm) @ first.weight.T + first.bias
        x = x + (hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))) @ second.weight.T + second.bias
    expected = _norm(x, head.norm)[:, 1:].mean(1) @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(space(images), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mix", ["weights", "outputs"])
def test_a_mixture_with_all_weight_on_one_path_is_that_path(mix: str) -> None:
    torch.manual_seed(2)
    space = _parsed(set_mixing(_tiny(embed=8).double(), mix)).eval()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    decisions = space.decision_space
    choices = decisions.choices(decisions.random(Random(3)))
    with assigned(index_assignment(space, choices)):
        expected = space(images)
    rows = {}
    for decision in decisions.decisions:
        index = decision.candidates.index(choices.get(decision.name, decision.candidates[0]))
        rows[decision.name] = torch.eye(len(decision.candidates), dtype=torch.float64)[index]
    with assigned(Assignment(rows)):
        torch.testing.assert_close(space(images), expected, rtol=1e-10, atol=1e-12)


def test_what_a_short_network_has_not_is_not_decided() -> None:
    space = _tiny()
    decisions = space.decision_space
    code = decisions.code_of(choices_of(6, (2,), (1,)))
    assert code == (0, 0, 1, 0, -1, -1, -1, -1)
    assert decisions.canonical((0, 0, 1, 0, 1, 1, 0, 0)) == code
    conditions = {decision.name: decision.condition for decision in decisions.decisions}
    assert conditions["block_1/heads"] is None and conditions["block_2/heads"] == ("depth", (1, 2))
    assert conditions["block_3/mlp_ratio"] == ("depth", 2)


def test_recipes_of_others_are_read() -> None:
    recipe = {"hidden_dim": 8, "depth": 2, "num_heads": [2, 1], "mlp_ratio": [1.5, 1.0], "c100_base_acc": 70.1}
    assert read_spec(recipe) == choices_of(8, [2, 1], [1.5, 1.0])
    authors = {"EMBED_DIM": 8, "DEPTH": 2, "NUM_HEADS": [2, 1], "MLP_RATIO": [1.5, 1]}
    searched = {"embed_dim": [8, 8], "layer_num": 2, "num_heads": [2, 1], "mlp_ratio": [1.5, 1]}
    assert read_spec(authors) == read_spec(searched) == read_spec(recipe)
    assert read_spec(str(authors)) == read_spec(authors) and read_spec("{no") == "{no"
    space = _tiny()
    space.set_spec(str(authors))
    found = recipe_of(space.genotype())
    assert found == {"hidden_dim": 8, "depth": 2, "num_heads": [2, 1], "mlp_ratio": [1.5, 1]}
    with pytest.raises(ArchitectureError, match=r"depth 3 has a list of so many num_heads"):
        _tiny().set_spec({**recipe, "depth": 3})
    with pytest.raises(ArchitectureError, match=r"block_1/heads"):
        _tiny().set_spec({**recipe, "num_heads": [7, 1]})


def test_what_is_retrained_begins_anew() -> None:
    torch.manual_seed(4)
    space = _tiny(relative=1)
    space.set_spec(choices_of(8, (2, 1), (1.5, 1)))
    found = _parsed(space)
    network = found.evaluation_network(dropout=0.25)
    before, after = dict(found.named_parameters()), dict(network.named_parameters())
    assert before.keys() == after.keys()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same and all("norm" in name or name.endswith("bias") for name in same)
    assert {module.p for module in network.modules() if isinstance(module, nn.Dropout)} == {0.0, 0.25}
    attentions = [module for module in network.modules() if isinstance(module, SelfAttention)]
    assert [attention.dropout for attention in attentions] == [0.25, 0.25]
    assert set_drop_path_prob(network, 0.5) == 2
    assert all(module.drop_prob == 0.5 for module in network.modules() if isinstance(module, DropPath))
    with pytest.raises(UnsupportedBySpaceError, match=r"evaluation.channels=16"):
        found.evaluation_network(channels=16)
    with pytest.raises(ConfigError, match=r"dropout is a share from 0, less than 1, not 1.5"):
        found.evaluation_network(dropout=1.5)


def test_the_presets_are_those_of_the_paper() -> None:
    assert PRESETS["tiny"][:4] == ((192, 216, 240), (12, 13, 14), (3, 4), (3.5, 4))
    assert PRESETS["small"][:4] == ((320, 384, 448), (12, 13, 14), (5, 6, 7), (3, 3.5, 4))
    assert PRESETS["base"][:4] == ((528, 576, 624), (14, 15, 16), (8, 9, 10), (3, 3.5, 4))


@pytest.mark.parametrize(("arguments", "message"), [
    ({"preset": "tinny"}, r"no preset 'tinny'; did you mean 'tiny'"),
    ({"patch_size": 3}, r"patches of 3 x 3 do not cover images of 8 x 8.*nearest that does is 2"),
    ({"patch_size": 16}, r"patches of 16 x 16 do not cover.*nearest that does is 8"),
    ({"image_size": (8, 16), "relative": 2}, r"relative = 2: .* not of 8 x 16"),
    ({"pooling": "men"}, r"pooling is mean or token, not 'men'; did you mean 'mean'"),
    ({"task": "segmentation"}, r"autoformer has no head for segmentation"),
    ({"dropout": 1.0}, r"dropout is a share"),
    ({"embed": (6, 7)}, r"hidden|out_features = \(embed \* block_1/mlp_ratio\) is 10.5"),
    ({"heads": ()}, r"'heads' has no values"),
    ({"heads": "2"}, r"heads: a number or a list of numbers, not '2'"),
    ({"depth": (1, 1.5)}, r"depth"),
    ({"mix": "weight"}, r"mix is 'weights' or 'outputs', not 'weight'"),
])  # fmt: skip
def test_what_cannot_be_is_said_before_any_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _tiny(**arguments)


def test_images_of_another_size_are_refused() -> None:
    space = _parsed(_tiny())
    with pytest.raises(GraphError, match=r"images of 16 x 8 for a transformer of images of 8 x 8"):
        space(torch.randn(1, 3, 16, 8))
    wide = _parsed(_tiny(image_size=(8, 16), patch_size=4))
    assert wide(torch.randn(2, 3, 8, 16)).shape == (2, 5)


def test_one_value_is_no_decision() -> None:
    space = _tiny(embed=8, depth=2)
    assert [decision.name for decision in space.decision_space.decisions] == [
        *("block_1/heads", "block_1/mlp_ratio", "block_2/heads", "block_2/mlp_ratio")
    ]
