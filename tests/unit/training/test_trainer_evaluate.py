"""Trainer.evaluate: retraining against a plain loop, drop-path and auxiliary loss, modes, one test at the end."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from training_runs import differences, load, small_trainer

from naslib import errors
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import DropPath
from naslib.tasks import Classification
from naslib.training.checkpoint import get_last_checkpoint
from naslib.training.evaluate import RetrainSettings, RetrainTask, forward_with_auxiliary
from naslib.training.evaluate import test as measure
from naslib.training.retrain import is_retraining_of
from naslib.training.schedule import continue_schedule
from naslib.utils.seeding import set_seed


class CountingLoader:
    """A list of batches that counts how often it was gone through."""

    def __init__(self, batches):
        self.batches, self.opened = batches, 0

    def __iter__(self):
        self.opened += 1
        return iter(self.batches)

    def __len__(self):
        return len(self.batches)


def _batches(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(8, 6, generator=generator), torch.randint(3, (8,), generator=generator)) for _ in range(n)]


def _own():
    return {
        name: CountingLoader(_batches(n, n))
        for name, n in (("train_loader", 4), ("valid_loader", 3), ("test_loader", 2))
    }


def test_retraining_equals_a_plain_loop(tmp_path):
    own = _own()
    trainer = small_trainer(tmp_path, own=own, epochs=1)
    trainer.search()
    architecture = trainer.optimizer.get_final_architecture()
    set_seed(5)
    accuracy = trainer.evaluate(best_arch=architecture)

    set_seed(5)
    network = architecture.evaluation_network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2, 0.0)
    for epoch in range(2):
        network.train()
        for module in network.modules():
            if isinstance(module, DropPath):
                module.drop_prob = 0.2 * epoch / 2
        for x, y in own["train_loader"].batches:
            optimizer.zero_grad()
            F.cross_entropy(network(x), y).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
        schedule.step()
    network.eval()
    hits = sum((network(x).argmax(1) == y).sum().item() for x, y in own["test_loader"].batches)
    saved = load(tmp_path / "eval" / "model_final.pth")
    assert all(torch.equal(saved["model"][name], value) for name, value in network.state_dict().items())
    assert accuracy == pytest.approx(100 * hits / 16)
    assert any(isinstance(module, DropPath) for module in network.modules())


def test_tests_once_at_the_end_and_validates_each_epoch(tmp_path):
    own = _own()
    trainer = small_trainer(tmp_path, own=own, epochs=1)
    trainer.search()
    opened = own["valid_loader"].opened
    assert own["test_loader"].opened == 1  # looked at before the first step
    trainer.evaluate()
    assert own["test_loader"].opened == 2 and own["valid_loader"].opened == opened + 2
    rows = json.loads((tmp_path / "eval" / "history.json").read_text())
    assert [row["epoch"] for row in rows] == [0, 1] and all(row["valid_acc"] is not None for row in rows)
    assert trainer.result.mode == "retrain" and trainer.result.network is not None


class _TwoHeads(Graph):
    """1 -> 2 -> 4, with an auxiliary sink 3."""

    def __init__(self):
        super().__init__("two_heads")
        self.add_nodes_from([1, 2, 3, 4])
        self.add_edges_from([(1, 2), (2, 3), (2, 4)])
        for u, v, width in ((1, 2, 5), (2, 3, 3), (2, 4, 3)):
            self.edges[u, v].set("op", nn.Linear(6 if u == 1 else 5, width))
        self.parse()


def test_auxiliary_loss_and_drop_path_schedule(tmp_path):
    set_seed(0)
    network, twin = _TwoHeads(), None
    twin = network.clone()
    (x, y), *_ = _batches(1, 0)
    settings = RetrainSettings(epochs=10, auxiliary_weight=0.4, drop_path_prob=0.3)
    task = RetrainTask(
        network, torch.optim.SGD(network.parameters(), lr=0.5), None, Classification(), None, settings,
        torch.device("cpu"), False, None, tmp_path / "history.json",
    )  # fmt: skip
    task.train_step((x, y), 0)
    hidden = twin.edges[1, 2].op(x)
    main, auxiliary = twin.edges[2, 4].op(hidden), twin.edges[2, 3].op(hidden)
    (F.cross_entropy(main, y) + 0.4 * F.cross_entropy(auxiliary, y)).backward()
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.detach(), theirs.detach() - 0.5 * theirs.grad, rtol=0, atol=1e-6)
    assert len(forward_with_auxiliary(Classification(), network, (x, y))[1]) == 1

    drop = DropPath(nn.Linear(2, 2))
    task.network = nn.Sequential(drop)
    found = []
    for epoch in range(10):
        task.begin_epoch(epoch)
        found.append(drop.drop_prob)
    assert found == pytest.approx([0.3 * epoch / 10 for epoch in range(10)])


def test_measuring_changes_no_mode_and_no_statistics():
    network = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batches = _batches(3, 1)
    score = measure(network, batches, Classification(), torch.device("cpu"))
    assert network.training and score.count == 24
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.eval()
    loss = sum(F.cross_entropy(network(x), y).item() for x, y in batches) / 3
    assert score.loss == pytest.approx(loss, abs=1e-6) and score.get("top5") == 100.0
    with pytest.raises(errors.DataError):
        measure(network, [], Classification(), torch.device("cpu"))


def test_keeping_the_weights_of_the_search(tmp_path):
    own = _own()
    trainer = small_trainer(tmp_path, own=own, epochs=1)
    trainer.search()
    accuracy = trainer.evaluate(retrain=False)
    network = trainer.optimizer.get_final_architecture().eval()
    hits = sum((network(x).argmax(1) == y).sum().item() for x, y in own["test_loader"].batches)
    assert accuracy == pytest.approx(100 * hits / 16) and trainer.result.mode == "keep"


def test_a_fresh_trainer_discretizes_the_same_architecture(tmp_path):
    trainer = small_trainer(tmp_path, epochs=2)
    trainer.search()
    genotype = trainer.optimizer.get_final_architecture().genotype()
    other = small_trainer(tmp_path, seed=77, epochs=2)
    assert other.found_architecture().genotype() == genotype
    path = get_last_checkpoint(other.config)
    assert small_trainer(tmp_path / "x", seed=78, epochs=2).found_architecture(path).genotype() == genotype


def test_retraining_resumes_bit_for_bit(tmp_path):
    def run(folder, resume=""):
        trainer = small_trainer(folder, epochs=1)
        trainer.config.evaluation.epochs = 3
        trainer.search()
        set_seed(1)
        return trainer.evaluate(resume_from=resume)

    first = run(tmp_path / "a")
    resumed = run(tmp_path / "b", resume="")
    assert first == resumed
    whole = load(tmp_path / "a" / "eval" / "model_final.pth")
    path = tmp_path / "a" / "eval" / "model_0000000.pth"
    assert run(tmp_path / "c", resume=str(path)) == first
    assert differences(whole, load(tmp_path / "c" / "eval" / "model_final.pth")) == []


def test_retraining_of_another_architecture_is_refused(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search()
    trainer.evaluate()
    for alpha in trainer.optimizer.architectural_weights:
        alpha.data = -alpha.data
    with pytest.raises(errors.CheckpointError, match="architecture"):
        trainer.evaluate(resume_from=get_last_checkpoint(trainer.config, search=False))


def test_mode_query_of_a_space_without_benchmark(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.config.evaluation.mode = "query"
    with pytest.raises(errors.BenchmarkApiMissing, match="retrain"):
        trainer.evaluate()


def test_no_test_loader(tmp_path):
    trainer = small_trainer(tmp_path, own={"train_loader": _batches(2, 0)}, epochs=1)
    with pytest.raises(errors.DataError, match="test_loader"):
        trainer.evaluate(retrain=False)


def test_oneshot_accuracy_is_that_of_the_supernet(tmp_path):
    own = _own()
    trainer = small_trainer(tmp_path, own=own, epochs=1)
    trainer.search()
    graph = trainer.optimizer.graph.eval()
    expected = {
        name: 100 * sum((graph(x).argmax(1) == y).sum().item() for x, y in loader.batches) / (8 * len(loader))
        for name, loader in own.items()
    }
    assert trainer.evaluate_oneshot() == pytest.approx(expected["valid_loader"])
    assert trainer.evaluate_oneshot(dataloader=own["test_loader"]) == pytest.approx(expected["test_loader"])
    other = small_trainer(tmp_path / "b", seed=9, own=own)
    path = get_last_checkpoint(trainer.config)
    assert other.evaluate_oneshot(resume_from=path) == pytest.approx(expected["valid_loader"])


def test_schedule_bends_to_another_length():
    def rates(epochs, done=0, state=None):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, 0.1)
        if state:
            optimizer.param_groups[0]["lr"] = state[1]
            schedule.load_state_dict(state[0])
            continue_schedule(schedule, done, epochs)
        found = []
        for _ in range(epochs - done):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return found, (schedule.state_dict(), optimizer.param_groups[0]["lr"])

    whole, _ = rates(8)
    _, short = rates(4)
    continued, _ = rates(8, done=4, state=short)
    assert continued == pytest.approx(whole[4:])


def test_whose_retraining_a_checkpoint_is(tmp_path):
    trainer = small_trainer(tmp_path, own=_own(), epochs=1)
    trainer.search()
    trainer.evaluate()
    path = get_last_checkpoint(trainer.config, search=False)
    assert is_retraining_of(path, trainer.found_architecture())
    trainer.optimizer.architectural_weights[0].data.copy_(torch.tensor([0.0, 0.0, 9.0]))
    first = trainer.optimizer.get_final_architecture()
    trainer.optimizer.architectural_weights[0].data.copy_(torch.tensor([9.0, 0.0, 0.0]))
    second = trainer.optimizer.get_final_architecture()
    assert is_retraining_of(path, first) + is_retraining_of(path, second) <= 1
    with pytest.raises(errors.CheckpointError, match=r"of another run: architecture.ops\[1\].* --eval-only") as error:
        for other in (first, second):
            trainer.evaluate(resume_from=path, best_arch=other)
    assert len(str(error.value)) < 800 + len(str(tmp_path))
