"""The evaluator mepa: surrogate steps and shared weights against an independent copy in float64, and resumption."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from training_runs import config_for

from naslib.build import main
from naslib.config.config import config_to_yaml
from naslib.defaults.trainer import Trainer
from naslib.errors import ConfigError, DataError, TrialStopped
from naslib.evaluators import MepaEvaluator, TrainingOfTrials
from naslib.evaluators.surrogate import SurrogateRates, after_surrogate_steps, mepa_gradient
from naslib.history import Trial, load
from naslib.optimizers import PPOController, RandomNASOptimizer, RegularizedEvolution, ReinforceController
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.assignment import assigned
from naslib.tasks import Classification
from naslib.utils.seeding import set_seed

CODE = (2, 0, 3, 1, 2, 4)
OTHER = (0, 3, 2, 2, 4, 1)


def space() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(n_classes=3, in_channels=1, channels=4, cells_per_stage=1)


def batches(n: int, seed: int, dtype: torch.dtype = torch.float32) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=generator).to(dtype)
    labels = x.mean(dim=(1, 2, 3)).mul(20).clamp(-1, 1).round().long() + 1
    return list(zip(x.split(8), labels.split(8), strict=True))


class Double(Classification):
    """Classification in float64."""

    def to_device(self, *arguments: Any, **keywords: Any) -> Any:
        inputs, labels = super().to_device(*arguments, **keywords)
        return inputs.double(), labels


HOW = TrainingOfTrials(learning_rate=0.1, momentum=0.9, weight_decay=0.01, grad_clip=0.5)


def made(dtype: torch.dtype = torch.float64, **keywords: Any) -> MepaEvaluator:
    torch.manual_seed(0)
    arguments = (space(), batches(48, 0, dtype), batches(24, 1, dtype), HOW)
    task = Double() if dtype is torch.float64 else None
    evaluator = MepaEvaluator(*arguments, task, objectives=["loss", "accuracy"], seed=3, **keywords)
    evaluator.shared.graph.to(dtype)
    return evaluator


class Reference:
    """A copy of the supernet, trained by torch's own optimizers and deep copies of the network."""

    def __init__(self, evaluator: MepaEvaluator) -> None:
        self.graph = copy.deepcopy(evaluator.shared.graph)
        self.evaluator = evaluator
        self.sgd = torch.optim.SGD(self.graph.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
        self.place = 0

    def next(self) -> Any:
        batch = batches(48, 0, torch.float64)[self.place % 6]
        self.place += 1
        return batch

    def loss(self, graph: Any, code: Any, batch: Any) -> torch.Tensor:
        for module in graph.modules():  # batch norm by the batch
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.0
        with assigned(self.evaluator.shared.supernet.assignment_of(code)):
            return F.cross_entropy(graph(batch[0]), batch[1])

    def after(self, code: Any, steps: int, rate: float) -> Any:
        graph = copy.deepcopy(self.graph).train()
        sgd = torch.optim.SGD(graph.parameters(), lr=rate)
        for _ in range(steps):
            sgd.zero_grad()
            self.loss(graph, code, self.next()).backward()
            sgd.step()
        return graph

    def values(self, code: Any, steps: int, rate: float) -> tuple[float, float]:
        graph = self.after(code, steps, rate)
        losses, right, count = [], 0, 0
        with torch.no_grad(), assigned(self.evaluator.shared.supernet.assignment_of(code)):
            for x, y in batches(24, 1, torch.float64):
                logits = graph(x)
                losses.append(F.cross_entropy(logits, y, reduction="sum").item())
                right += int(logits.argmax(1).eq(y).sum())
                count += len(y)
        return sum(losses) / count, 100 * right / count

    def shared_step(self, code: Any, steps: int, rate: float) -> None:
        """First order: the gradient where the surrogate steps end, applied where they began."""
        there = self.after(code, steps, rate)
        there.zero_grad()
        self.loss(there, code, self.next()).backward()
        for own, other in zip(self.graph.parameters(), there.parameters(), strict=True):
            own.grad = None if other.grad is None else other.grad.clone()
        torch.nn.utils.clip_grad_norm_(self.graph.parameters(), 0.5)
        self.sgd.step()


@pytest.mark.parametrize(("steps", "shared"), [(0, 2), (1, 2), (3, 1)])
def test_values_and_shared_weights_are_those_of_an_independent_copy(steps: int, shared: int) -> None:
    evaluator = made(surrogate_steps=steps, surrogate_lr=0.2, shared_steps=shared)
    reference = Reference(evaluator)
    for number, code in enumerate((CODE, OTHER, CODE)):
        found = evaluator.evaluate(Trial(number, code))
        assert found.values == pytest.approx(reference.values(code, steps, 0.2), rel=1e-12)
        assert found.user["shared_steps"] == shared * (number + 1)
        for _ in range(shared):
            reference.shared_step(code, steps, 0.2)
        ours, theirs = dict(evaluator.shared.graph.named_parameters()), dict(reference.graph.named_parameters())
        for name, weight in theirs.items():
            torch.testing.assert_close(ours[name], weight, rtol=1e-11, atol=1e-13)
    running = [b for n, b in evaluator.shared.graph.named_buffers() if n.endswith("running_mean")]
    assert running and all(torch.equal(mean, torch.zeros_like(mean)) for mean in running)


def test_a_surrogate_step_lowers_the_loss_and_leaves_the_shared_weights_alone() -> None:
    evaluator = made(surrogate_steps=4, surrogate_lr=0.2, shared_steps=0, warm_up=3)
    evaluator.evaluate(Trial(0, CODE))
    before = copy.deepcopy(evaluator.shared.graph.state_dict())
    kinds: dict[int, float] = {}
    for steps in (0, 8):
        evaluator.surrogate_steps = steps
        evaluator.shared.train.begin(0)
        kinds[steps] = evaluator.evaluate(Trial(1, CODE)).values[0]
    assert kinds[8] < kinds[0]
    after = evaluator.shared.graph.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert evaluator.warmed == evaluator.steps == 3  # once


def quadratic(weights: Any, batch: Any) -> torch.Tensor:
    """L = a w^2 / 2 + b v w, for which everything is known: dL/dw = a w + b v, dL/dv = b w."""
    a, b = batch
    return a * weights["w"] ** 2 / 2 + b * weights["v"] * weights["w"]


@pytest.mark.parametrize("second_order", [False, True])
def test_the_meta_gradient_of_a_quadratic(second_order: bool) -> None:
    w, v, rate, (a, b), (c, d) = 0.7, -0.3, 0.1, (2.0, 0.5), (3.0, 0.25)
    leaves = {name: torch.tensor(x, dtype=torch.float64, requires_grad=True) for name, x in (("w", w), ("v", v))}
    rates = SurrogateRates(leaves, 1, rate, 0.01, torch.zeros((), dtype=torch.float64))
    gradient, of_rates, loss = mepa_gradient(quadratic, leaves, [(a, b)], (c, d), rates, second_order=second_order)
    gw, gv = a * w + b * v, b * w
    w1, v1 = w - rate * gw, v - rate * gv
    hw, hv = c * w1 + d * v1, d * w1
    assert float(loss) == pytest.approx(c * w1**2 / 2 + d * v1 * w1, rel=1e-14)
    expected = (hw, hv)
    if second_order:  # (I - r H) h, H = [[a, b], [b, 0]]
        expected = (hw - rate * (a * hw + b * hv), hv - rate * b * hw)
    assert [float(g) for g in gradient if g is not None] == pytest.approx(expected, rel=1e-14)
    # dw1/dl = -r g at l = 0
    assert [float(g) for g in of_rates if g is not None] == pytest.approx((-rate * gw * hw, -rate * gv * hv), rel=1e-14)
    rates.learn(of_rates)
    assert float(torch.as_tensor(rates.of("w", 0)).detach()) == pytest.approx(
        rate * np.exp(-0.01 * np.sign(-gw * hw)), rel=1e-6
    )


def test_two_steps_of_a_quadratic() -> None:
    leaves = {name: torch.tensor(x, dtype=torch.float64, requires_grad=True) for name, x in (("w", 1.0), ("v", 2.0))}
    found = after_surrogate_steps(quadratic, leaves, [(1.0, 0.0), (0.0, 1.0)], lambda name, step: 0.5 / (1 + step))
    # w: 1 - .5 * 1 = .5, then .5 - .25 * 2 = 0; v: 2, then 2 - .25 * .5
    assert [float(found[name].detach()) for name in ("w", "v")] == [0.0, 1.875]
    assert float(leaves["w"].detach()) == 1.0


def test_learned_rates_and_second_order_train_otherwise() -> None:
    ends = []
    for keywords in ({}, {"learn_rates": True, "rate_lr": 0.5}, {"second_order": True}):
        evaluator = made(surrogate_lr=0.2, shared_steps=3, **keywords)
        evaluator.evaluate(Trial(0, CODE))
        ends.append(evaluator.evaluate(Trial(1, CODE)).values[0])
        assert bool(evaluator.shared.rates.logs) == ("learn_rates" in keywords)
    assert len(set(ends)) == 3 and evaluator.state_dict()["rates"]["logs"] == {}


def test_uniform_paths_are_those_of_the_seed() -> None:
    evaluator = made(shared_paths="uniform", shared_steps=2)
    paths: list[Any] = []
    step = evaluator.shared_step

    def noted(code: Any) -> None:
        paths.append(code)
        step(code)

    evaluator.shared_step = noted  # type: ignore[method-assign]
    evaluator.evaluate(Trial(0, CODE))
    evaluator.evaluate(Trial(1, CODE))
    assert paths == [evaluator.uniform_path(number) for number in range(4)] and len(set(paths)) == 4


def test_given_up_it_is_as_before_the_trial() -> None:
    whole, stopped = made(surrogate_steps=6, valid_batches=1), made(surrogate_steps=6, valid_batches=1)
    asked = iter([False, False, True])
    with pytest.raises(TrialStopped):
        stopped.evaluate(Trial(0, CODE), lambda: next(asked))
    for number, code in enumerate((CODE, OTHER)):
        assert whole.evaluate(Trial(number, code)).values == stopped.evaluate(Trial(number, code)).values


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"surrogate_steps": -1}, "surrogate_steps must not be negative, got -1"),
        ({"surrogate_lr": 0.0}, "surrogate_lr must be positive, got 0.0"),
        ({"shared_steps": 0}, "nobody trains the shared weights: give `run`, `shared_steps` or `warm_up`"),
        ({"shared_paths": "all"}, "shared_paths must be one of trial, uniform, not 'all'"),
        ({"learn_rates": True, "shared_surrogate_steps": 0}, "rates are learned in steps of the shared weights"),
        ({"valid_batches": 0}, "valid_batches must be at least 1, got 0"),
    ],
)
def test_what_cannot_be(keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        MepaEvaluator(space(), batches(8, 0), batches(8, 1), **keywords)
    with pytest.raises(DataError, match=r"search.train_portion below 1"):
        MepaEvaluator(space(), batches(8, 0), None)


def test_it_begins_with_the_supernet_of_a_run(tmp_path: Path) -> None:
    set_seed(0)
    config = config_for(tmp_path, epochs=1)
    config.optimizer = "random_nas"
    optimizer = RandomNASOptimizer(learning_rate=0.1, num_samples=2, sample_batches=1, num_finalists=1)
    optimizer.adapt_search_space(space(), config.dataset)
    loaders = {"train_loader": batches(48, 0), "valid_loader": batches(24, 1), "test_loader": batches(24, 1)}
    Trainer(optimizer, config, **loaders).search()
    (tmp_path / "config.yaml").write_text(config_to_yaml(config))
    evaluator = MepaEvaluator(space(), batches(48, 0), batches(24, 1), run=str(tmp_path), surrogate_steps=0)
    own, shared = optimizer.graph.state_dict(), evaluator.shared.graph.state_dict()
    assert all(torch.equal(own[name], shared[name]) for name in own)


WORDS = ["dataset=digits", "seed=5", "device=cpu", "threads=1", "search_space=nasbench201"]
WORDS += ["search_space_args={channels: 2, cells_per_stage: 1}", "search.evaluator=mepa", "search.epochs=5"]
WORDS += ["search.batch_size=256", "search.checkpoint_freq=2", "evaluation.epochs=1", "evaluation.batch_size=512"]
WORDS += ["evaluation.mode=retrain", "evaluation.cutout=false"]
WORDS += ["search.evaluator_args={shared_steps: 1, learn_rates: true, shared_paths: uniform, valid_batches: 1}"]


class Killed(BaseException):
    """The process ends here, as far as the search knows."""


@pytest.mark.parametrize(("name", "kill"), [pytest.param("re", 1, marks=pytest.mark.slow), ("reinforce", 3)])
def test_a_killed_search_ends_as_if_it_had_not_been(
    name: str, kill: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first checkpoint, and after one that is older than the last trial."""
    words = [*WORDS, f"optimizer={name}"]
    assert main([*words, f"out_dir={tmp_path / 'whole'}"]) == 0
    evaluate = MepaEvaluator.evaluate

    def dies(self: Any, trial: Trial, *rest: Any) -> Any:
        if trial.number == kill:
            raise Killed
        return evaluate(self, trial, *rest)

    monkeypatch.setattr(MepaEvaluator, "evaluate", dies)
    with pytest.raises(Killed):
        main([*words, f"out_dir={tmp_path / 'killed'}"])
    monkeypatch.undo()
    assert main([*words, f"out_dir={tmp_path / 'killed'}", "--resume"]) == 0
    folders = [next((tmp_path / way).rglob("config.yaml")).parent for way in ("whole", "killed")]
    first, second = (load(folder) for folder in folders)
    assert [(t.code, t.values, t.user) for t in first] == [(t.code, t.values, t.user) for t in second]
    assert len(first) == 5 and len({t.values for t in first}) > 1
    states = [torch.load(f / "search" / "model_final.pth", weights_only=True)["run"]["parts"] for f in folders]
    whole, killed = (state["evaluator"] for state in states)
    assert all(torch.equal(whole["graph"][key], killed["graph"][key]) for key in whole["graph"])
    assert whole["steps"] == killed["steps"] == 5
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    assert summaries[0]["trials"]["best_values"] == summaries[1]["trials"]["best_values"]


def test_it_evaluates_in_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "optimizer=re", "search.workers=2", f"out_dir={tmp_path}"]) != 0
    assert "MepaEvaluator changes with every trial" in capsys.readouterr().err
    assert main([*WORDS, "optimizer=hyperband", f"out_dir={tmp_path}"]) != 0
    assert "the longest training has 0" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [ReinforceController, PPOController, RegularizedEvolution])
def test_it_serves_every_controller(kind: Any) -> None:
    keywords = {"population_size": 3, "sample_size": 2} if kind is RegularizedEvolution else {}
    np.random.seed(0)
    evaluator = made(torch.float32, shared_steps=1)
    optimizer = kind(**keywords)
    optimizer.adapt_search_space(space(), evaluator=evaluator)
    for epoch in range(5):
        optimizer.new_epoch(epoch)
    assert optimizer.record.evaluations == 5 and evaluator.steps == 5
    assert space().codec.random(Random(0)) != optimizer.record.incumbent
