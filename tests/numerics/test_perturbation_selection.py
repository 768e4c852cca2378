"""DARTS-PT: what is taken out, what is chosen by it, in which order, and what the space derives from the scores."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn
from training_runs import differences, load, small_trainer

from naslib.errors import ConfigError, OptimizerStateError
from naslib.optimizers import DARTSOptimizer, DARTSPTOptimizer, GDASOptimizer
from naslib.optimizers.oneshot.parts import PARTS
from naslib.optimizers.oneshot.parts.perturbation_selection import CrowdedNode, Quality
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics

VALID = [batch(16, seed=seed, dtype=torch.float32) for seed in (50, 51, 52)]
TRAIN = [batch(16, seed=seed, dtype=torch.float32) for seed in (60, 61)]


def _images(n: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.randint(4, (n,), generator=generator)


def _adapted(space=None, cls: type = DARTSPTOptimizer, seed: int = 0, **part):
    torch.manual_seed(seed)
    part = {"tune_epochs": 0, **part}
    optimizer = cls(learning_rate=0.1, arch_learning_rate=0.5, parts={"perturbation_selection": part})
    optimizer.adapt_search_space(mlp_space(batch_norm=True) if space is None else space)
    for step in range(3 if space is None else 0):
        optimizer.step(TRAIN[step % 2], VALID[step])
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.add_(0.5 * torch.randn_like(alpha))
    return optimizer


def _quality(optimizer, valid, weights: dict[int, torch.Tensor], criterion: str = "accuracy") -> Quality:
    """The supernet's quality with these dense weights by decision, softmax elsewhere; no draws, no masks."""
    index_of = {id(alpha): index for index, alpha in enumerate(optimizer.architectural_weights)}
    ops = [m for m in optimizer.graph.modules() if hasattr(m, "set_post_process_hook")]
    for op in ops:
        op.set_post_process_hook(lambda w, data: weights.get(index_of[id(data.alpha)], w))
    correct, loss, total = 0, 0.0, 0
    with torch.no_grad(), frozen_batch_norm_statistics(optimizer.graph):
        for x, y in valid:
            logits = optimizer.graph.train()(x)
            correct += int((logits.argmax(-1) == y).sum())
            loss += float(nn.functional.cross_entropy(logits, y, reduction="sum"))
            total += len(y)
    for op in ops:
        op.set_post_process_hook(None)
    pair = (correct / total, -loss / total)
    return Quality(*(pair if criterion == "accuracy" else pair[::-1]))


def _one_hot(n: int, index: int, value: float = 1.0) -> torch.Tensor:
    row = torch.zeros(n)
    row[index] = value
    return row


def _record(optimizer, monkeypatch) -> list:
    part, order = optimizer.parts["perturbation_selection"], []
    operation, edges = part._choose_operation, part._choose_edges
    monkeypatch.setattr(part, "_choose_operation", lambda i, v: (order.append(("op", i)), operation(i, v)))
    monkeypatch.setattr(part, "_choose_edges", lambda n, v: (order.append(("node", n)), edges(n, v)))
    return order


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
def test_the_operation_stays_without_which_the_supernet_is_worst(monkeypatch, criterion: str):
    optimizer = _adapted(criterion=criterion)
    order = _record(optimizer, monkeypatch)
    optimizer.select_architecture(TRAIN, VALID)
    assert sorted(index for _, index in order) == [0, 1, 2]
    decided: dict[int, torch.Tensor] = {}
    for _, index in order:
        soft = optimizer.architectural_weights[index].detach().softmax(-1)
        qualities = []
        for k in range(3):
            mask = torch.ones(3)
            mask[k] = 0
            qualities.append(_quality(optimizer, VALID, {**decided, index: soft * mask}, criterion))
        expected = min(range(3), key=lambda k: qualities[k])
        assert torch.equal(optimizer.outcome[index], _one_hot(3, expected, 2.0))
        decided[index] = _one_hot(3, expected)


def test_what_is_taken_out_is_not_made_up_for():
    optimizer = _adapted()
    part = optimizer.parts["perturbation_selection"]
    part._decision_of = {id(data.op): i for i, data in enumerate(optimizer.decisions)}
    part._masked = (1, 0)
    weights = torch.tensor([0.5, 0.3, 0.2])
    assert torch.equal(part._project(optimizer.decisions[1].op, weights), torch.tensor([0.0, 0.3, 0.2]))
    assert torch.equal(part._project(optimizer.decisions[0].op, weights), weights)


def _small_darts_space() -> NasBench301SearchSpace:
    return NasBench301SearchSpace(n_classes=4, channels=4, cells=3, nodes=3)


class _Scorer:
    """A supernet whose quality is given by which edges are there: `value(edges)`, of edges 0 .. n - 1."""

    def __init__(self, value) -> None:
        self.value, self.asked = value, []

    def choose(self, monkeypatch, n: int, rule: str, keeps: int = 2) -> set[int]:
        part = PARTS.build("perturbation_selection", edge_rule=rule)

        def evaluate(_) -> Quality:
            there = frozenset(range(n)) - part._dropped
            self.asked.append(there)
            return Quality(self.value(there), 0.0)

        monkeypatch.setattr(part, "_evaluate", evaluate)
        part._choose_edges(CrowdedNode("node", list(range(n)), keeps), [])
        return set(range(n)) - part._dropped


@pytest.mark.parametrize("n", [3, 4, 5])
def test_each_edge_is_judged_with_all_others_present(monkeypatch, n: int):
    """By enumeration over random qualities of every set of edges: the two stay whose single removal hurts most."""
    differ = 0
    for seed in range(20):
        draw = random.Random(seed)
        sets = [frozenset(s) for size in range(n + 1) for s in combinations(range(n), size)]
        values = {s: draw.random() for s in sets}
        everything = frozenset(range(n))
        scorer = _Scorer(values.__getitem__)
        kept = scorer.choose(monkeypatch, n, "independent")
        hurt = {i: -values[everything - {i}] for i in everything}
        expected = max(combinations(range(n), 2), key=lambda pair: sum(sorted(hurt[i] for i in pair)))
        assert kept == set(sorted(hurt, key=hurt.__getitem__)[-2:]) == set(expected)
        assert scorer.asked == [everything - {i} for i in range(n)]

        left = everything
        while len(left) > 2:
            left = max((left - {i} for i in left), key=values.__getitem__)
        greedy = _Scorer(values.__getitem__).choose(monkeypatch, n, "greedy")
        assert greedy == left
        differ += greedy != kept
    assert differ == 0 if n == 3 else differ >= 5


def test_of_edges_that_are_missed_equally_the_first_stay(monkeypatch):
    assert _Scorer(lambda there: 0.5).choose(monkeypatch, 4, "independent") == {0, 1}


@pytest.mark.parametrize("rule", ["independent", "greedy"])
def test_the_space_derives_what_was_chosen_among_its_edges(monkeypatch, rule: str):
    valid = [_images(8, 3)]
    optimizer = _adapted(_small_darts_space(), batches=1, edge_rule=rule)
    part = optimizer.parts["perturbation_selection"]
    monkeypatch.setattr(part, "_choose_operation", lambda i, v: part._chosen.update({i: 3 + i % 4}))  # quick
    order = []
    choose = part._choose_edges
    monkeypatch.setattr(part, "_choose_edges", lambda n, v: (order.append(n), choose(n, v)))
    before = {key: value.clone() for key, value in optimizer.graph.state_dict().items()}
    optimizer.select_architecture([_images()], valid)
    assert all(torch.equal(value, before[key]) for key, value in optimizer.graph.state_dict().items())  # no tuning

    assert [len(node.edges) for node in order] in ([3, 3, 4, 4], [4, 4, 3, 3], [3, 4, 4, 3], [4, 3, 3, 4])
    assert all(node.keeps == 2 for node in order)
    n_ops = 8
    fixed = {index: _one_hot(n_ops, op) for index, op in part._chosen.items()}
    dropped: set[int] = set()
    for node in order:
        left = list(node.edges)
        while len(left) > 2:
            trials = {i: {**fixed, **dict.fromkeys({*dropped, i}, torch.zeros(n_ops))} for i in left}
            qualities = {i: _quality(optimizer, valid, trial) for i, trial in trials.items()}
            needless = sorted(left, key=qualities.__getitem__)[-1 if rule == "greedy" else 2 :]
            left = [i for i in left if i not in needless]
            dropped.update(needless)
    assert dropped == part._dropped

    final = optimizer.get_final_architecture()
    alphas = {id(data.alpha): i for i, data in enumerate(optimizer.decisions)}
    cells = zip(optimizer.graph._graphs_in_scope(optimizer.scope), final._graphs_in_scope(optimizer.scope), strict=True)
    for searched, derived in cells:
        for u, v, data in searched.edges(data=True):
            if data.has("alpha"):
                index = alphas[id(data.alpha)]
                assert derived.has_edge(u, v) is (index not in dropped)
                if index not in dropped:
                    assert derived.edges[u, v].op_index == part._chosen[index]


def test_one_edge_of_each_kind_of_cell_is_decided_in_a_round():
    optimizer = _adapted(_small_darts_space())
    part = optimizer.parts["perturbation_selection"]
    part._begin()
    operations, nodes = part._rounds(torch.Generator().manual_seed(0))
    assert len(operations) == 9 and all(len(r) == 2 for r in operations)  # 2 + 3 + 4 edges, two kinds of cell
    assert sorted(i for r in operations for i in r) == list(range(18))
    assert len(nodes) == 2 and all(len(r) == 2 for r in nodes)  # the nodes with 3 and with 4 edges
    again = part._rounds(torch.Generator().manual_seed(1))
    assert again[0] != operations


def test_the_zero_operation_is_a_candidate_only_where_the_space_selects_it():
    of_darts = _adapted(_small_darts_space())
    names = [type(op).__name__ for op in of_darts.decisions[0].op.primitives]
    part = of_darts.parts["perturbation_selection"]
    part._begin()
    selectable = part._selectable(0)
    assert selectable == [i for i, name in enumerate(names) if name != "Zero"] and len(selectable) == 7
    of_201 = _adapted(NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1))
    part = of_201.parts["perturbation_selection"]
    part._begin()
    assert part._selectable(0) == [0, 1, 2, 3, 4] and not part._crowded_nodes()


def test_tuning_has_a_new_optimizer_with_a_tenth_of_the_learning_rate(monkeypatch):
    optimizer = _adapted(tune_epochs=2)
    before = optimizer.op_optimizer
    state = {key: value.clone() for key, value in optimizer.graph.state_dict().items()}
    rates: list[float] = []
    step = optimizer.step

    def spy(train, valid):
        assert optimizer.op_optimizer is not before
        rates.append(optimizer.op_optimizer.param_groups[0]["lr"])
        return step(train, valid)

    monkeypatch.setattr(optimizer, "step", spy)
    optimizer.select_architecture(TRAIN, VALID)
    assert len(rates) == 2 * 2 * len(TRAIN)  # three decisions: two intervals of two epochs
    assert rates[::2] == pytest.approx([0.01, 0.001 + 0.0045 * (1 + 0.5**0.5), 0.0055, 0.001 + 0.0045 * (1 - 0.5**0.5)])
    assert optimizer.op_optimizer is before and before.param_groups[0]["lr"] == 0.1
    assert any(not torch.equal(value, state[key]) for key, value in optimizer.graph.state_dict().items())
    assert not any(data.op.on_weights for data in optimizer.decisions)
    outcome = optimizer.outcome
    optimizer.select_architecture(TRAIN, [])  # chosen already
    assert optimizer.outcome is outcome


def test_without_architecture_training_everything_is_left_to_the_selection():
    torch.manual_seed(0)
    optimizer = DARTSPTOptimizer(train_architecture=False, parts={"perturbation_selection": {"tune_epochs": 1}})
    optimizer.adapt_search_space(mlp_space(batch_norm=True))
    optimizer.step(TRAIN[0], VALID[0])
    optimizer.select_architecture(TRAIN, VALID)
    assert all(torch.equal(alpha, torch.zeros(3)) for alpha in optimizer.architectural_weights)
    assert all(sorted(scores.tolist()) == [0.0, 0.0, 2.0] for scores in optimizer.outcome)


def test_the_trainer_selects_and_a_resumed_search_selects_the_same(tmp_path: Path):
    def trainer(folder: Path):
        part = {"perturbation_selection": {"tune_epochs": 1}}
        return small_trainer(
            folder, optimizer=DARTSPTOptimizer(learning_rate=0.1, arch_learning_rate=0.05, parts=part), epochs=2
        )

    whole, resumed = trainer(tmp_path / "a"), trainer(tmp_path / "b")
    whole.search()
    assert len(whole.optimizer.outcome) == 3
    resumed.search(resume_from=str(tmp_path / "a" / "search" / "model_0000000.pth"))
    final = [load(tmp_path / folder / "search" / "model_final.pth") for folder in "ab"]
    assert not differences(*final)
    genotype = whole.optimizer.get_final_architecture().genotype()
    assert resumed.optimizer.get_final_architecture().genotype() == genotype
    other = trainer(tmp_path / "c")
    other.search(resume_from=str(tmp_path / "a" / "search" / "model_final.pth"))
    assert other.optimizer.get_final_architecture().genotype() == genotype


def test_what_cannot_be_raises():
    with pytest.raises(ConfigError, match="criterion"):
        PARTS.build("perturbation_selection", criterion="acc")
    with pytest.raises(ConfigError, match="tune_epochs"):
        PARTS.build("perturbation_selection", tune_epochs=-1)
    with pytest.raises(ConfigError, match="edge_rule must be one of independent, greedy"):
        PARTS.build("perturbation_selection", edge_rule="greed")
    assert PARTS.build("perturbation_selection").tune_epochs == 5
    with pytest.raises(OptimizerStateError, match="validation"):
        _adapted().select_architecture(TRAIN, [])
    with pytest.raises(ConfigError, match="draws"):
        GDASOptimizer(parts={"perturbation_selection": {}}).adapt_search_space(mlp_space())
    assert DARTSOptimizer(parts={"perturbation_selection": {}}).parts
