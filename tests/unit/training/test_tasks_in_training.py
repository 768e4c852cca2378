"""One task through a run: one loss, its scores in every record, and one error before the first step."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_spaces import mlp_space
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from training_runs import CLASSES, WIDTH, config_for, differences, load

from naslib import load_network
from naslib.defaults.trainer import Trainer
from naslib.errors import ConfigError, DataError, SearchInterrupted
from naslib.optimizers import DARTSOptimizer, ENASOptimizer, OneShotNASOptimizer
from naslib.search_spaces import SimpleCellSearchSpace
from naslib.tasks import Classification, Measured, Regression, Score, Task
from naslib.training.checkpoint import get_last_checkpoint
from naslib.training.schedule import Schedule
from naslib.utils.seeding import set_seed

N = 24


class Missed(Task):
    """A score that is to be small: how often the class is missed."""

    scores = (Score("missed", False, "%"),)

    def __init__(self) -> None:
        super().__init__("CrossEntropyLoss")

    def statistics(self, outputs: Tensor, batch: Any) -> Any:
        return 100.0 * (outputs.argmax(1) != batch[1]).sum(), len(outputs)

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1)


class Counting(DARTSOptimizer):
    """Count steps."""

    steps = 0

    def step(self, *batches: Any) -> Any:
        self.steps += 1
        return super().step(*batches)


def _inputs(seed: int = 0) -> Tensor:
    return torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(seed))


def _labels(seed: int = 0) -> Tensor:
    return _inputs(seed)[:, :CLASSES].argmax(1)


def _values(seed: int = 0) -> Tensor:
    return _inputs(seed) @ torch.linspace(-1, 1, WIDTH)[:, None]


def _cut(*fields: Any, size: int = 8) -> list[tuple[Any, ...]]:
    return [tuple(field[start : start + size] for field in fields) for start in range(0, N, size)]


def _trainer(
    folder: Path, train: Any, valid: Any = None, test: Any = None, *, outputs: int = CLASSES, optimizer: Any = None,
    task: Any = None, **search: Any,
) -> Trainer:  # fmt: skip
    set_seed(0)
    config = config_for(folder, **{"epochs": 1, **search})
    optimizer = optimizer or Counting(learning_rate=0.1, arch_learning_rate=0.05)
    optimizer.adapt_search_space(mlp_space(WIDTH, outputs), config.dataset)
    valid = train if valid is None else valid
    return Trainer(
        optimizer,
        config,
        train_loader=train,
        valid_loader=valid,
        test_loader=valid if test is None else test,
        task=task,
    )


# one loss


class Watched(nn.Module):
    """A criterion that notes in which phase it was called."""

    def __init__(self, phase: list[str]) -> None:
        super().__init__()
        self.phase, self.calls = phase, set()

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        self.calls.add(self.phase[-1])
        return 3 * nn.functional.cross_entropy(outputs, targets)


@pytest.mark.parametrize("given", ["optimizer", "config", "task", "trainer"])
def test_a_loss_given_once_is_the_loss_everywhere(tmp_path: Path, given: str):
    phase = ["search"]
    loss = Watched(phase)
    keywords = {"optimizer": {"loss_criteria": loss}, "task": {"task": Classification(loss)}}.get(given, {})
    trainer = _trainer(
        tmp_path, _cut(_inputs(), _labels()), optimizer=DARTSOptimizer(**keywords),
        task=Classification(loss) if given == "trainer" else None,
    )  # fmt: skip
    if given == "config":
        trainer.config.search.loss_criteria = loss
    trainer.search()
    phase.append("evaluation")
    trainer.evaluate()
    phase.append("one-shot")
    trainer.evaluate_oneshot()
    assert loss.calls == {"search", "evaluation", "one-shot"}
    row = json.loads((tmp_path / "eval" / "history.json").read_text())[0]
    with torch.no_grad():
        outputs = trainer.result.network.eval()(_inputs())
    assert row["train_loss"] > 2 and outputs.shape == (N, CLASSES)


def test_another_loss_for_the_retraining_alone(tmp_path: Path):
    trainer = _trainer(tmp_path, _cut(_inputs(), _values()), outputs=1, optimizer=DARTSOptimizer(loss_criteria="mse"))
    trainer.config.evaluation.update(loss_criteria="L1Loss", learning_rate=1e-12, epochs=1, drop_path_prob=0.0)
    trainer.search()
    trainer.evaluate()
    row = json.loads((tmp_path / "eval" / "history.json").read_text())[-1]
    with torch.no_grad():
        found = trainer.result.network.eval()(_inputs())
    assert row["valid_loss"] == pytest.approx((found - _values()).abs().mean().item(), rel=1e-4)
    assert row["valid_mae"] == pytest.approx(row["valid_loss"], rel=1e-5)
    assert isinstance(trainer.optimizer.loss, nn.MSELoss)


def test_a_loss_of_the_space_is_a_default(tmp_path: Path):
    phase = ["all"]
    loss = Watched(phase)
    for chosen, calls in ((None, {"all"}), (nn.CrossEntropyLoss(), set())):
        loss.calls = set()
        optimizer = DARTSOptimizer(**({} if chosen is None else {"loss_criteria": chosen}))
        trainer = _trainer(tmp_path / str(bool(chosen)), _cut(_inputs(), _labels()), optimizer=optimizer)
        trainer.optimizer.space.get_loss_fn = lambda: loss
        trainer.search()
        assert loss.calls == calls


# records


def test_a_regression_is_recorded_as_one(tmp_path: Path):
    trainer = _trainer(
        tmp_path, _cut(_inputs(), _values()), outputs=1, task=Regression(unit="m"), epochs=2, scheduler="plateau"
    )
    trainer.search()
    found = trainer.evaluate()
    with torch.no_grad():
        outputs = trainer.result.network.eval()(_inputs())
    assert found == pytest.approx((outputs - _values()).square().mean().sqrt().item(), rel=1e-5)
    errors = json.loads((tmp_path / "errors.json").read_text())
    assert errors["train_acc"] == [None, None] and all(value > 0 for value in errors["valid_rmse"])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["score"], summary["score_name"], summary["maximize"]) == (pytest.approx(found), "rmse", False)
    assert summary["score_unit"] == "m" and set(summary["test_scores"]) == {"rmse", "mae", "r2"}
    assert "test_accuracy" not in summary and "test_top5" not in summary
    assert "test rmse" in (tmp_path / "log.log").read_text()


def test_a_classification_keeps_its_keys(tmp_path: Path):
    trainer = _trainer(tmp_path, _cut(_inputs(), _labels()))
    trainer.search()
    found = trainer.evaluate()
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["test_accuracy"] == summary["score"] == found == trainer.result.accuracy
    assert (summary["test_top5"], summary["score_name"], summary["maximize"]) == (100.0, "accuracy", True)
    assert "train_top5" not in json.loads((tmp_path / "errors.json").read_text())


@pytest.mark.parametrize(
    ("task", "targets", "shape"),
    [
        (Classification("BCEWithLogitsLoss"), torch.ones(N, 3), (N, 3)),
        (Regression("L1Loss"), torch.ones(N, 3), (N, 3)),
        (Missed(), torch.zeros(N, dtype=torch.int64), (N,)),
    ],
)
def test_a_loaded_network_predicts_what_its_task_does(tmp_path: Path, task: Task, targets: Tensor, shape: Any):
    images = torch.randn(N, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    config = config_for(tmp_path, epochs=1)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(SimpleCellSearchSpace(n_classes=3, in_channels=1, channels=4))
    batches = _cut(images, targets)
    trainer = Trainer(optimizer, config, train_loader=batches, test_loader=batches, task=task)
    trainer.search()
    trainer.evaluate()
    with torch.no_grad():
        outputs = trainer.result.network.eval()(images)
    found = load_network(tmp_path).predict(images)
    expected = {"Classification": (outputs > 0).long(), "Regression": outputs, "Missed": outputs.argmax(1)}
    assert found.shape == shape
    torch.testing.assert_close(found, expected[type(task).__name__], rtol=1e-4, atol=1e-5)


def test_a_schedule_that_waits_for_a_rise_sees_one():
    parameter = nn.Parameter(torch.zeros(()))
    schedule = Schedule(ReduceLROnPlateau(torch.optim.SGD([parameter], lr=1.0), mode="max", patience=0), None, 3)
    for rmse in (3.0, 2.0, 1.0):
        measured = Measured(9.0, (rmse, 0.0, 0.0), 1, Regression().scores)
        schedule.after_epoch(measured, measured)
    assert schedule.scheduler.best == -1.0 and schedule.scheduler.num_bad_epochs == 0


def test_the_best_path_of_a_score_that_is_to_be_small(tmp_path: Path):
    """The same supernet, judged by hits and by misses: one architecture."""
    found = []
    for task in (Classification(), Missed()):
        optimizer = OneShotNASOptimizer(learning_rate=0.1, num_samples=8, sample_batches=1, num_finalists=2)
        trainer = _trainer(tmp_path / type(task).__name__, _cut(_inputs(), _labels()), optimizer=optimizer, task=task)
        trainer.search()
        found.append([scores.tolist() for scores in optimizer.outcome])
    assert found[0] == found[1]


def test_a_controller_is_paid_for_less_of_what_is_to_be_small():
    optimizer = ENASOptimizer()
    outputs = torch.eye(CLASSES)
    for task, right, wrong in ((Classification(), 1.0, 0.0), (Missed(), 0.0, -1.0)):
        optimizer.use_task(task)
        batch = (None, torch.arange(CLASSES))
        assert optimizer.paid(outputs, (torch.zeros(3), batch[1])) == right
        assert optimizer.paid(outputs.roll(1, 0), (torch.zeros(3), batch[1])) == wrong


# what does not fit is said before the first step


@pytest.mark.parametrize(
    ("train", "keywords", "message"),
    [
        (lambda: _cut(_inputs(), _labels() + 1), {}, r"from 1 to 3, but the network has 3 outputs"),
        (lambda: _cut(_inputs(), _labels().float()), {}, r"first batch of the test loader .*integer type"),
        (lambda: _cut(_inputs(), _labels()), {"loss_criteria": "BCEWithLogitsLoss"}, r"zeros and ones|as many labels"),
        (lambda: _cut(_inputs(), _labels()), {"loss_criteria": nn.MSELoss()}, r"expected an output for each value"),
        (lambda: _cut(_inputs(), _labels()), {"loss_criteria": nn.CrossEntropyLoss(reduction="none")}, "one number"),
        (lambda: _cut(_inputs(), _labels()), {"loss_criteria": lambda a, b: (a - b).mean()}, "cannot be computed"),
        (lambda: _cut(_inputs()[:, :4], _labels()), {}, r"does not take what the training loader yields.*\(4, 4\)"),
        (lambda: [{"a": 1, "b": 2}] * 3, {}, r"batch 0 of the test loader .*'a', 'b'"),
        (lambda: _cut(_inputs().long(), _labels()), {}, r"uint8"),
        (lambda: _cut(_inputs() * float("nan"), _labels()), {}, "NaN"),
    ],
)  # fmt: skip
def test_one_error_before_the_first_step(tmp_path: Path, train: Callable[[], Any], keywords: Any, message: str):
    optimizer = Counting(**keywords)
    trainer = _trainer(tmp_path, train(), optimizer=optimizer)
    before = [weight.clone() for weight in optimizer.weights]
    with pytest.raises((ConfigError, DataError), match=message) as caught:
        trainer.search()
    assert optimizer.steps == 0 and len(str(caught.value)) < 600
    assert all(torch.equal(a, b) for a, b in zip(before, optimizer.weights, strict=True))


@pytest.mark.parametrize("which", ["valid", "test"])
def test_every_loader_is_compared_before_the_first_step(tmp_path: Path, which: str):
    good, bad = _cut(_inputs(), _labels()), _cut(_inputs(), _labels().float())
    optimizer = Counting()
    trainer = _trainer(tmp_path, good, **{"valid": good, "test": good, which: bad}, optimizer=optimizer)
    with pytest.raises(DataError, match=f"first batch of the {'validation' if which == 'valid' else 'test'} loader"):
        trainer.search()
    assert optimizer.steps == 0


@pytest.mark.parametrize("which", ["train", "valid"])
def test_a_later_batch_is_named(tmp_path: Path, which: str):
    good, bad = _cut(_inputs(), _labels()), _cut(_inputs(), _labels())
    bad[2] = (bad[2][0], torch.full_like(bad[2][1], 7))
    trainer = _trainer(tmp_path, **{"train": good, "valid": good, which: bad}, test=good)
    name = {"train": "training", "valid": "validation"}[which]
    with pytest.raises(DataError, match=rf"batch 2 of the {name} loader \(counted from 0\).*from 7 to 7.*3 outputs"):
        trainer.search()


def test_a_later_batch_of_the_test_is_named(tmp_path: Path):
    good, bad = _cut(_inputs(), _labels()), _cut(_inputs(), _labels())
    bad[1] = (bad[1][0][:, :4], bad[1][1])
    trainer = _trainer(tmp_path, good, test=bad)
    trainer.search()
    with pytest.raises(DataError, match=r"batch 1 of the test loader .*shape"):
        trainer.evaluate()


def test_what_a_generator_gave_is_given_back(tmp_path: Path):
    whole = _cut(_inputs(), _labels())
    trainer = _trainer(tmp_path, whole, test=iter(whole))
    trainer.search()
    found = trainer.evaluate()
    with torch.no_grad():
        hits = (trainer.result.network.eval()(_inputs()).argmax(1) == _labels()).sum().item()
    assert found == pytest.approx(100 * hits / N)


# other batches


def test_mappings_arrays_and_types_train_as_pairs_do(tmp_path: Path):
    """Bit for bit: the same search and retraining, whatever the batches came in."""
    pairs = _cut(_inputs(), _labels())
    kinds: dict[str, list[Any]] = {
        "pairs": pairs,
        "mappings": [{"label": y[:, None].int(), "x": x} for x, y in pairs],
        "arrays": [(x.double().numpy(), y.numpy().astype(np.int16)) for x, y in pairs],
    }
    states = {}
    for name, batches in kinds.items():
        trainer = _trainer(tmp_path / name, batches, epochs=2)
        trainer.search()
        trainer.evaluate()
        states[name] = [load(tmp_path / name / part / "model_final.pth")["model"] for part in ("search", "eval")]
    assert differences(states["mappings"], states["pairs"]) == [] == differences(states["arrays"], states["pairs"])


class Running(Missed):
    """A task with a state: how many batches it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def loss(self, outputs: Tensor, batch: Any) -> Tensor:
        self.seen += 1
        return (1 + 1 / self.seen) * self.criterion(outputs, batch[1])

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Any) -> None:
        self.seen = state["seen"]


def test_the_state_of_a_task_is_resumed(tmp_path: Path):
    whole = _trainer(tmp_path / "whole", _cut(_inputs(), _labels()), task=Running(), epochs=2)
    whole.search()

    def stop(epoch: int) -> None:
        raise SearchInterrupted("stop")

    first = _trainer(tmp_path / "halves", _cut(_inputs(), _labels()), task=Running(), epochs=2)
    with pytest.raises(SearchInterrupted):
        first.search(after_epoch=stop)
    second = _trainer(tmp_path / "halves", _cut(_inputs(), _labels()), task=Running(), epochs=2)
    second.search(resume_from=get_last_checkpoint(second.config))
    states = [load(tmp_path / name / "search" / "model_final.pth") for name in ("whole", "halves")]
    assert differences(*states) == []
