"""A language model on a text that goes on: search and retraining, interrupted and taken up again bit by bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from naslib.config.loader import load_config
from naslib.data.image_data import ImageData, ImageSet
from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.data.sequences import sequence_info
from naslib.defaults.trainer import Trainer
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import DartsRNNSearchSpace
from naslib.tasks import LanguageModelling
from naslib.utils.seeding import set_seed
from tests.support.training_runs import differences, load

WORDS, BPTT, ROWS = 6, 4, 3
STEPS = 4  # of an epoch of the search


def text() -> ImageData:
    def part(windows: int, seed: int) -> ImageSet:
        tokens = torch.randint(WORDS, (windows * BPTT + 1,), generator=torch.Generator().manual_seed(seed))
        return ImageSet(tokens[:-1].view(windows, BPTT), tokens[1:].view(windows, BPTT))

    train = part(2 * STEPS * ROWS, 0)
    info = sequence_info("text", train.images, [str(n) for n in range(WORDS)], "language_modelling", WORDS)
    return ImageData(dataclasses.replace(info, goes_on=True, varies=True), train, part(2 * ROWS, 1))


class TextTrainer(Trainer):
    @staticmethod
    def build_search_dataloaders(config: Any) -> Any:
        return build_search_loaders(text(), batch_size=ROWS, train_portion=0.5, seed=config.seed)

    @staticmethod
    def build_eval_dataloaders(config: Any) -> Any:
        return build_eval_loaders(text(), batch_size=ROWS, train_portion=0.75, seed=config.seed)


def trainer(folder: Path, seed: int = 0, **evaluation: Any) -> TextTrainer:
    set_seed(seed)
    config = load_config(
        {
            "dataset": "wikitext2",
            "device": "cpu",
            "task_args": {"activation": 0.1, "slowness": 0.1},
            "search": {"epochs": 2, "checkpoint_steps": 1, "momentum": 0.0, "unrolled": True, "grad_clip": 0.25},
            "evaluation": {
                "epochs": 6, "grad_clip": 0.25, "learning_rate": 5.0,
                "momentum": 0.0, "train_portion": 0.75, "averaging": 1,
                "scheduler": "constant", "network_args": {"hidden": 4}, **evaluation,
            },
        }
    )  # fmt: skip
    config.save = str(folder)
    optimizer = DARTSOptimizer(
        learning_rate=2.0, momentum=0.0, arch_learning_rate=0.1, unrolled=True, grad_clip=0.25, clip_virtual_step=True
    )
    optimizer.adapt_search_space(DartsRNNSearchSpace(WORDS, hidden=4, nodes=2))
    return TextTrainer(optimizer, config)


class _Stop(Exception):
    """The run is to end here."""


def stopped(method: Any, owner: Any, name: str, after: int) -> Any:
    """Return a method that raises after so many calls."""
    calls = []

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(calls) == after:
            raise _Stop
        calls.append(None)
        return method(*args, **kwargs)

    setattr(owner, name, call)
    return call


def test_a_search_is_taken_up_in_the_middle_of_the_text(tmp_path: Path) -> None:
    trainer(tmp_path / "a").search()
    expected = load(tmp_path / "a" / "search" / "model_final.pth")
    memory = expected["run"]["parts"]["train_batches"]["memory"]["recurrent"]
    assert memory.shape == (ROWS, 4) and bool(memory.abs().sum())
    for stop in (2, STEPS, STEPS + 3):
        broken = trainer(tmp_path / str(stop))
        stopped(broken.optimizer.step, broken.optimizer, "step", stop)
        with pytest.raises(_Stop):
            broken.search()
        path = (
            tmp_path / str(stop) / "search" / (tmp_path / str(stop) / "search" / "last_checkpoint").read_text().strip()
        )
        saved = load(path)["run"]["parts"]
        assert saved["valid_batches"]["memory"]["recurrent"].shape == (ROWS, 4)
        trainer(tmp_path / str(stop), seed=9).search(resume_from=str(path))
        assert differences(expected, load(tmp_path / str(stop) / "search" / "model_final.pth")) == []


def test_the_text_before_changes_what_a_network_says(tmp_path: Path) -> None:
    made = trainer(tmp_path)
    task, graph = LanguageModelling(), made.optimizer.graph.eval()
    loader = made.build_search_dataloaders(made.config)[0]
    first, second = [task.to_device(batch, torch.device("cpu")) for batch in loader.batches(0)][:2]
    task.forward(graph, first)
    alone = task.forward(graph, second)
    task.remember(second, first.memory)
    assert not torch.allclose(task.forward(graph, second), alone)


def test_a_retraining_averages_and_is_taken_up_again(tmp_path: Path) -> None:
    def architecture() -> DartsRNNSearchSpace:
        space = DartsRNNSearchSpace(WORDS, hidden=4, nodes=2)
        space.set_spec([("tanh", 0), ("relu", 1)])
        return space

    whole = trainer(tmp_path / "a")
    perplexity = whole.evaluate(best_arch=architecture())
    history = json.loads((tmp_path / "a" / "eval" / "history.json").read_text())
    assert history[0]["averaged"] is False and history[-1]["averaged"] is True
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["score_name"] == "perplexity" and summary["score"] == perplexity
    expected = load(tmp_path / "a" / "eval" / "model_final.pth")
    average = expected["run"]["parts"]["average"]
    assert average["is_on"] and average["steps"] > 2
    for mean in average["mean"]:
        assert any(torch.equal(mean, tensor) for tensor in expected["model"].values())
    first = trainer(tmp_path / "b", epochs=4)
    first.evaluate(best_arch=architecture())
    again = trainer(tmp_path / "b", seed=4)
    again.evaluate(best_arch=architecture(), resume_from=str(tmp_path / "b" / "eval" / "model_final.pth"))
    found = load(tmp_path / "b" / "eval" / "model_final.pth")
    assert differences(expected, found) == []
