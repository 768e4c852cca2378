"""What somebody froze or loaded in a search space stays as it was built, with every method."""

from __future__ import annotations

import logging

import pytest
import torch
from small_searches import METHODS
from small_spaces import ConvSpace, images, mlp_space
from torch import nn
from torch.nn import functional as F
from training_runs import WIDTH, load, small_trainer

from naslib.defaults.trainer import Trainer
from naslib.errors import ConfigError
from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, OneShotOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core import Graph, pretrained
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.primitives import ReLUConvBN
from naslib.training.export import NetworkRecord, load_network

# One step of each is enough: no Hessian, no other stages
KEYWORDS = {"robust_darts": {"parts": {"early_stopping": {"interval": 9}}}}
NARROWS = {"pc_darts"}  # give candidates fewer channels, which a frozen one cannot have


def _stem() -> nn.Module:
    """Return what stands for a backbone from elsewhere: weights and statistics that no draw would give."""
    stem = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.ReLU())
    with torch.no_grad():
        stem[0].weight.copy_(torch.linspace(-0.3, 0.3, stem[0].weight.numel()).view_as(stem[0].weight))
        stem[0].bias.fill_(0.125)
        stem[1].weight.fill_(1.5)
        stem[1].running_mean.fill_(0.25)
    return stem


def _space(freezes: bool = True, candidates: bool = False) -> Graph:
    space = ConvSpace()
    space.edges[1, 2].set("op", _stem().requires_grad_(not freezes))
    if candidates:
        for value, (_, op) in enumerate(_convolutions(space)):
            op.requires_grad_(False)
            nn.init.constant_(next(op.parameters()), 0.01 * (value + 1))
    return space


def _convolutions(graph: Graph) -> list[tuple[str, nn.Module]]:
    """Return the 3x3 convolutions on edges under search, by their place; other graphs have some of them."""
    found = []
    for number, nested in enumerate(g for g in graph.nested_graphs() if g.name == "cell"):
        for u, v, data in nested.edges(data=True):
            ops = data.op if isinstance(data.op, list) else [data.op]
            modules = [m for op in ops for m in op.modules() if isinstance(m, ReLUConvBN)]
            found += [(f"{number} {u} {v}", m) for m in modules if next(m.parameters()).shape[-1] == 3]
    return found


def _batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    return images(size=6, seed=seed, dtype=torch.float32)


def _searched(name: str, space: Graph, **keywords) -> OneShotOptimizer:
    torch.manual_seed(0)
    keywords = {**KEYWORDS.get(name, {}), **keywords}
    optimizer = OPTIMIZERS.get(name)(epochs=2, learning_rate=0.05, arch_learning_rate=0.05, **keywords)
    optimizer.adapt_search_space(space, "digits")
    optimizer.before_training()
    optimizer.graph.train()
    for epoch in range(2):
        optimizer.new_epoch(epoch)
        optimizer.step(_batch(epoch), _batch(50 + epoch))
    if "perturbation_selection" in optimizer.parts:
        optimizer.select_architecture([_batch(90)], [_batch(91)])
    return optimizer


def _is_given(stem: nn.Module, frozen: bool = True) -> None:
    given = _stem()
    for (name, parameter), value in zip(stem.named_parameters(), given.parameters(), strict=True):
        assert torch.equal(parameter, value), name
        assert parameter.requires_grad is not frozen, name
    assert [m.affine for m in batch_norm_modules(stem)] == [True, False]


@pytest.mark.parametrize("name", METHODS)
def test_what_is_frozen_stays_as_it_is(name: str):
    space = _space(candidates=name not in NARROWS)
    given = {place: next(op.parameters()).detach().clone() for place, op in _convolutions(space)}
    optimizer = _searched(name, space)
    assert any(p.requires_grad for p in optimizer.graph.parameters())
    final = optimizer.get_final_architecture()
    network = final.evaluation_network()
    descent = torch.optim.SGD([*network.parameters()], lr=0.1, weight_decay=0.1)
    F.cross_entropy(network(_batch(0)[0]), _batch(0)[1]).backward()
    descent.step()
    for graph in (space, optimizer.graph, final, network):
        _is_given(graph.edges[1, 2].op)
        assert all(p.requires_grad for p in graph.edges[4, 5].op.parameters())
        if name not in NARROWS:
            for place, op in _convolutions(graph):
                weight = next(op.parameters())
                assert not weight.requires_grad and torch.equal(weight, given[place]), place
    assert len(_convolutions(optimizer.graph)) == 6 or name in NARROWS | {"p_darts"}


def test_frozen_statistics_are_not_reset_or_taken():
    for batch_norm in ("running", "batch"):
        space = _space()
        optimizer = _searched("darts", space, batch_norm=batch_norm)
        searched = optimizer.graph.edges[1, 2].op[1]
        assert searched.num_batches_tracked == 2  # as many as there were training steps
        x = torch.stack([_batch(index)[0] for index in range(2)])
        given, mean = space.edges[1, 2].op, torch.full((4,), 0.25)
        for inputs in x:  # the running mean of its own formula
            mean = 0.9 * mean + 0.1 * given[0](inputs).mean(dim=(0, 2, 3)).detach()
        torch.testing.assert_close(searched.running_mean, mean, rtol=1e-5, atol=1e-6)
        network = optimizer.get_final_architecture().evaluation_network()
        assert torch.equal(network.edges[1, 2].op[1].running_mean, searched.running_mean)
        others = [m for m in batch_norm_modules(network) if m is not network.edges[1, 2].op[1]]
        assert all(m.affine for m in others if m is not network.edges[1, 2].op[2])


@pytest.mark.parametrize("name", sorted(NARROWS))
def test_a_frozen_candidate_that_would_be_narrowed_is_one_clear_error(name: str):
    with pytest.raises(ConfigError, match="ReLUConvBN has frozen weights, so it cannot be given"):
        _searched(name, _space(candidates=True))


def test_the_gradients_of_second_order_are_those_without_the_frozen_weights():
    """A frozen linear layer before the network is a change of the data."""
    torch.manual_seed(0)
    first = nn.Linear(WIDTH, WIDTH).double().requires_grad_(False)
    found = []
    for frozen in (True, False):
        torch.manual_seed(1)
        space = mlp_space(WIDTH).double()
        space.edges[1, 2].set("op", first if frozen else nn.Identity())
        optimizer = DARTSOptimizer(unrolled=True, hessian="exact", learning_rate=0.1, weight_decay=0.0)
        torch.manual_seed(2)
        optimizer.adapt_search_space(space)
        generator = torch.Generator().manual_seed(3)
        x, y = torch.randn(8, WIDTH, generator=generator).double(), torch.arange(8) % 3
        x = x if frozen else first(x)
        optimizer.graph.double()
        found.append(optimizer.architecture_gradient((x, y), (x, y))[0])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_pretrained_weights_are_trained_by_the_search_and_come_back_for_the_retraining():
    space = _space(freezes=False)
    pretrained(space.edges[1, 2].op)
    optimizer = _searched("darts", space)
    stem = optimizer.graph.edges[1, 2].op
    assert not torch.equal(stem[0].weight, _stem()[0].weight)
    final = optimizer.get_final_architecture()
    assert torch.equal(final.edges[1, 2].op[0].weight, stem[0].weight)
    network = final.evaluation_network().edges[1, 2].op
    for (name, value), given in zip(network[:2].state_dict().items(), _stem()[:2].state_dict().values(), strict=True):
        assert torch.equal(value, given), name
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert [m.affine for m in batch_norm_modules(network)] == [True, True]


def test_weights_that_nobody_spoke_for_are_drawn_anew():
    final = _searched("darts", _space(freezes=False)).get_final_architecture()
    stem = final.evaluation_network().edges[1, 2].op
    assert not torch.equal(stem[0].weight, final.edges[1, 2].op[0].weight)
    assert not torch.equal(stem[0].weight, _stem()[0].weight) and float(stem[1].running_mean.abs().sum()) == 0.0


def test_attention_is_drawn_anew_too():
    graph = Graph("g")
    graph.add_nodes_from([1, 2])
    graph.add_edge(1, 2, op=nn.TransformerEncoderLayer(8, 2, 16))
    graph.parse()
    fresh = graph.reset_weights()
    same = [n for n, p in fresh.named_parameters() if p.dim() > 1 and torch.equal(p, graph.get_parameter(n))]
    assert same == []


@pytest.mark.parametrize("make", [
    lambda: NasBench201SearchSpace(n_classes=3, in_channels=2, channels=4, cells_per_stage=1),
    lambda: NasBench301SearchSpace(n_classes=3, in_channels=2, channels=4, cells=3, nodes=2),
])  # fmt: skip
def test_spaces_that_build_their_network_anew_keep_it_or_say_so(make, caplog):
    space = make()
    op = space.edges[1, 2].op
    op.requires_grad_(False)
    before = [p.detach().clone() for p in op.parameters()]
    final = _searched("darts", space).get_final_architecture()
    sizes = {"channels": 4, "cells": 3} if isinstance(space, NasBench301SearchSpace) else {}
    with caplog.at_level(logging.WARNING, "naslib"):
        network = final.evaluation_network(**sizes)
    found = list(network.edges[1, 2].op.parameters())
    kept = len(found) == len(before) and all(map(torch.equal, found, before))
    assert kept or "has no such place; it begins with fresh weights" in caplog.text
    assert all(p.requires_grad is not kept for p in found)


class StemSpace(ConvSpace):
    """A space with a stem that is frozen by whoever uses it, for the record of a run."""

    def __init__(self) -> None:
        super().__init__()
        self.edges[1, 2].set("op", _stem())


def test_a_run_and_its_network_have_it(tmp_path):
    batches = [_batch(index) for index in range(3)]
    own = dict.fromkeys(("train_loader", "valid_loader", "test_loader"), batches)

    config = small_trainer(tmp_path, epochs=1).config
    space = StemSpace()
    space.edges[1, 2].op.requires_grad_(False)
    optimizer = DARTSOptimizer(learning_rate=0.1)
    optimizer.adapt_search_space(space)
    trainer = Trainer(optimizer, config, **own)
    trainer.search()
    trainer.evaluate()
    state = load(tmp_path / "eval" / "model_final.pth")["model"]
    for name, value in _stem().named_parameters():
        key = next(key for key in state if key.endswith(f"(1,2).{name}"))
        assert torch.equal(state[key], value)
    record = NetworkRecord.read(tmp_path / "eval")
    assert len(record.architecture["frozen"]) == 4
    network = load_network(tmp_path).network
    _is_given(network.edges[1, 2].op)
    assert sum(p.requires_grad for p in network.parameters()) == len(list(network.parameters())) - 4
    assert trainer.evaluate(retrain=False) >= 0
    _is_given(load_network(tmp_path).network.edges[1, 2].op)
