"""Weight sharing without architecture gradients: paths, what runs, scoring, and the outcome."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError, DataError
from naslib.optimizers import RandomNASOptimizer
from naslib.optimizers.oneshot.paths.entries import PathEntry
from naslib.optimizers.oneshot.paths.paths import PathSpace
from naslib.optimizers.oneshot.paths.scoring import PathScorer, evaluation_mode, recalibrated
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core._selection import keep_strongest_edges
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import Zero
from naslib.search_spaces.nasbench201.codec import NasBench201Codec
from naslib.search_spaces.nasbench301.codec import DartsCodec

SPACES = {
    "simple_cell": lambda: SimpleCellSearchSpace(n_classes=4, channels=4),
    "nasbench201": lambda: NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1),
    "nasbench301": lambda: NasBench301SearchSpace(n_classes=4, channels=4, cells=4, nodes=2),
}


def adapted(space="nasbench201", seed: int = 0, **kwargs) -> WeightSharingOptimizer:
    torch.manual_seed(seed)
    optimizer = RandomNASOptimizer(**kwargs)
    optimizer.adapt_search_space(SPACES[space]() if isinstance(space, str) else space)
    return optimizer


def images(seed: int, n: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.randint(4, (n,), generator=generator)


def without_codec(space: str) -> PathSpace:
    """Return the paths that a space has by its statement alone."""
    return PathSpace(adapted(space).paths.supernet)


def chi_square(counts: Counter, n_outcomes: int) -> float:
    """Return (chi^2 - dof) / sqrt(2 dof): about a standard normal number where all outcomes are equally likely."""
    expected = sum(counts.values()) / n_outcomes
    seen = sum((count - expected) ** 2 / expected for count in counts.values())
    seen += (n_outcomes - len(counts)) * expected
    return (seen - n_outcomes + 1) / (2 * (n_outcomes - 1)) ** 0.5


# paths


def test_each_space_has_the_paths_it_should():
    for name, size in {"nasbench201": 5**6, "nasbench301": (3 * 7**4) ** 2, "simple_cell": (3 * 4**4) ** 2}.items():
        paths = adapted(name).paths
        assert (paths.codec is None) == (name == "simple_cell") and paths.size() == size
    assert adapted(mlp_space()).paths.size() == 27


@pytest.mark.parametrize(("space", "codec"), [("nasbench201", True), ("nasbench201", False), ("nasbench301", True),
                                              ("nasbench301", False), ("simple_cell", True)])  # fmt: skip
def test_paths_are_uniform(space: str, codec: bool):
    paths = adapted(space).paths if codec else without_codec(space)
    rng = Random(4)
    drawn = [paths.choices(paths.random(rng)) for _ in range(3000)]
    if space == "nasbench201":
        for decision in range(6):
            assert abs(chi_square(Counter(choices[decision] for choices in drawn), 5)) < 4
        return
    # of the edges (1, 4), (2, 4) and (3, 4) of a cell two stay, with an op other than Zero (index 1)
    ops = len(SPACES[space]().get_all_edge_data("op", SPACES[space]().OPTIMIZER_SCOPE)[0]) - 1
    edges = Counter(tuple(index != NO_EDGE for index in (choices[1], *choices[3:5])) for choices in drawn)
    present = [index for choices in drawn for index in choices if index != NO_EDGE]
    assert set(map(sum, edges)) == {2} and abs(chi_square(edges, 3)) < 4
    assert 1 not in present and abs(chi_square(Counter(present), ops)) < 4
    with_zero = [entry.computing for entry in adapted(space).entries]
    assert all(1 not in computing and len(computing) == ops for computing in with_zero)


def test_a_codec_that_states_other_decisions_or_none_is_not_asked(monkeypatch):
    for stated in (None, DartsCodec().decision_space):
        monkeypatch.setattr(NasBench201Codec, "decision_space", stated)
        optimizer = adapted("nasbench201")
        assert optimizer.paths.codec is None and optimizer.path == optimizer.paths.choices(optimizer.path)
        optimizer.set_alphas_from_path("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|")
        assert optimizer.path == (2, 1, 1, 1, 1, 1)


def test_a_space_that_prunes_nothing_draws_each_decision_uniformly():
    paths = adapted(mlp_space()).paths
    rng = Random(0)
    drawn = Counter(paths.choices(paths.random(rng)) for _ in range(1350))
    assert abs(chi_square(drawn, 27)) < 4


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("codec", [True, False])
def test_genes_come_from_the_parents_or_are_drawn_anew(space: str, codec: bool):
    paths = adapted(space).paths if codec else without_codec(space)
    rng = Random(1)
    for _ in range(5):
        first, second = paths.random(rng), paths.random(rng)
        assert paths.perturb(first, 0.0, rng) == first
        assert paths.crossover(first, first, rng) == first
        child, changed = paths.crossover(first, second, rng), paths.perturb(first, 1.0, rng)
        of_parents = zip(*(paths.choices(code) for code in (child, first, second)), strict=True)
        assert all(gene in (NO_EDGE, *parents) for gene, *parents in of_parents)
        for code in (child, changed):
            n_edges = sum(index != NO_EDGE for index in paths.choices(code))
            assert n_edges == sum(index != NO_EDGE for index in paths.choices(first))
    rates = [sum(a != b for a, b in zip(first, paths.perturb(first, 0.1, rng), strict=True)) for _ in range(60)]
    assert 0.01 < sum(rates) / (60 * len(first)) < 0.15  # some draws give the same gene


def test_a_crossover_by_the_rule_takes_each_decision_from_either_parent():
    paths = adapted(mlp_space()).paths  # three decisions of three candidates, none is pruned
    rng, parents = Random(2), ((0, 0, 0), (2, 2, 2))
    children = Counter(paths.crossover(*parents, rng) for _ in range(1600))
    assert set(children) == set(itertools.product((0, 2), repeat=3))
    assert all(abs(count - 200) < 5.5 * (1600 * 7 / 64) ** 0.5 for count in children.values())


@pytest.mark.parametrize("rate", [0.1, 0.4, 1.0])
def test_a_perturbation_by_the_rule_draws_each_decision_anew_with_the_rate(rate: float):
    paths = adapted(mlp_space()).paths
    rng, parent = Random(3), (0, 1, 2)
    drawn = [paths.perturb(parent, rate, rng) for _ in range(2000)]
    for decision, before in enumerate(parent):
        counts = Counter(code[decision] for code in drawn)
        for op in range(3):  # of three candidates, drawn uniformly
            share = rate / 3 + (1 - rate) * (op == before)
            assert abs(counts[op] - 2000 * share) < 5.5 * (2000 * share * (1 - share)) ** 0.5 + 1e-9


# what runs


def _count_calls(optimizer: WeightSharingOptimizer) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    for edge in optimizer.graph._edges_in_scope(optimizer.scope, private_edge_data=True):
        decision = next(i for i, data in enumerate(optimizer.decisions) if data.alpha is edge.data.alpha)
        for index, op in enumerate(edge.data.op.primitives):
            op.register_forward_hook(lambda *_, at=(decision, index): calls.append(at))
    return calls


@pytest.mark.parametrize("space", SPACES)
def test_only_the_path_runs_and_it_is_the_same_in_all_copies(space: str):
    optimizer = adapted(space)
    copies = Counter(id(e.data.alpha) for e in optimizer.graph._edges_in_scope(optimizer.scope, private_edge_data=True))
    calls = _count_calls(optimizer)
    seen = set()
    for index in range(4):
        calls.clear()
        optimizer.step(images(index), images(9))
        choices = optimizer.paths.choices(optimizer.path)
        seen.add(choices)
        zero = [[isinstance(op, Zero) for op in data.op.primitives].index(True) for data in optimizer.decisions]
        expected = Counter()
        for decision, choice in enumerate(choices):
            ran = zero[decision] if choice == NO_EDGE else choice
            expected[decision, ran] = 2 * copies[id(optimizer.decisions[decision].alpha)]  # statistics and weight step
        assert Counter(calls) == expected
    assert len(seen) == 4


def test_weights_that_did_not_run_stay_as_they_are():
    optimizer = adapted("nasbench301")
    for index in range(3):  # so that there is momentum
        optimizer.step(images(index), images(9))
    before = {id(p): p.detach().clone() for p in optimizer.weights}
    optimizer.step(images(4), images(9))
    choices = optimizer.paths.choices(optimizer.path)
    for edge in optimizer.graph._edges_in_scope(optimizer.scope, private_edge_data=True):
        decision = next(i for i, data in enumerate(optimizer.decisions) if data.alpha is edge.data.alpha)
        for index, op in enumerate(edge.data.op.primitives):
            for parameter in op.parameters():
                assert torch.equal(parameter, before[id(parameter)]) == (index != choices[decision])


def test_alphas_are_zeros_that_nobody_trains():
    optimizer = adapted()
    optimizer.step(images(0), images(1))
    assert optimizer.arch_optimizer is None and not optimizer.architecture_parameters
    assert all(not a.requires_grad and not a.any() for a in optimizer.architectural_weights)


def test_an_edge_without_a_zero_is_multiplied_by_zero():
    draw = PathEntry([nn.Identity(), nn.Tanh()]).choosing(NO_EDGE)
    assert draw.on == (0,) and not draw.unit and not draw.weights.any()


# the outcome


@pytest.mark.parametrize("space", SPACES)
def test_the_space_derives_exactly_the_chosen_architecture(space: str):
    optimizer = adapted(space)
    rng = Random(5)
    for _ in range(3):
        code = optimizer.paths.random(rng)
        optimizer.outcome = optimizer.scores_of(code)
        architecture = optimizer.get_final_architecture()
        if space != "simple_cell":
            assert architecture.get_code() == code
            continue
        found = []
        for name, tails in (("normal_cell", (3, 4)), ("reduction_cell", (3, 4))):
            cell = next(g for g in architecture.nested_graphs() if g.name == name)
            edges = [(u, v) for v in tails for u in range(1, v)]
            found += [cell.edges[e].op_index if e in cell.edges else NO_EDGE for e in sorted(edges)]
        assert tuple(found) == optimizer.paths.choices(code)


@pytest.mark.parametrize("batch_norm", ["running", "batch"])
@pytest.mark.parametrize("space", SPACES)
def test_the_accuracy_of_a_path_is_that_of_the_derived_network(space: str, batch_norm: str):
    """On labels of a random teacher, network and path agree image by image."""
    optimizer = adapted(space, batch_norm=batch_norm)
    optimizer.graph.train()
    for index in range(6):
        optimizer.step(images(index), images(index))
    torch.manual_seed(1)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    x = torch.randn(40, 3, 8, 8)
    data = [(part, teacher(part).argmax(-1)) for part in x.split(20)]
    rng = Random(8)
    for _ in range(2):
        code = optimizer.paths.random(rng)
        accuracy = PathScorer(optimizer, (), data).on_all(code)
        optimizer.outcome = optimizer.scores_of(code)
        network = optimizer.get_final_architecture().eval()
        with torch.no_grad(), evaluation_mode(optimizer.graph):
            for part, _ in data:
                torch.testing.assert_close(optimizer.graph(part), network(part), rtol=1e-5, atol=1e-5)
            right = sum(int((network(part).argmax(-1) == labels).sum()) for part, labels in data)
        assert accuracy == pytest.approx(100 * right / 40)


def test_architectures_are_also_set_by_their_genotype():
    optimizer = adapted("nasbench301")
    code = optimizer.paths.random(Random(1))
    optimizer.set_alphas_from_path(optimizer.graph.codec.to_genotype(code))
    assert optimizer.path == code
    other = adapted(mlp_space())
    other.set_alphas_from_path([2, 0, 1])
    assert other.path == (2, 0, 1)
    other.path = None  # everything, summed
    assert [draw.on for draw in other.graph.assignment.values()] == [(0, 1, 2)] * 3


class _Pruned(Graph):
    """Four nodes, of which the last keeps two of its three inputs; no candidate is a Zero."""

    OPTIMIZER_SCOPE = "cell"

    def __init__(self, nested: bool = False) -> None:
        super().__init__(name="pruned", scope="cell")
        self.add_nodes_from([1, 2, 3, 4, 5])
        self.add_edges_from([(1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)])
        self.add_edge(4, 5, EdgeData({"op": nn.Linear(6, 3)}).finalize())
        for u, v, data in self.edges(data=True):
            if not data.is_final():
                first = _Pruned() if nested and (u, v) == (1, 2) else nn.Linear(6, 6)
                data.set(
                    "op", [nn.Sequential(first, nn.Linear(3, 6)) if isinstance(first, Graph) else first, nn.Tanh()]
                )

    def prepare_discretization(self) -> None:
        self.update_nodes(keep_strongest_edges, scope="cell")


@pytest.mark.parametrize("nested", [False, True])
def test_spaces_that_prune_and_have_no_zero(nested: bool):
    optimizer = adapted(_Pruned(nested))
    edges = sum(graph.number_of_edges() for graph in optimizer.graph.nested_graphs())
    for index in range(3):
        optimizer.step(batch(seed=index, dtype=torch.float32), batch(seed=9, dtype=torch.float32))
    for seed in range(4):
        code = optimizer.paths.random(Random(seed))
        choices = optimizer.paths.choices(code)
        missing = Counter(p.number for p, choice in zip(optimizer.places, choices, strict=True) if choice == NO_EDGE)
        is_there = nested and choices[[p.number for p in optimizer.places].index(0)] == 0
        assert missing == {0: 1, **({1: 1 if is_there else 6} if nested else {})}
        optimizer.outcome = optimizer.scores_of(code)
        network = optimizer.get_final_architecture()
        optimizer.use(code)
        x = batch(seed=3, dtype=torch.float32)[0]
        torch.testing.assert_close(optimizer.graph(x), network(x))
    assert edges == sum(graph.number_of_edges() for graph in optimizer.graph.nested_graphs())  # the supernet is whole


# scoring


def test_recalibration_averages_over_the_batches_and_restores_everything():
    optimizer = adapted("nasbench301")
    optimizer.graph.train()
    for index in range(3):
        optimizer.step(images(index), images(9))
    train = [images(20 + index) for index in range(4)]
    valid = [images(30, 40)]
    before = {key: value.clone() for key, value in optimizer.graph.state_dict().items()}
    code = optimizer.paths.random(Random(2))
    accuracy = PathScorer(optimizer, train, valid, recalibration=4).on_all(code)
    after = optimizer.graph.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items()) and optimizer.graph.training
    modules = [m for m in optimizer.graph.modules() if isinstance(m, nn.BatchNorm2d)]
    assert modules and all(m.momentum == 0.1 and m.training for m in modules)

    # the same by hand: means and unbiased variances of what enters each BN, averaged over the batches
    optimizer.outcome = optimizer.scores_of(code)
    network = optimizer.get_final_architecture().train()
    sums: dict[nn.Module, list[torch.Tensor]] = {}
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.register_forward_pre_hook(
                lambda m, x: sums.setdefault(m, []).append(
                    torch.stack([x[0].mean((0, 2, 3)), x[0].transpose(0, 1).flatten(1).var(1)])
                )
            )
    with torch.no_grad():
        for x, _ in train:
            network(x)
        for norm, seen in sums.items():
            norm.running_mean.copy_(torch.stack(seen).mean(0)[0])
            norm.running_var.copy_(torch.stack(seen).mean(0)[1])
        network.eval()
        right = (network(valid[0][0]).argmax(-1) == valid[0][1]).sum()
    assert accuracy == pytest.approx(100 * int(right) / 40)


def test_recalibrated_statistics_are_cumulative_averages():
    norm = nn.BatchNorm1d(3)
    norm(torch.randn(8, 3))
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    batches = torch.randn(5, 8, 3)
    with recalibrated([norm]):
        for x in batches:
            norm(x)
        torch.testing.assert_close(norm.running_mean, batches.mean((0, 1)))
        torch.testing.assert_close(norm.running_var, batches.var(1).mean(0))
    assert norm.momentum == 0.1
    torch.testing.assert_close(norm.state_dict(), before, rtol=0, atol=0)


def test_batches_are_taken_one_after_the_other_and_again():
    optimizer = adapted(mlp_space())
    batches = [batch(seed=index, dtype=torch.float32) for index in range(3)]
    seen: list[int] = []
    optimizer.graph.register_forward_pre_hook(
        lambda _, x: seen.append(next(i for i, b in enumerate(batches) if b[0] is x[0]))
    )
    scorer = PathScorer(optimizer, (), batches)
    scorer.on_next((0, 0, 0), 2)
    scorer.on_next((0, 0, 0), 2)
    scorer.on_all((0, 0, 0))
    assert seen == [0, 1, 2, 0, 0, 1, 2]
    for measure in (PathScorer(optimizer, (), []).on_next, PathScorer(optimizer, (), []).on_all):
        with pytest.raises(DataError, match="batches"):
            measure((0, 0, 0))


# without the Trainer


def test_without_a_selection_phase_the_best_of_a_few_paths_on_the_last_batch(caplog):
    optimizer = adapted(mlp_space(batch_norm=True))
    expected = optimizer.paths.random(_copy_of(optimizer.rng))
    optimizer.get_final_architecture()
    assert "first of a few" in caplog.text
    provisional = optimizer._provisional()
    assert provisional == expected
    optimizer.step(batch(seed=1, dtype=torch.float32), batch(40, seed=2, dtype=torch.float32))
    state, path, standing = optimizer.rng.getstate(), optimizer.path, optimizer.graph.assignment
    rng = _copy_of(optimizer.rng)
    codes = [optimizer.paths.random(rng) for _ in range(10)]
    best = max(codes, key=PathScorer(optimizer, (), [batch(40, seed=2, dtype=torch.float32)]).on_all)
    optimizer.use(path)
    assert optimizer._provisional() == best
    optimizer.get_final_architecture()
    assert optimizer.rng.getstate() == state and optimizer.path == path and optimizer.outcome is None
    assert optimizer.graph.assignment == standing and optimizer.graph.training


def _copy_of(rng: Random) -> Random:
    new = Random()
    new.setstate(rng.getstate())
    return new


# random search with weight sharing


class _Known:
    """A scorer with known accuracies: a noisy first measurement, and the true one."""

    def __init__(self) -> None:
        self.first: list[tuple] = []
        self.all: list[tuple] = []

    def on_next(self, code, n_batches=1):
        self.first.append((code, n_batches))
        return -float(sum(code))  # small indices look best

    def on_all(self, code):
        self.all.append(code)
        return float(code[0])

    def show(self, quality):
        return f"{quality:.2f}"


def test_random_nas_measures_all_samples_then_the_finalists():
    optimizer = adapted(mlp_space(), num_samples=50, sample_batches=3, num_finalists=5)
    rng, scorer = _copy_of(optimizer.rng), _Known()
    codes = [optimizer.paths.random(rng) for _ in range(50)]
    found = optimizer.select_path(scorer)
    assert scorer.first == [(code, 3) for code in codes]
    assert scorer.all == sorted(codes, key=sum)[:5]
    assert found == max(scorer.all, key=lambda code: code[0])
    assert optimizer.rng.getstate() == rng.getstate()


def test_random_nas_takes_one_round_per_ten_thousand_batches_unless_told():
    optimizer = adapted(mlp_space(), num_samples=4, num_finalists=0)
    for steps, rounds, expected in ((50, None, 1), (29_999, None, 2), (29_999, 3, 3)):
        optimizer.steps, optimizer.rounds, scorer = steps, rounds, _Known()
        found = optimizer.select_path(scorer)
        assert len(scorer.first) == 4 * expected and not scorer.all
        assert sum(found) == min(sum(code) for code, _ in scorer.first)


@pytest.mark.parametrize(
    ("key", "value"), [("rounds", 0), ("num_samples", 0), ("num_finalists", -1), ("recalibration_batches", -1)]
)
def test_impossible_counts_are_config_errors(key: str, value: int):
    with pytest.raises(ConfigError, match=key):
        RandomNASOptimizer(**{key: value})
