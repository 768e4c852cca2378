"""The evaluator that trains: a function of the trial alone, what it measures, what fails and what is refused."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from small_spaces import ConvSpace
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from naslib.errors import ConfigError, DataError, TrialFailed, TrialStopped, UnsupportedBySpaceError
from naslib.evaluators import TrainEvaluator, TrainingOfTrials
from naslib.history import Trial
from naslib.optimizers import RandomSearch, RegularizedEvolution
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.tasks import Classification, Regression
from naslib.utils.seeding import derive_seed, rng_snapshot, set_seed

CLASSES = 3
CODE = (2, 0, 3, 1, 2, 4)


def space() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(n_classes=CLASSES, in_channels=2, channels=4, cells_per_stage=1)


def images(n: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, 8, 8, generator=generator)
    return TensorDataset(x, x.mean(dim=(2, 3)).sum(dim=1).gt(0).long())


def loaders(shuffle: bool = True, generator: bool = False) -> tuple[DataLoader, DataLoader]:
    own = torch.Generator().manual_seed(5) if generator else None
    return DataLoader(images(48, 0), 16, shuffle=shuffle, generator=own), DataLoader(images(24, 1), 8)


def evaluator(*batches: Any, how: TrainingOfTrials | None = None, **kwargs: Any) -> TrainEvaluator:
    return TrainEvaluator(space(), *(batches or loaders()), how, **{"epochs": 2, "seed": 11, **kwargs})


def trial(number: int = 0, epochs: int = 2, code: tuple[int, ...] = CODE) -> Trial:
    return Trial(number, code, epochs)


@pytest.mark.parametrize("generator", [False, True])
def test_a_trial_is_a_function_of_itself_alone(generator):
    first = evaluator(*loaders(generator=generator))
    alone = first.evaluate(trial(3))
    second = evaluator(*loaders(generator=generator))
    set_seed(123)
    torch.rand(7)
    before = rng_snapshot()
    others = [second.evaluate(trial(number)) for number in (0, 1)]
    again = second.evaluate(trial(3))
    assert again.values == alone.values and again.user == alone.user
    assert len({outcome.user["train_loss"] for outcome in (*others, again)}) == 3  # other seeds, other weights
    after = rng_snapshot()
    assert torch.equal(after["torch"], before["torch"]) and after["python"] == before["python"]
    assert np.array_equal(after["numpy"][1].numpy(), before["numpy"][1].numpy())
    explicit = Trial(77, CODE, 2, seed=derive_seed(11, "trial", 3))
    assert second.evaluate(explicit).values == alone.values


def test_the_values_are_those_of_a_training_written_out():
    """SGD with momentum and a cosine, of the network of the benchmark, in plain torch."""
    how = TrainingOfTrials(learning_rate=0.1, learning_rate_min=0.01, weight_decay=1e-3, grad_clip=0.5)
    train, valid = loaders(shuffle=False)
    found = evaluator(train, valid, how=how, objectives=["loss", "accuracy", "params"], epochs=3).evaluate(
        trial(4, epochs=3)
    )
    fresh = evaluator(train, valid, how=how)
    set_seed(derive_seed(11, "trial", 4))
    network = fresh.build_network(CODE)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=1e-3)
    for epoch in range(3):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 + 0.09 * (1 + math.cos(math.pi * epoch / 3)) / 2
        losses = []
        for x, y in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item() * len(x))
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(x) for x, _ in valid])
    labels = images(24, 1).tensors[1]
    loss, accuracy, params = found.values
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert accuracy == pytest.approx(100 * logits.argmax(1).eq(labels).float().mean().item())
    assert params == pytest.approx(sum(p.numel() for p in network.parameters()) / 1e6)
    assert found.user["train_loss"] == pytest.approx(sum(losses) / 48, rel=1e-5) and found.seconds > 0


def test_the_fidelity_of_the_trial_is_how_long_it_trains():
    once, thrice = (evaluator().evaluate(trial(0, epochs)).user["train_loss"] for epochs in (1, 6))
    assert thrice < once


def test_objectives_follow_the_task():
    assert [o.name for o in evaluator().objectives] == ["accuracy"]
    assert evaluator(objectives=["VAL_LOSS", "Parameters"]).objectives[0].maximize is False
    x = torch.randn(32, 2, 8, 8)
    batches = DataLoader(TensorDataset(x, x.mean(dim=(1, 2, 3))[:, None]), 8)
    regression = NasBench201SearchSpace(n_classes=1, in_channels=2, channels=4, cells_per_stage=1)
    made = TrainEvaluator(regression, batches, batches, task=Regression(), objectives=["flops", "rmse"], epochs=1)
    flops, rmse = made.evaluate(trial(epochs=1)).values
    assert [o.maximize for o in made.objectives] == [False, False] and flops > 0.01 and 0 < rmse < 5
    with pytest.raises(ConfigError, match=r"no 'acuracy' is measured; did you mean 'accuracy'\? \(there are: accuracy"):
        evaluator(objectives=["acuracy"])
    with pytest.raises(ConfigError, match="loss is there twice"):
        evaluator(objectives=["loss", "VAL_LOSS"])


def test_a_diverged_training_is_a_failed_trial():
    with pytest.raises(TrialFailed, match="training loss became NaN or infinite in epoch 0, step"):
        evaluator(how=TrainingOfTrials(learning_rate=1e30, grad_clip=None)).evaluate(trial())


def test_what_does_not_fit_is_an_error_and_no_failed_trial():
    x = torch.randn(32, 2, 8, 8)
    many = DataLoader(TensorDataset(x, torch.full((32,), 7)), 8)
    with pytest.raises(DataError, match=r"do not fit the task Classification.*3 outputs"):
        evaluator(many, many).evaluate(trial())
    with pytest.raises(DataError, match=r"search\.train_portion"):
        evaluator(many, None)
    with pytest.raises(ConfigError, match="epochs must be at least 1"):
        evaluator(epochs=0)
    with pytest.raises(DataError, match="training loader has no batches"):
        evaluator([], loaders()[1]).evaluate(trial())
    with pytest.raises(ConfigError, match=r"network_args do not fit nasbench201.*depth"):
        evaluator(network_args={"depth": 3}).check(CODE)


def test_it_stops_when_it_is_asked_to():
    asked = iter([False, True, True])
    with pytest.raises(TrialStopped):
        evaluator(*loaders(), epochs=50).evaluate(trial(epochs=50), lambda: next(asked))
    made = evaluator()
    assert made.evaluate(trial(1)).values == evaluator().evaluate(trial(1)).values


def test_the_network_has_the_size_of_the_space_or_the_one_that_is_asked_for():
    darts = NasBench301SearchSpace(n_classes=CLASSES, in_channels=2, cells=2, channels=4, nodes=2, image_size=8)
    batches = loaders()
    code = darts.codec.random(Random(0))
    made = TrainEvaluator(darts, *batches, epochs=1)
    network = made.build_network(code)
    assert network(torch.randn(2, 2, 8, 8)).shape == (2, CLASSES)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(norm.affine and norm.track_running_stats for norm in norms)
    larger = TrainEvaluator(darts, *batches, epochs=1, network_args={"cells": 3, "channels": 8, "auxiliary": False})
    sizes = [sum(p.numel() for p in made.build_network(code).parameters()) for made in (made, larger)]
    assert 2 * sizes[0] < sizes[1]
    assert made.evaluate(Trial(0, code, 1)).values[0] >= 0


def test_label_smoothing_is_of_the_training_alone():
    batches = loaders(shuffle=False)
    plain, smooth = (
        evaluator(*batches, how=TrainingOfTrials(learning_rate=1e-9, label_smoothing=share)).evaluate(trial(epochs=1))
        for share in (0.0, 0.3)
    )
    assert plain.user["valid_loss"] == pytest.approx(smooth.user["valid_loss"], rel=1e-4)
    assert plain.user["train_loss"] != pytest.approx(smooth.user["train_loss"], rel=1e-4)


def test_a_task_of_its_own_is_told_the_batches():
    class Halves(Classification):
        def to_device(self, batch, device, memory_format=torch.preserve_format):
            return super().to_device((batch["x"], batch["y"]), device, memory_format)

    batches = [{"x": x, "y": y} for x, y in loaders()[1]]
    assert TrainEvaluator(space(), batches, batches, task=Halves(), epochs=1).evaluate(trial(epochs=1)).values[0] > 0


@pytest.mark.parametrize("kind", [RandomSearch, RegularizedEvolution])
def test_any_graph_with_decisions_is_a_space(kind):
    graph = ConvSpace()
    optimizer = kind(**({"population_size": 2, "sample_size": 2} if kind is RegularizedEvolution else {}))
    np.random.seed(0)
    optimizer.adapt_search_space(graph, "x", evaluator=TrainEvaluator(graph, *loaders(), epochs=1))
    for epoch in range(4):
        optimizer.new_epoch(epoch)
    final = optimizer.get_final_architecture()
    assert final(torch.randn(2, 2, 8, 8)).shape == (2, 3) and optimizer.record.evaluations == 4
    with pytest.raises(UnsupportedBySpaceError, match="no codec and no decision"):
        kind(evaluator="train").adapt_search_space(Graph("plain"), "x")
