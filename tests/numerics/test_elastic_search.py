"""Searches over sizes and entangled candidates: every weight-sharing method finds one, or says why it cannot."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
from elastic_space import ElasticSpace
from small_searches import METHODS, batches, chosen, ready
from small_spaces import images
from torch import nn

from naslib.errors import ArchitectureError, ConfigError, SpecAlreadySetError
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.sizes import SizeLimits, mac_table, parameter_table
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.assignment import current
from naslib.search_spaces.core.batch_norm import evaluation_mode
from naslib.search_spaces.core.elastic import (
    ElasticConv2d,
    ElasticLinear,
    Value,
    elastic_layers,
    entangle,
    entangle_edges,
)
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity, ReLUConvBN
from naslib.training.space_record import describe_architecture, rebuild_architecture

# Why a method cannot decide sizes, or take candidates that share weights
REFUSED = {
    "darts_pt": "a size that is taken out leaves its weights to the others",
    "gsparsity": "its groups are the weights of an operation",
    "oles": "an operation that stopped would stop those that share its weights",
    "one_shot": "it sums what a node gets, and a network has one of the sizes",
    "p_darts": "the values of a size share one weight and cannot leave the supernet",
    "te_nas": "it removes operations from edges one by one",
    "pc_darts": "partial_channels, edge .*: EntangledCandidate cannot be built with 1/4 of its channels",
}
# What these add to a mixture during the search is in no discrete architecture
ADDS_TO_EDGES = ("darts_minus",)


def _made(name: str, space: Graph | None = None, **keys: Any) -> Any:
    return ready(name, space if space is not None else ElasticSpace(), **keys)


def test_all_methods_are_here():
    assert len(METHODS) >= 31 and set(REFUSED) <= set(METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_searches_sizes_or_says_why_not(name: str):
    if name in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[name]):
            _made(name)
        return
    optimizer = _made(name)
    train, valid = batches()
    for _ in range(2):
        *_, loss, _ = optimizer.step(train, valid)
    assert bool(loss.isfinite())
    optimizer.select_architecture([train], [valid])
    discrete = optimizer.get_final_architecture()
    assert not elastic_layers(discrete) and discrete.value_edges is None
    assert {"width", "depth"} <= set(discrete.chosen_values) <= {"width", "depth", "last_kernel", "cell_kernel"}
    assert ("last_kernel" in discrete.chosen_values) == (discrete.chosen_values["depth"] == 2)
    assert ("cell_kernel" in discrete.chosen_values) == (discrete.genotype()["cell/1-2"] == "Sequential")
    if name not in ADDS_TO_EDGES:
        x = valid[0]
        for training in (False, True):
            with torch.no_grad(), optimizer.assigned(chosen(optimizer, discrete)):
                expected = optimizer.graph.train(training)(x)
            with torch.no_grad():
                assert torch.equal(discrete.train(training)(x), expected)
    for parameter in discrete.evaluation_network().parameters():
        assert parameter.requires_grad


@pytest.mark.parametrize("mix", ["weights", "outputs"])
def test_the_architecture_gradient_of_sizes_is_the_derivative(mix: str):
    """Central differences of the validation loss by every entry of every parameter."""
    optimizer = _made("darts", ElasticSpace(mix=mix), dtype=torch.float64)
    train, valid = batches(torch.float64)
    with torch.no_grad():
        for index, alpha in enumerate(optimizer.architectural_weights):
            alpha.copy_(torch.linspace(-0.4, 0.5, alpha.numel(), dtype=torch.float64) + 0.1 * index)
    for norm in optimizer._norms:
        norm.momentum = 0.0  # the same function each time
    gradient, _, _ = optimizer.architecture_gradient(train, valid)
    assert len(gradient) == 5
    for alpha, found in zip(optimizer.architectural_weights, gradient, strict=True):
        for entry in range(alpha.numel()):
            losses = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    alpha[entry] += step
                    losses.append(optimizer.forward_loss(valid)[1])
                    alpha[entry] -= step
            difference = (losses[0] - losses[1]) / 2e-5
            torch.testing.assert_close(found[entry], difference, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("hessian", ["exact", "finite_difference"])
def test_second_order_runs_through_sizes(hessian: str):
    optimizer = _made("darts", dtype=torch.float64, unrolled=True, hessian=hessian)
    train, valid = batches(torch.float64)
    gradient, _, _ = optimizer.architecture_gradient(train, valid)
    assert all(bool(g.isfinite().all()) and bool(g.abs().sum() > 0) for g in gradient)


def test_exact_and_finite_products_agree():
    """On a smooth network, with the mixture of sizes in both layers."""
    train, valid = batches(torch.float64)
    found = []
    width = Value((2, 4, 3), "width")
    for hessian in ("exact", "finite_difference"):
        torch.manual_seed(2)
        graph = Graph(name="net")
        layers = [nn.Flatten(), ElasticLinear(128, width), nn.Tanh(), ElasticLinear(width, 3)]
        graph.add_edge(1, 2, op=nn.Sequential(*layers))
        optimizer = _made("darts", graph, dtype=torch.float64, unrolled=True, hessian=hessian, learning_rate=0.5)
        found.append(optimizer.architecture_gradient(train, valid)[0])
    for exact, finite in zip(*found, strict=True):
        torch.testing.assert_close(exact, finite, rtol=1e-3, atol=1e-6)


def test_a_draw_runs_its_slice_in_the_weight_step():
    """In the weight step of GDAS the convolutions are called with the widths that were drawn."""
    optimizer = _made("gdas")
    train, _ = batches()
    stem = optimizer.graph.edges[1, 2].op.get_embedded_ops()[0]
    assert isinstance(stem, ElasticConv2d)
    widths: list[tuple[int, int]] = []

    def note(layer: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        draw = current()["width"]
        widths.append((output.shape[1], (2, 4)[draw.on[0]]))

    stem.register_forward_hook(note)
    for _ in range(8):
        optimizer.weight_step(train)
    assert all(found == drawn for found, drawn in widths) and {drawn for _, drawn in widths} == {2, 4}


def test_sizes_of_paths_are_those_of_the_networks():
    """Parameters and multiply-accumulates of all 36 architectures, with entangled candidates and sizes."""
    optimizer = _made("spos")
    train, valid = batches()
    parameters, macs = parameter_table(optimizer), mac_table(optimizer, (2, 8, 8))
    codes = list(optimizer.paths.iterate())
    assert len(codes) == 36
    sizes = []
    for code in codes:
        discrete = optimizer.discretized(optimizer.scores_of(code))
        assert parameters.of(code) == sum(p.numel() for p in discrete.parameters()) / 1e6
        assert macs.of(code) == pytest.approx(count_macs(discrete, (2, 8, 8)), abs=1e-12)
        sizes.append(parameters.of(code))
    bound = sorted(sizes)[10]
    limits = SizeLimits(optimizer, bound, None, PathScorer(optimizer, [train], [valid]))
    assert [limits.allow(code) for code in codes] == [size <= bound for size in sizes]


def test_sizes_of_entangled_paths_add_up():
    space = _entangled_space()
    optimizer = _made("spos", space)
    table = parameter_table(optimizer)
    for code in optimizer.paths.iterate():
        discrete = optimizer.discretized(optimizer.scores_of(code))
        assert table.of(code) == pytest.approx(sum(p.numel() for p in discrete.parameters()) / 1e6, abs=1e-12)


def _entangled_space() -> Graph:
    graph = Graph(name="net", scope="all")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edge(1, 2, op=nn.Conv2d(2, 4, 3, padding=1))
    convolutions = [ReLUConvBN(4, 4, size, affine=False) for size in (1, 3)]
    graph.add_edge(2, 3, op=[*entangle(convolutions), Identity()])
    graph.add_edge(3, 4, op=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
    return graph


def test_a_network_whose_sizes_alone_are_searched():
    width = Value((4, 8), "width")
    graph = Graph(name="net")
    graph.add_nodes_from([1, 2])
    layers = [nn.Flatten(), ElasticLinear(128, width), nn.ReLU(), ElasticLinear(width, 3)]
    graph.add_edge(1, 2, op=nn.Sequential(*layers))
    for name in ("darts", "gdas", "spos", "drnas"):
        optimizer = _made(name, graph)
        train, valid = batches()
        optimizer.step(train, valid)
        optimizer.select_architecture([train], [valid])
        found = optimizer.get_final_architecture()
        linear = [m for m in found.modules() if isinstance(m, nn.Linear)]
        assert linear[0].out_features == linear[1].in_features == found.chosen_values["width"]
    assert graph.value_edges is None and len(elastic_layers(graph)) == 2  # the space is as it was


def test_what_a_part_cannot_do_with_sizes_is_said_before_the_search():
    with pytest.raises(ConfigError, match=r"latency does not fit sizes of elastic layers: .* not of sizes"):
        table = {"entries": {"Identity": 1.0}, "fixed": 2.0, "input_shape": [2, 8, 8]}
        _made("darts", parts={"latency": {"table": table, "reference": 2.0}})


def test_a_chain_of_mixtures_by_hand():
    """Two linear layers: the output of the first and the weight of the second are mixed by the same weights."""
    first = Value((2, 4, 3), "first")
    graph = Graph(name="net")
    graph.add_nodes_from([1, 2])
    network = nn.Sequential(nn.Flatten(), ElasticLinear(128, first, bias=False), ElasticLinear(first, 3), nn.Identity())
    graph.add_edge(1, 2, op=network)
    optimizer = _made("darts", graph, dtype=torch.float64)
    (x, _), _ = batches(torch.float64)
    with torch.no_grad():
        optimizer.architectural_weights[0].copy_(torch.tensor([0.3, -0.5, 1.0]))
    p = optimizer.architectural_weights[0].softmax(0)
    a, b = (layer for layer in optimizer.graph.modules() if isinstance(layer, ElasticLinear))
    hidden = sum(p[i] * nn.functional.pad(x.flatten(1) @ a.weight[:n].t(), (0, 4 - n)) for i, n in enumerate((2, 4, 3)))
    weight = sum(p[i] * nn.functional.pad(b.weight[:, :n], (0, 4 - n)) for i, n in enumerate((2, 4, 3)))
    torch.testing.assert_close(optimizer.graph(x), hidden @ weight.t() + b.bias)


def test_architectures_are_set_sampled_and_read_again():
    """The code, the candidates by name, and what an optimizer finds are one architecture, with the same network."""
    space = ElasticSpace()
    decisions = space.decision_space
    for code in decisions.iterate():
        graph = space.clone()
        graph.set_spec(code)
        assert graph.get_code() == code and graph.genotype() == decisions.choices(code)
        assert not elastic_layers(graph) and graph(images(dtype=torch.float32)[0]).shape == (6, 3)
        again = space.clone()
        again.set_spec(graph.genotype())
        assert again.get_code() == code
        with pytest.raises(SpecAlreadySetError):
            graph.set_spec(code)
    sampled = ElasticSpace()
    sampled.sample_random_architecture(rng=3)
    assert decisions.is_valid(sampled.get_code())
    child = ElasticSpace()
    child.mutate(sampled, rng=4)
    assert child.get_code() in decisions.neighbours(sampled.get_code())
    optimizer = _made("spos")
    found = optimizer.discretized(optimizer.scores_of(optimizer.paths.random(random.Random(0))))
    rebuilt = ElasticSpace()
    rebuilt.set_spec(found.genotype())
    assert rebuilt.get_code() == found.get_code()
    rebuilt.parse()
    assert [p.shape for p in rebuilt.parameters()] == [p.shape for p in found.parameters()]
    rebuilt.load_state_dict(found.state_dict())


def test_an_entangled_space_with_a_codec_sets_slices():
    space = entangle_edges(NasBench201SearchSpace(), [ReLUConvBN])
    space.set_spec((3, 3, 2, 1, 0, 3))
    assert not elastic_layers(space)
    ops = space.get_all_edge_data("op", "all", private_edge_data=True)
    found = [type(op).__name__ for op in ops]
    assert found.count("ReLUConvBN") == 4 * 15 and "EntangledCandidate" not in found


def test_a_bare_forward_draws_sizes_in_training_and_takes_the_likeliest_in_evaluation():
    optimizer = _made("gdas")
    with torch.no_grad():
        optimizer.architectural_weights[1].copy_(torch.tensor([0.0, 3.0]))
    x = images(dtype=torch.float32)[0]
    widths: list[int] = []
    stem = optimizer.graph.edges[1, 2].op.get_embedded_ops()[0]
    stem.register_forward_hook(lambda layer, inputs, output: widths.append(output.shape[1]))
    with torch.no_grad():
        optimizer.graph.eval()
        for _ in range(6):
            optimizer.graph(x)
        assert widths == [4] * 6
        with evaluation_mode(optimizer.graph.train()):
            optimizer.graph(x)
        for _ in range(60):
            optimizer.graph(x)
    assert widths[6] == 4 and set(widths[7:]) == {2, 4}


def test_a_trained_network_is_rebuilt_from_its_record():
    """The record of a run folder holds the sizes; the weights of the network fit what is rebuilt from it."""
    optimizer = _made("spos")
    for seed in range(4):
        discrete = optimizer.discretized(optimizer.scores_of(optimizer.paths.random(random.Random(seed))))
        record = json.loads(json.dumps(describe_architecture(discrete)))
        rebuilt = rebuild_architecture(record)
        rebuilt.load_state_dict(discrete.state_dict())
        x = images(dtype=torch.float32)[0]
        assert torch.equal(rebuilt.eval()(x), discrete.eval()(x))
    with pytest.raises(ArchitectureError, match="there is no size width = 5: the space was changed since"):
        rebuild_architecture({**record, "values": {"width": 5}})
