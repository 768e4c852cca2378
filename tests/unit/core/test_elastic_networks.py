"""Networks of elastic layers: extraction, sizes, statistics, and what torch does with them."""

from __future__ import annotations

import copy
import itertools
import threading

import pytest
import torch
from torch import nn

from naslib.errors import DataError, DecisionError, UnsupportedBySpaceError
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import (
    Elastic,
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticEmbedding,
    ElasticLayerNorm,
    ElasticLinear,
    ElasticMultiheadAttention,
    ElasticParameter,
    ElasticSequential,
    Value,
    count_parameters,
    elastic_layers,
    expected_parameters,
    extract,
    index_assignment,
    recalibrate,
    set_mixing,
    values_in,
)
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph

RATIO, KERNEL = Value((2, 3), "ratio"), Value((3, 5), "kernel")
WIDTH, DEPTH = Value((8, 12), "width"), Value((1, 2), "depth")


class Block(nn.Module):
    """An inverted bottleneck: expand, depthwise, project, around it the identity."""

    def __init__(self) -> None:
        super().__init__()
        hidden = WIDTH * RATIO
        self.expand = nn.Sequential(ElasticConv2d(WIDTH, hidden, 1, bias=False), ElasticBatchNorm2d(hidden), nn.ReLU())
        depthwise = ElasticConv2d(hidden, hidden, KERNEL, groups=hidden, bias=False, kernel_transform=True)
        self.depthwise = nn.Sequential(depthwise, ElasticBatchNorm2d(hidden), nn.ReLU())
        self.project = nn.Sequential(ElasticConv2d(hidden, WIDTH, 1, bias=False), ElasticBatchNorm2d(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block."""
        return x + self.project(self.depthwise(self.expand(x)))


def mobile_net() -> nn.Sequential:
    """Return a small chain of such blocks with elastic depth."""
    torch.manual_seed(0)
    stem = nn.Sequential(ElasticConv2d(3, WIDTH, 3, stride=2), ElasticBatchNorm2d(WIDTH))
    return nn.Sequential(
        stem,
        ElasticSequential([Block(), Block()], DEPTH),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        ElasticLinear(WIDTH, 4),
    )


class Transformer(nn.Module):
    """A causal language model with tied embeddings."""

    def __init__(self) -> None:
        super().__init__()
        heads, ratio = Value((2, 4), "heads"), Value((2, 3), "ratio")
        self.embedding = ElasticEmbedding(11, WIDTH)
        self.positions = ElasticParameter(6, WIDTH)
        self.norm, self.norm_2, self.last = (ElasticLayerNorm(WIDTH) for _ in range(3))
        self.attention = ElasticMultiheadAttention(WIDTH, heads, 3, causal=True)
        self.mlp = nn.Sequential(ElasticLinear(WIDTH, WIDTH * ratio), nn.GELU(), ElasticLinear(WIDTH * ratio, WIDTH))
        self.head = ElasticLinear(WIDTH, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next word."""
        x = self.embedding(words) + self.positions()
        x = x + self.attention(self.norm(x))
        x = x + self.mlp(self.norm_2(x))
        return self.head(self.last(x))


def _images(seed: int = 3) -> torch.Tensor:
    return torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(seed))


def _grid(network: nn.Module) -> list[Assignment]:
    values = values_in(network)
    grid = itertools.product(*(range(len(value.values)) for value in values))
    return [Assignment({v.label: i for v, i in zip(values, indices, strict=True)}) for indices in grid]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_the_extracted_network_gives_the_same_bits(layout, training: bool):
    network = mobile_net()
    network(_images())  # statistics that are not 0 and 1
    network = network.to(memory_format=layout)
    x = _images(4).to(memory_format=layout)
    assert len(_grid(network)) == 16
    for assignment in _grid(network):
        supernet = copy.deepcopy(network).train(training)
        plain = extract(supernet, assignment)
        assert not elastic_layers(plain) and plain.training == training
        with assigned(assignment):
            expected = supernet(x)
            expected.sum().backward()
        y = plain(x)
        y.sum().backward()
        assert torch.equal(y, expected)
        assert count_parameters(supernet, assignment) == sum(p.numel() for p in plain.parameters())
        shape = (3, 9, 9)
        with assigned(assignment):
            assert count_macs(supernet, shape) == count_macs(plain, shape)
        convolutions = [m for m in plain.modules() if isinstance(m, nn.Conv2d)]
        assert torch.equal(convolutions[0].weight.grad, _first_grad(supernet, convolutions[0]))


def _first_grad(supernet: nn.Module, plain: nn.Conv2d) -> torch.Tensor:
    layer = next(m for m in supernet.modules() if isinstance(m, ElasticConv2d))
    return layer.weight.grad[: plain.out_channels]


def test_transformers_and_tied_weights():
    torch.manual_seed(0)
    network = Transformer()
    words = torch.randint(11, (3, 6), generator=torch.Generator().manual_seed(0))
    assert [value.label for value in values_in(network)] == ["width", "heads", "ratio"]
    for assignment in _grid(network):
        plain = extract(network, assignment)
        with assigned(assignment):
            assert torch.equal(plain(words), network(words))
        assert plain.head.weight is plain.embedding.weight
        assert count_parameters(network, assignment) == sum(p.numel() for p in plain.parameters())
        assert isinstance(plain.mlp[0], nn.Linear) and not isinstance(plain.mlp[0], Elastic)
    rows = {value.label: torch.tensor([0.25, 0.75], requires_grad=True) for value in values_in(network)}
    for mix in ("weights", "outputs"):
        with assigned(Assignment(rows)):
            logits = set_mixing(network, mix)(words)
        grads = torch.autograd.grad(logits.square().sum(), list(rows.values()))
        assert all(bool(grad.abs().min() > 0) for grad in grads)
        # a word does not see those after it
        with assigned(Assignment(rows)):
            other = network(torch.cat([words[:, :3], words[:, 3:].flip(1)], 1))
        torch.testing.assert_close(other[:, :3], logits[:, :3])


def test_sizes_of_the_largest_the_chosen_and_the_expected():
    network = mobile_net()
    labels = [value.label for value in values_in(network)]
    logits = [torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True) for _ in labels]
    rows = {label: logit.softmax(0) for label, logit in zip(labels, logits, strict=True)}
    expected = torch.zeros((), dtype=torch.float64)
    for assignment in _grid(network):
        weight = torch.ones((), dtype=torch.float64)
        for label in labels:
            weight = weight * rows[label][assignment[label]]
        expected = expected + weight * count_parameters(network, assignment)
    found = expected_parameters(network, Assignment(rows))
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(total, logits, retain_graph=True) for total in (found, expected)]
    torch.testing.assert_close(*gradients)
    largest = index_assignment(network, {})
    transforms = sum(p.numel() for name, p in network.named_parameters() if "transforms" in name)
    assert count_parameters(network) == count_parameters(network, largest)
    assert count_parameters(network) == sum(p.numel() for p in network.parameters()) - transforms
    with assigned(largest):
        assert count_macs(network, (3, 9, 9)) == count_macs(extract(network), (3, 9, 9))


def test_recalibration_estimates_the_statistics_of_what_runs():
    network = mobile_net()
    small = index_assignment(network, {"width": 8, "ratio": 2, "kernel": 3, "depth": 1})
    batches = [(_images(seed), torch.zeros(4)) for seed in range(3)]
    for x, _ in batches:  # the largest is trained
        network(x)
    stem = network[0][1]
    before = stem.running_mean.clone()
    assert recalibrate(network, batches, small) is network and network.training
    outputs = [
        torch.nn.functional.conv2d(x, network[0][0].weight[:8], network[0][0].bias[:8], 2, 1) for x, _ in batches
    ]
    torch.testing.assert_close(stem.running_mean[:8], torch.stack([y.mean((0, 2, 3)) for y in outputs]).mean(0))
    torch.testing.assert_close(stem.running_var[:8], torch.stack([y.var((0, 2, 3)) for y in outputs]).mean(0))
    assert not torch.equal(stem.running_mean, before) and stem.momentum == 0.1
    plain = extract(network, small).eval()
    network.eval()
    with assigned(small):
        assert torch.equal(network(_images(9)), plain(_images(9)))
    with pytest.raises(DataError, match="there are none"):
        recalibrate(network, [], small)


def test_statistics_of_a_slice_leave_the_others_alone():
    norm = ElasticBatchNorm2d(Value((2, 4), "width"))
    x = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    with assigned(Assignment({"width": 0})):
        norm(x)
    torch.testing.assert_close(norm.running_mean[:2], 0.1 * x.mean((0, 2, 3)))
    assert torch.equal(norm.running_mean[2:], torch.zeros(2)) and torch.equal(norm.running_var[2:], torch.ones(2))
    assert int(norm.num_batches_tracked) == 1


def test_a_graph_is_extracted_parsed_or_not():
    graph = Graph(name="net")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edge(1, 2, op=ElasticConv2d(3, WIDTH, KERNEL))
    inner = Graph(name="inner")
    inner.add_edge(1, 2, op=ElasticBatchNorm2d(WIDTH))
    inner.add_nodes_from([1, 2])
    graph.add_edge(2, 3, op=inner)
    graph.add_edge(3, 4, op=nn.Sequential(nn.ReLU(), ElasticConv2d(WIDTH, 5, 1)))
    assert {value.label for value in values_in(graph)} == {"kernel", "width"}
    for assignment in _grid(graph):
        unparsed = extract(graph, assignment)
        unparsed.parse()
        parsed = graph.clone()
        parsed.parse()
        plain = extract(parsed, assignment)
        with assigned(assignment):
            expected = parsed.eval()(_images())
        assert torch.equal(plain.eval()(_images()), expected) and torch.equal(unparsed.eval()(_images()), expected)
        assert not elastic_layers(plain) and not elastic_layers(unparsed)
    assert len(elastic_layers(graph)) == 3


def test_two_threads_run_two_sizes():
    network = mobile_net().eval()
    small, large = index_assignment(network, {"width": 8}), index_assignment(network, {"width": 12})
    found: dict[str, torch.Tensor] = {}
    gate = threading.Barrier(2)

    def run(name: str, assignment: Assignment) -> None:
        with assigned(assignment), torch.no_grad():
            gate.wait()
            for _ in range(5):
                found[name] = network(_images())

    threads = [threading.Thread(target=run, args=item) for item in (("small", small), ("large", large))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, assignment in (("small", small), ("large", large)):
        assert torch.equal(found[name], extract(network, assignment)(_images()))


def test_frozen_weights_stay_frozen():
    network = mobile_net()
    network[0].requires_grad_(False)
    plain = extract(network)
    assert not any(p.requires_grad for p in plain[0].parameters()) and all(
        p.requires_grad for p in plain[1].parameters()
    )


def test_export_of_the_extracted_network():
    network = mobile_net().eval()
    plain = extract(network, index_assignment(network, {"width": 8, "kernel": 3}))
    exported = torch.export.export(plain, (_images(),))
    torch.testing.assert_close(exported.module()(_images()), plain(_images()))


@pytest.mark.parametrize("kind", ["none", "index", pytest.param("weights", marks=pytest.mark.slow)])
def test_compiled_networks_read_the_assignment(kind: str):
    network = mobile_net().eval()
    rows = {value.label: torch.tensor([0.25, 0.75]) for value in values_in(network)}
    assignments = {
        "none": [None, None],
        "index": _grid(network)[:3],
        "weights": [Assignment(rows), Assignment({label: row.flip(0) for label, row in rows.items()})],
    }
    torch._dynamo.reset()
    compiled = torch.compile(network, backend="eager")
    for assignment in assignments[kind]:
        with assigned(assignment), torch.no_grad():
            torch.testing.assert_close(compiled(_images()), network(_images()))


def _conditional_space() -> Graph:
    """Return a graph with sizes that are always there, in one candidate, in two, and in blocks of a chain."""
    always, inner, both, depth, last = (
        Value((2, 4), "always"),
        Value((1, 3), "inner"),
        Value((3, 5), "both"),
        Value((1, 2, 3), "depth"),
        Value((1, 3), "last"),
    )
    graph = Graph(name="net")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edge(1, 2, op=ElasticConv2d(3, always, 1))
    candidates = [
        ElasticConv2d(always, always, inner),
        nn.Sequential(nn.ReLU(), ElasticConv2d(always, always, both)),
        ElasticConv2d(always, always, both),
        nn.Identity(),
    ]
    graph.add_edge(2, 3, op=candidates)
    blocks = [ElasticConv2d(always, always, 1), ElasticConv2d(always, always, 3), ElasticConv2d(always, always, last)]
    graph.add_edge(3, 4, op=ElasticSequential(blocks, depth))
    return graph


def test_value_decisions_are_stated_with_what_they_depend_on():
    space = _conditional_space().decision_space
    assert [(d.name, d.kind, d.candidates, d.condition) for d in space.decisions[1:]] == [
        ("always", "value", (2, 4), None),
        ("inner", "value", (1, 3), ("net/2-3", 0)),
        ("both", "value", (3, 5), ("net/2-3", (1, 2))),
        ("depth", "value", (1, 2, 3), None),
        ("last", "value", (1, 3), ("depth", 2)),
    ]
    assert space.size() == 2 * (2 + 2 + 2 + 1) * (1 + 1 + 2)
    assert len(set(space.iterate())) == space.size()


def test_spaces_of_sizes_alone_and_clashing_names():
    graph = Graph(name="net")
    graph.add_edge(1, 2, op=mobile_net())
    assert graph.decision_space.size() == 16
    assert "kernel" in graph.decision_space.describe()
    clash = Graph(name="net")
    clash.add_edge(1, 2, op=[ElasticConv2d(3, Value((1, 2), "net/1-2"), 1), nn.Identity()])
    with pytest.raises(DecisionError, match="'net/1-2' is the name of an operation on an edge"):
        clash.decision_space  # noqa: B018
    empty = Graph(name="net")
    empty.add_edge(1, 2, op=nn.Identity())
    with pytest.raises(UnsupportedBySpaceError, match="no elastic layer: there is nothing to decide"):
        empty.decision_space  # noqa: B018
