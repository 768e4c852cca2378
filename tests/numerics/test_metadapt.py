"""MetAdapt: controllers and mixtures against float64 by hand; when they are trained; runs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_files import data_file
from torch import Tensor, nn
from training_runs import differences
from training_runs import load as load_checkpoint

from naslib.build import schema_extensions
from naslib.cli.builders import build_trainer
from naslib.config.loader import load_config
from naslib.data import load_data
from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.errors import ConfigError
from naslib.optimizers import MetAdaptOptimizer
from naslib.optimizers.oneshot.methods.metadapt.controller import Adaptation, AdaptController, Switch, adapted
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.search_spaces import NasBench201SearchSpace, ResNetDagSearchSpace
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.tasks import Classification, FewShot
from naslib.tasks.few_shot import supporting
from naslib.training.space_record import describe_architecture, rebuild_architecture
from naslib.utils.seeding import set_seed

EPISODES = {"ways": 2, "shots": 2, "queries": 3, "episodes": 3, "test_episodes": 6}


class Scaled(nn.Module):
    """Multiply by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Return the product; of any shape."""
        return x * self.factor


def controller(n_ops: int = 3) -> AdaptController:
    torch.manual_seed(0)
    found = AdaptController(4, n_ops, hidden=5).double()
    with torch.no_grad():
        found.out.weight.normal_()
        found.out.bias.normal_()
    return found


def by_hand(found: AdaptController, support: np.ndarray) -> np.ndarray:
    weights = {name: p.detach().numpy() for name, p in found.named_parameters()}
    hidden = []
    for example in support:
        pooled = np.array([channel.sum() / channel.size for channel in example])
        hidden.append(np.maximum(weights["into.weight"] @ pooled + weights["into.bias"], 0))
    return weights["out.weight"] @ (np.sum(hidden, axis=0) / len(hidden)) + weights["out.bias"]


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def test_a_controller_is_its_equation_whatever_the_order_and_number_of_examples():
    found, support = controller(), torch.randn(6, 4, 3, 2, dtype=torch.float64)
    delta = found(support).detach()
    np.testing.assert_allclose(delta.numpy(), by_hand(found, support.numpy()), atol=1e-12)
    torch.testing.assert_close(found(support[[3, 1, 5, 0, 2, 4]]), found(support))
    torch.testing.assert_close(found(torch.cat([support, support])), found(support))
    assert not bool(AdaptController(4, 3)(support.float()).any())  # nothing changes at first


def test_adapted_weights_are_the_softmax_of_the_sum():
    alpha, delta = torch.randn(2, 5, dtype=torch.float64) * 4
    expected = softmax((alpha + delta).numpy())
    np.testing.assert_allclose(adapted(torch.softmax(alpha, 0), delta).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(adapted(torch.softmax(alpha, 0), delta + 900).numpy(), expected, atol=1e-12)


def test_an_edge_mixes_by_what_its_support_set_says():
    op, switch, found = RelaxedMixedOp([Scaled(k) for k in (1.0, -2.0, 5.0)]), Switch(), controller()
    op.adaptation = Adaptation(found, switch)
    alpha = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)
    x = torch.randn(7, 4, 2, 2, dtype=torch.float64)
    plain = float(softmax(alpha.numpy()) @ np.array([1.0, -2.0, 5.0]))
    factor = float(softmax(alpha.numpy() + by_hand(found, x[:3].numpy())) @ np.array([1.0, -2.0, 5.0]))
    weights = torch.softmax(alpha, 0)
    with torch.no_grad(), supporting(3):
        torch.testing.assert_close(op.apply_weights(x, weights), plain * x)  # switched off
        switch.on = True
        torch.testing.assert_close(op.apply_weights(x, weights), factor * x)
        changed = x.clone()
        changed[5] += 1.0  # a query
        torch.testing.assert_close(op.apply_weights(changed, weights), factor * changed)
    with torch.no_grad():
        torch.testing.assert_close(op.apply_weights(x, weights), plain * x)  # no support set


def search(**keywords: Any) -> tuple[MetAdaptOptimizer, list[Any]]:
    """Return a search and two episodes."""
    data = load_data("few_shot", **EPISODES)
    loaders = build_search_loaders(data, batch_size=1, train_portion=0.5, seed=0)
    assert loaders.valid is not None
    task = FewShot(output_size=6)
    torch.manual_seed(0)
    optimizer = MetAdaptOptimizer(epochs=4, learning_rate=0.05, arch_learning_rate=0.05, task=task, **keywords)
    optimizer.adapt_search_space(ResNetDagSearchSpace(6, 1, channels=2, blocks=1, nodes=2))
    optimizer.before_training()
    optimizer.graph.train()
    batches = [next(iter(loader.batches(0))) for loader in (loaders.train, loaders.valid)]
    return optimizer, [task.to_device(batch, torch.device("cpu")) for batch in batches]


def test_controllers_are_trained_from_their_epoch_on_with_alpha_and_weights_are_not_theirs():
    optimizer, batches = search(adapt_from=0.5)
    own = dict(optimizer.controllers.named_parameters())
    assert len(optimizer.controllers) == 3 and len(optimizer.architecture_parameters) == 3
    assert not {id(p) for p in own.values()} & {id(p) for p in optimizer.weights}
    start = {name: value.clone() for name, value in own.items()}
    for epoch in (0, 1):
        optimizer.new_epoch(epoch)
        optimizer.step(*batches)
    assert not optimizer.adapts and all(torch.equal(value, start[name]) for name, value in own.items())
    optimizer.new_epoch(2)
    assert optimizer.adapts and len(optimizer.architecture_parameters) == 3 + 4 * 3
    optimizer.step(*batches)
    moved = {name for name, value in own.items() if not torch.equal(value, start[name])}
    # W2 is 0 at first, so that W1 has no gradient yet
    assert moved == {f"{edge}.out.{kind}" for edge in range(3) for kind in ("weight", "bias")}
    optimizer.step(*batches)
    assert any("into" in name and not torch.equal(value, start[name]) for name, value in own.items())
    rates = [group["lr"] for group in optimizer.arch_optimizer.param_groups]
    assert rates == [0.05, 0.001]
    for key, value in {"arch_learning_rate": 0.2, "controller_learning_rate": 0.3, "arch_weight_decay": 0.4}.items():
        optimizer.follow(key, value)
    groups = optimizer.arch_optimizer.param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.2, 0.4), (0.3, 0.0)]


@pytest.mark.parametrize("part", ["partial_channels", "auxiliary_skip", "edge_normalization", "drop_path"])
def test_controllers_see_all_channels_of_an_edge_whatever_surrounds_the_mixture(part: str):
    keywords: dict[str, Any] = {"partial_channels": {"k": 2}, "drop_path": {"drop_prob": 0.5}}.get(part, {})
    optimizer, batches = search(adapt_from=0.0, parts={part: keywords})
    assert [found.channels for found in optimizer.controllers] == [2, 2, 2]
    start = [value.clone() for value in optimizer.controllers.parameters()]
    optimizer.new_epoch(0)
    for _ in range(3):
        optimizer.step(*batches)
    moved = [not torch.equal(value, was) for value, was in zip(optimizer.controllers.parameters(), start, strict=True)]
    assert len(moved) == 12 and all(moved)


def test_the_gradient_of_a_controller_is_that_by_differences():
    optimizer, (_, batch) = search(adapt_from=0.0)
    optimizer.graph.double().eval()
    optimizer.controllers.double()
    for alpha in optimizer.architectural_weights:
        alpha.data = alpha.data.double()
    optimizer.new_epoch(0)
    with torch.no_grad():
        for parameter in optimizer.controllers.parameters():
            parameter.normal_(0, 0.5)
    batch = (batch[0].double(), batch[1])
    gradient, _, _ = optimizer.architecture_gradient(batch, batch)
    checked = 0
    for parameter, found in zip(optimizer.architecture_parameters, gradient, strict=True):
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.view(-1)[0] += step
                values.append(float(optimizer.forward_loss(batch)[1]))
                parameter.view(-1)[0] -= step
        assert float(found.view(-1)[0]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-7)
        checked += 1
    assert checked == 15


def config_for(out: Path, **changes: Any) -> Any:
    raw: dict[str, Any] = {
        "dataset": "few_shot", "dataset_args": EPISODES, "task_args": {"output_size": 6}, "optimizer": "metadapt",
        "search_space": "resnet_dag", "search_space_args": {"channels": 2, "blocks": 1, "nodes": 2},
        "out_dir": str(out), "device": "cpu", "threads": 1, "seed": 2,
        "search": {"epochs": 3, "checkpoint_freq": 1, "adapt_from": 0.4}, "evaluation": {"epochs": 1, "cutout": False},
    }  # fmt: skip
    return load_config({**raw, **changes}, extensions=schema_extensions())


class Killed(Exception):
    """What ends a search as if it were killed."""


def searched(config: Any, kill_after: int | None = None) -> Any:
    for attempt in range(1 if kill_after is None else 2):
        set_seed(config.seed)
        trainer = build_trainer(config)
        if attempt:
            config.set_hidden("resume", True)

        def end(epoch: int, dies: bool = kill_after is not None and not attempt) -> None:
            if dies and epoch == kill_after:
                raise Killed

        try:
            trainer.search(after_epoch=end)
        except Killed:
            assert not attempt
    return trainer


def test_a_killed_search_ends_as_if_nothing_had_happened_and_its_network_is_tested(tmp_path: Path):
    whole = searched(config_for(tmp_path / "whole"))
    killed = searched(config_for(tmp_path / "killed"), kill_after=1)
    states = [load_checkpoint(t.folder / "search" / "model_final.pth") for t in (whole, killed)]
    assert "controllers" in states[0] and [d for d in differences(*states) if "_time" not in d] == []
    accuracies = [trainer.evaluate() for trainer in (whole, killed)]
    assert accuracies[0] == accuracies[1] == whole.summary["score"]
    assert whole.summary["evaluation_mode"] == "supernet" and whole.summary["test_scores"]["interval"] > 0

    optimizer, task = whole.optimizer, FewShot(output_size=6)
    optimizer.graph.eval()
    tests = build_eval_loaders(load_data("few_shot", **EPISODES), batch_size=1, seed=2).test
    shares = []
    with torch.no_grad():
        for batch in tests:
            with supporting(4):
                embeddings = optimizer.graph(batch[0]).numpy()
            means = [embeddings[2 * c : 2 * c + 2].mean(axis=0) for c in range(2)]
            distances = np.array([[((e - mean) ** 2).sum() for mean in means] for e in embeddings[4:]])
            shares.append(float((distances.argmin(axis=1) == batch[1][4:].numpy()).mean()))
    assert optimizer.adapts and len(shares) == 6
    assert accuracies[0] == pytest.approx(100 * np.mean(shares), abs=1e-9)
    assert task.output_size == 6


def test_the_discrete_block_is_retrained_where_that_is_asked_for(tmp_path: Path):
    trainer = searched(config_for(tmp_path, evaluation={"epochs": 1, "mode": "retrain", "cutout": False}))
    trainer.evaluate()
    assert trainer.summary["evaluation_mode"] == "retrain"
    assert trainer.summary["score_name"] == "accuracy" and 0 <= trainer.summary["score"] <= 100


def test_what_is_refused(tmp_path: Path):
    ordinary = {"dataset": "digits", "dataset_args": {}, "task_args": {}}
    with pytest.raises(ConfigError, match="task Classification has none: take dataset: few_shot"):
        build_trainer(config_for(tmp_path, **ordinary))
    with pytest.raises(ConfigError, match="checkpoint_cells a cell is computed again"):
        build_trainer(config_for(tmp_path, search={"epochs": 1, "checkpoint_cells": True}))
    with pytest.raises(ConfigError, match="its controllers have an output for every operation"):
        build_trainer(config_for(tmp_path, search={"epochs": 1, "parts": {"progressive_shrinking": {}}}))
    with pytest.raises(ConfigError, match="the Hessian would be one of other parameters"):
        build_trainer(config_for(tmp_path, search={"epochs": 1, "parts": {"early_stopping": {}}}))
    MetAdaptOptimizer(adapt_from=1, parts={"early_stopping": {}}).check_combination()
    with pytest.raises(ConfigError, match="with adapt_from: 1 there are no controllers"):
        MetAdaptOptimizer(
            adapt_from=1, controller_learning_rate={"schedule": "step", "from": 0.1, "factor": 0.5, "size": 1}
        )
    assert not list(tmp_path.iterdir())
    optimizer = MetAdaptOptimizer()
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1))
    optimizer.check_task(FewShot())
    with pytest.raises(ConfigError, match="adapts to the examples of an episode"):
        optimizer.check_task(Classification())
    for keywords, said in (
        ({"adapt_from": 1.5}, "share of the epochs"),
        ({"controller_hidden": 0}, "must be positive"),
        ({"controller_learning_rate": 0.0}, "must be positive"),
        ({"adapt_form": 0.5}, "did you mean 'adapt_from'"),
    ):
        with pytest.raises(ConfigError, match=said):
            MetAdaptOptimizer(**keywords)


def test_other_methods_and_trials_serve_the_task(tmp_path: Path):
    search = {"epochs": 2, "evaluator": "train", "evaluator_args": {"epochs": 1}}
    trainer = searched(config_for(tmp_path, optimizer="random_search", search=search))
    assert trainer.summary["trials"]["count"] == 2 and trainer.summary["trials"]["objectives"] == ["accuracy"]
    assert not trainer.optimizer.is_outcome


def test_episodes_of_sequences_and_what_has_no_head_for_them(tmp_path: Path):
    path = data_file("fsdd_mulaw.npz")
    if not path.is_file():
        pytest.skip("fsdd_mulaw.npz is not there")
    episodes = {**EPISODES, "of": "spoken_digits", "of_args": {"seconds": 0.2}, "episodes": 2, "test_episodes": 2}
    given = {"data": str(path.parent), "dataset_args": episodes, "search": {"epochs": 1}}
    space = {"search_space": "simple_sequence", "search_space_args": {"channels": 4, "cells": 1}}
    trainer = searched(config_for(tmp_path, **given, **space))
    assert trainer.optimizer.space.task == "sequence_classification" and trainer.optimizer.space.n_classes == 6
    assert 0 <= trainer.evaluate() <= 100
    with pytest.raises(ConfigError, match="has no head for sequence_classification on sequences"):
        build_trainer(config_for(tmp_path / "images", **given))


def test_a_block_has_channels() -> None:
    with pytest.raises(ConfigError, match=r"at least 1 of channels and blocks, .*got 0, 2, 3, 1"):
        ResNetDagSearchSpace(channels=0)
    with pytest.raises(ConfigError, match="halves the image 4 times, and images are 8x8"):
        ResNetDagSearchSpace(channels=2, blocks=4, halvings=4, image_size=8)


def test_a_found_block_is_rebuilt_with_as_many_nodes() -> None:
    optimizer, _ = search()
    found = optimizer.get_final_architecture()
    again = rebuild_architecture(json.loads(json.dumps(describe_architecture(found))))
    again.load_state_dict(found.state_dict())
    assert constructor_arguments(again)["nodes"] == 2
