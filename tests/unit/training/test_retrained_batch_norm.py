"""A retrained network's output for an image does not depend on who shares the batch, however the search normalised."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from small_spaces import mlp_space
from torch import nn
from training_runs import loaders, small_trainer

from naslib import load_network
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.batch_norm import batch_norm_modules, use_batch_statistics, use_running_statistics
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.simple_sequence.graph import SimpleSequenceSearchSpace
from naslib.training.export import NetworkRecord
from naslib.training.space_record import _put_ops
from tests.support.zoo import ENTRIES

SPACES = {
    "simple_cell": (lambda: SimpleCellSearchSpace(n_classes=3, channels=4), {}),
    "nasbench201": (lambda: NasBench201SearchSpace(n_classes=3, channels=4, cells_per_stage=1), {}),
    "nasbench301": (
        lambda: NasBench301SearchSpace(n_classes=3, channels=4, cells=2, nodes=2),
        {"cells": 2, "channels": 4},
    ),
    "graph": (lambda: mlp_space(batch_norm=True), {}),
}


def test_a_space_of_sequences_has_a_norm_per_position():
    """What it gives for one sequence cannot depend on the others."""
    assert not list(batch_norm_modules(SimpleSequenceSearchSpace()))


@pytest.mark.slow
@pytest.mark.parametrize("space", sorted(ENTRIES))
def test_an_input_of_any_space_is_judged_by_itself(space: str):
    entry = ENTRIES[space]
    torch.manual_seed(0)
    graph = entry.make(n_classes=3, in_channels=3)
    graph.sample_random_architecture(rng=1)
    graph.compile()
    graph.parse()
    network = graph.evaluation_network(**entry.evaluation)
    network.train()
    for seed in range(3):
        with torch.no_grad():
            network(entry.batch(6, seed, in_channels=3, n_classes=3)[0])
    network.eval()
    inputs, others = (entry.batch(6, seed, in_channels=3, n_classes=3)[0] for seed in (4, 5))
    found = []
    for batch in (inputs, torch.cat([inputs[:1], others[1:]])):
        torch.manual_seed(1)  # of operations that draw noise
        with torch.no_grad():
            found.append(network(batch))
    together, apart = found
    torch.testing.assert_close(together[:1], apart[:1])


def _searched(space: str, batch_norm: str) -> Graph:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(epochs=1, batch_norm=batch_norm)
    optimizer.adapt_search_space(SPACES[space][0](), "digits")
    optimizer.before_training()
    for index in (0, 2):
        optimizer.step(_batch(space, index), _batch(space, index + 1))
    return optimizer.get_final_architecture()


def _batch(space: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (6, 6) if space == "graph" else (6, 3, 8, 8)
    return torch.randn(shape, generator=generator) + seed, torch.randint(3, (6,), generator=generator)


def _depends_on_neighbours(network: nn.Module, space: str) -> bool:
    network.eval()
    images, others = _batch(space, 7)[0], _batch(space, 11)[0]
    with torch.no_grad():
        alone = network(images)[:1]
        accompanied = network(torch.cat([images[:1], others]))[:1]
    network.train()
    return not torch.allclose(alone, accompanied, rtol=1e-4, atol=1e-5)


def _trained(network: nn.Module, space: str) -> nn.Module:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for index in range(3):
        images, labels = _batch(space, index)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network.train()(images), labels).backward()
        optimizer.step()
    return network


@pytest.mark.parametrize("batch_norm", ["running", "batch"])
@pytest.mark.parametrize("space", SPACES)
def test_an_image_is_classified_by_itself(space: str, batch_norm: str):
    architecture = _searched(space, batch_norm)
    network = architecture.evaluation_network(**SPACES[space][1])
    norms = batch_norm_modules(network)
    assert norms and all(norm.track_running_stats for norm in norms)
    assert not _depends_on_neighbours(_trained(network, space), space)
    assert all(norm.num_batches_tracked == 3 for norm in norms)
    assert any(norm.running_mean.abs().sum() > 0 for norm in norms)


@pytest.mark.parametrize("space", SPACES)
def test_the_search_size_network_keeps_batch_statistics_while_it_inherits_weights(space: str):
    architecture = _searched(space, "batch")
    norms = batch_norm_modules(architecture)
    assert norms and not any(norm.track_running_stats for norm in norms)
    assert _depends_on_neighbours(architecture, space)
    fresh = architecture.reset_weights()
    assert not _depends_on_neighbours(_trained(fresh, space), space)
    assert not any(norm.track_running_stats for norm in norms)  # a clone was reset


@pytest.mark.parametrize("space", SPACES)
def test_both_searches_lead_to_the_same_network(space: str):
    built = [_searched(space, kind).evaluation_network(**SPACES[space][1]) for kind in ("running", "batch")]
    names = [{name: value.shape for name, value in network.state_dict().items()} for network in built]
    assert list(names[0].items()) == list(names[1].items())


def test_a_supernet_that_is_reset_goes_on_normalising_by_the_batch():
    optimizer = DARTSOptimizer(epochs=1, batch_norm="batch")
    optimizer.adapt_search_space(mlp_space(batch_norm=True))
    assert not any(norm.track_running_stats for norm in batch_norm_modules(optimizer.graph.reset_weights()))


def test_statistics_are_given_back_to_those_alone_that_lost_them():
    def make() -> nn.Module:
        return nn.Sequential(
            nn.BatchNorm2d(2), nn.BatchNorm2d(2, track_running_stats=False), nn.BatchNorm1d(3, affine=False)
        ).double()

    network = use_batch_statistics(make())
    copies = [network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    for one in copies:
        use_running_statistics(use_running_statistics(one))
        expected = make().state_dict()
        assert list(one.state_dict()) == list(expected)
        for name, value in one.state_dict().items():
            assert value.dtype == expected[name].dtype and torch.equal(value, expected[name]), name
        assert [norm.track_running_stats for norm in one] == [True, False, True]


@pytest.mark.parametrize("batch_norm", ["running", "batch"])
@pytest.mark.parametrize("retrain", [True, False])
def test_what_is_loaded_is_what_was_tested(tmp_path, monkeypatch, batch_norm: str, retrain: bool):
    monkeypatch.setattr("naslib.training.export.rebuild_architecture", _rebuild_mlp)  # a function, no class
    optimizer = DARTSOptimizer(learning_rate=0.1, arch_learning_rate=0.05, batch_norm=batch_norm)
    trainer = small_trainer(tmp_path, optimizer=optimizer, own=loaders(shuffle=False), epochs=1, checkpoint_freq=1)
    trainer.search()
    trainer.evaluate(retrain=retrain)
    network = load_network(tmp_path)
    images = _batch("graph", 3)[0]
    with torch.no_grad():
        assert torch.equal(network(images), trainer.result.network.eval()(images))
    follows_batch = batch_norm == "batch" and not retrain
    assert _depends_on_neighbours(network, "graph") == follows_batch


def _rebuild_mlp(record: dict) -> Graph:
    space = mlp_space(batch_norm=True)
    space.compile()
    _put_ops(space, record["ops"])
    space.parse()
    return space


def test_the_record_is_read_back_as_text(tmp_path):
    record = NetworkRecord({"class": "a:b", "arguments": {}}, None, batch_norm="batch")
    record.write(tmp_path)
    assert NetworkRecord.read(tmp_path) == record
