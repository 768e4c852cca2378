"""PNAS: how cells grow (all of them, counted), what the surrogate computes, and how a search goes on level by level."""

from __future__ import annotations

import itertools
from math import comb
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from black_box import restore, saved

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, State, Trial
from naslib.optimizers import PNAS
from naslib.optimizers.discrete.pnas.networks import made, predict, train
from naslib.optimizers.discrete.pnas.surrogate import CellSurrogate
from naslib.search_spaces import NasBench101SearchSpace, NasBench201SearchSpace, NASNetSearchSpace, PNASSearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.known_codec import KnownCodec

SMALL: dict[str, Any] = {"channels": 4, "cells_per_stage": 1}


class Cells(Evaluator):
    """The share of genes that are one, of what is there, in percent."""

    fidelity = 1
    objectives = (Objective("ones", True, "%"),)

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome((value_of(trial.code),))


class Losses(Cells):
    objectives = (Objective("loss", False),)


class Errors(Cells):
    objectives = (Objective("error", False, "%"),)


def value_of(code: tuple[int, ...]) -> float:
    there = [gene for gene in code if gene >= 0]
    return 50 + 40 * sum(gene == 1 for gene in there) / len(there)


def searched(space: Any, seed: int = 0, evaluator: Evaluator | None = None, **kwargs: Any) -> PNAS:
    optimizer = PNAS(**{"beam_size": 5, "surrogate_epochs": 2, "ensemble": 2, **kwargs})
    np.random.seed(seed)
    optimizer.adapt_search_space(space, evaluator=evaluator or Cells())
    return optimizer


def drive(optimizer: PNAS, until: int, workers: int = 1) -> list[Trial]:
    asked: list[Trial] = []
    while optimizer.record.asked < until or optimizer.record.pending:
        wanted = min(workers - len(optimizer.record.pending), until - optimizer.record.asked)
        asked += optimizer.ask(wanted) if wanted > 0 else []
        first = optimizer.pending()[0]
        optimizer.tell(first, [value_of(first.code)])
    return asked


@pytest.fixture(scope="module")
def pnas() -> PNASSearchSpace:
    return PNASSearchSpace(**SMALL, n_classes=4, blocks=3)


@pytest.fixture(scope="module")
def nb201() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(**SMALL)


# how cells grow


def test_the_cells_of_the_paper_are_as_many_as_it_says(pnas: PNASSearchSpace):
    codec = pnas._codec()
    widening, first = codec.widening(), [*codec.widening().first()]
    assert len(first) == len(set(first)) == 136  # of 256, the order of the branches aside ([Liu2018pnas], section 4.1)
    assert len({codec.identity(code) for code in first}) == 136
    assert all(codec.is_valid(code) and widening.width_of(code) == 1 for code in first)
    for code, count in ((first[77], 300), ([*widening.wider(first[77])][123], 528)):  # n (n + 1) / 2 of 3 * 8, 4 * 8
        grown = [*widening.wider(code)]
        width = widening.width_of(code)
        assert len(set(grown)) == len(grown) == count == comb(8 * (2 + width) + 1, 2)
        assert {widening.width_of(other) for other in grown} == {width + 1}
        for other in grown[::50]:  # the words are those of the genotype
            cell = codec.to_cells(other).normal
            pairs = [cell.edges[2 * block : 2 * block + 2] for block in range(width + 1)]
            ops = [[widening.operations.index(op) for op, _ in pair] for pair in pairs]
            states = [[state for _, state in pair] for pair in pairs]
            assert [*map(list, widening.rows(other))] == [s + o for s, o in zip(states, ops, strict=True)]
        assert all([*widening.rows(other)][:width] == [*widening.rows(code)] for other in grown)


def test_both_combinations_double_what_a_block_can_be():
    space = PNASSearchSpace(**SMALL, blocks=2, combine=["add", "concat"], primitives=("skip_connect", "conv_1x1"))
    widening = space._codec().widening()
    first = [*widening.first()]
    assert len(set(first)) == 2 * comb(5, 2)
    assert {row[-1] for code in first for row in widening.rows(code)} == {0, 1}
    assert widening.positions == (0, 0, 1, 1, 2) and widening.vocabularies == (3, 2, 2)


def test_two_cells_grow_as_one():
    space = NASNetSearchSpace(**SMALL, blocks=2, primitives=("skip_connect", "conv_1x1"))
    codec = space._codec()
    first = [*codec.widening().first()]
    assert len(set(first)) == comb(5, 2)
    for code in first:
        cells = codec.to_cells(code)
        assert cells.normal == cells.reduce and cells.normal.blocks == 1 and codec.is_valid(code)
    other = next(code for code in map(codec.random, map(Random, range(9))) if len({*codec.to_cells(code)}) == 2)
    with pytest.raises(ArchitectureError, match="the normal and the reduction cell differ"):
        codec.widening().width_of(other)


def test_every_cell_of_nasbench101_grows_from_one_of_a_vertex_less():
    codec = NasBench101SearchSpace()._codec()
    widening, first = codec.widening(), {*codec.widening().first()}
    grown = {other for code in first for other in widening.wider(code)}
    # of 3 and of 4 vertices: so many are among the 423,624 cells, which begin with that of an edge alone
    assert (len(first), len(grown)) == (6, 84)
    assert {*itertools.islice(codec.iterate(), 1, 91)} == first | grown
    rows = widening.rows(max(grown))
    assert len(rows) == 3 and {len(row) for row in rows} == {len(widening.positions)}


@pytest.mark.slow
def test_so_do_those_of_five_vertices():
    codec = NasBench101SearchSpace()._codec()
    widening, four = codec.widening(), [*itertools.islice(codec.iterate(), 7, 91)]
    grown = {other for code in four for other in widening.wider(code)}
    assert len(grown) == 2441 and {*itertools.islice(codec.iterate(), 91, 91 + 2441)} == grown


def test_every_cell_of_nasbench201_without_loose_ends_grows(nb201: NasBench201SearchSpace):
    widening = nb201._codec().widening()
    level = {*widening.first()}
    found = [len(level)]
    while len(found) < widening.widths:
        level = {grown for code in level for grown in widening.wider(code)}
        found.append(len(level))
    by_hand: dict[int, int] = {}
    none = 1
    for code in itertools.product(range(5), repeat=6):  # 1-2, 1-3, 1-4, 2-3, 2-4, 3-4
        a, b, c, d, e, f = (op != none for op in code)
        if not a and not b and not d and not e and not f:
            by_hand[1] = by_hand.get(1, 0) + c
        elif not b and not d and not f:
            by_hand[2] = by_hand.get(2, 0) + (a and e)
        else:
            by_hand[3] = by_hand.get(3, 0) + (a and (d or e) and (b or d) and f)
    assert found == [by_hand[1], by_hand[2], by_hand[3]] == [4, 80, 9280]


def test_fewer_blocks_are_an_architecture_with_its_own_network(pnas: PNASSearchSpace):
    codec = pnas._codec()
    code = next(iter(codec.widening().wider(next(iter(codec.widening().first())))))
    graph = pnas.clone()
    graph.set_spec(code)
    assert graph.get_code() == code and graph.genotype()["cell_concat"] == [2, 3] and len(graph.genotype()["cell"]) == 4
    images = torch.randn(2, 3, 16, 16)
    wide = fresh_network(pnas, code)  # as wide as a whole cell, with zeros for the block that is missing
    narrow = fresh_network(pnas, code, {"cells_per_stage": 1, "channels": 4, "auxiliary": False})
    assert wide(images).shape == narrow(images).shape == (2, 4)
    cells = [node["subgraph"] for node in wide.nodes.values() if "subgraph" in node]
    two = [cell for cell in cells if cell.name == "cell"]
    assert two and all(11 not in cell and 8 in cell for cell in two)  # the third block, and the second
    both = next(c for c in codec.widening().first() if codec.widening().rows(c)[0][:2] == (0, 1))
    assert fresh_network(pnas, both)(images).shape == (2, 4)  # one block that reads both states
    with pytest.raises(ArchitectureError, match="takes 1 of the indices"):
        pnas.clone().set_spec((*code[:-1], 7))
    gap = codec.widths.masked(codec.random(Random(0)), 1)
    assert codec.is_valid(gap) and not codec.is_valid((-1,) * len(gap))


def test_spaces_whose_cells_do_not_grow_are_refused():
    from naslib.search_spaces import NasBench301SearchSpace

    with pytest.raises(UnsupportedBySpaceError, match=r"pnas evaluates cells of one block.*do not grow block by block"):
        searched(NasBench301SearchSpace(channels=4))
    fixed = PNASSearchSpace(**SMALL, blocks=2, concat={"normal": [2, 3], "reduce": [2, 3]})
    with pytest.raises(UnsupportedBySpaceError, match="take concat=unused or concat=all"):
        searched(fixed)


# the surrogate


def test_the_mlp_by_hand():
    network = made("mlp", (3, 4), (0, 0, 1), seed=1).double()
    rows = [[(0, 1, 2)], [(0, 1, 2), (2, 0, 3)]]
    tables = [table.weight.detach().numpy() for table in network.words]
    first, last = network.first, network.last
    for cell, found in zip(rows, predict(network, rows), strict=True):
        mean = np.mean([np.concatenate([tables[0][a], tables[0][b], tables[1][c]]) for a, b, c in cell], axis=0)
        hidden = np.maximum(first.weight.detach().numpy() @ mean + first.bias.detach().numpy(), 0)
        score = float(last.weight.detach().numpy()[0] @ hidden + last.bias.detach().numpy()[0])
        assert found == pytest.approx(1 / (1 + np.exp(-score)), abs=1e-12)


def test_the_lstm_reads_all_words_in_their_order():
    network = made("lstm", (3, 4), (0, 0, 1), seed=1).double()
    rows = [[(0, 1, 2), (2, 0, 3)]]
    words = torch.stack(
        [network.words[0].weight[w] if p < 2 else network.words[1].weight[w] for r in rows[0] for p, w in enumerate(r)]
    )
    state, cell = torch.zeros(100, dtype=torch.float64), torch.zeros(100, dtype=torch.float64)
    lstm = network.lstm
    for word in words:
        gates = lstm.weight_ih_l0 @ word + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ state + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        state = torch.sigmoid(o) * torch.tanh(cell)
    expected = torch.sigmoid(network.last(state)).item()
    assert predict(network, rows) == pytest.approx([expected], abs=1e-12)
    assert network.last.bias.item() == pytest.approx(1.8, abs=1e-6)  # a prediction begins near .86


def test_a_step_goes_down_the_mean_absolute_error():
    network = made("mlp", (3,), (0, 0), seed=0)
    rows, targets = torch.tensor([[[0, 1]], [[2, 2]]]), torch.tensor([0.2, 0.95])
    before = network.last.bias.item()
    p = network(rows).detach().double().numpy()
    slope = np.mean(np.sign(p - targets.numpy()) * p * (1 - p))  # of the bias
    train(network, [(rows, targets)], epochs=1, rate=0.01, size=8, seed=0)
    # the first step of Adam is the rate, against the sign of the slope
    assert network.last.bias.item() == pytest.approx(before - 0.01 * np.sign(slope), abs=1e-6)
    train(network, [(rows, targets)], epochs=60, rate=0.01, size=8, seed=0)
    assert predict(network, [[(0, 1)], [(2, 2)]]) == pytest.approx([0.2, 0.95], abs=0.1)


def test_an_ensemble_is_fitted_on_folds_and_one_network_learns_on(nb201: NasBench201SearchSpace, monkeypatch):
    widening = nb201._codec().widening()
    codes = [*widening.wider(next(iter(widening.first())))][:11]
    seen: list[tuple[int, float]] = []

    def spy(network: Any, batches: Any, epochs: int, rate: float, size: int, seed: int) -> None:
        seen.append((sum(len(rows) for rows, _ in batches), rate))

    monkeypatch.setattr("naslib.optimizers.discrete.pnas.surrogate.train", spy)
    ensemble = CellSurrogate(widening, "mlp", 5, 1)
    ensemble.fit(codes, [0.5] * 11, Random(0))
    assert sorted(seen) == [(8, 0.01)] + [(9, 0.01)] * 4  # folds of 3, 2, 2, 2, 2
    first = ensemble.networks
    ensemble.fit(codes, [0.5] * 11, Random(0))
    assert {rate for _, rate in seen[5:]} == {0.002} and ensemble.networks[0] is not first[0]
    alone = CellSurrogate(widening, "lstm", 1, 1)
    alone.fit(codes, [0.5] * 11, Random(0))
    network = alone.networks[0]
    alone.fit(codes, [0.5] * 11, Random(1))
    assert seen[-2:] == [(11, 0.01), (11, 0.002)] and alone.networks[0] is network


# the search


def test_levels_are_evaluated_one_after_the_other(pnas: PNASSearchSpace):
    optimizer = searched(pnas)
    asked = drive(optimizer, 136 + 5 + 5 + 5)
    widening = pnas._codec().widening()
    assert [widening.width_of(trial.code) for trial in asked] == [1] * 136 + [2] * 5 + [3] * 10
    assert len({trial.code for trial in asked}) == len(asked)
    by_number = {trial.number: trial for trial in asked}
    best = sorted(asked[:136], key=lambda trial: -value_of(trial.code))[:5]
    for trial in asked[136:141]:
        assert trial.parent in {parent.number for parent in best}
        assert [*widening.rows(by_number[trial.parent].code)] == [*widening.rows(trial.code)][:1]
    assert {trial.parent for trial in asked[141:]} <= set(range(136, 141))
    assert optimizer.record.incumbent_value == max(value_of(trial.code) for trial in asked)
    assert optimizer.get_final_architecture().get_code() == optimizer.record.incumbent


def test_what_the_surrogate_predicts_is_what_is_evaluated(nb201: NasBench201SearchSpace, monkeypatch):
    monkeypatch.setattr(CellSurrogate, "fit", lambda self, codes, targets, rng: None)
    monkeypatch.setattr(CellSurrogate, "predict", lambda self, codes: np.array([value_of(code) for code in codes]))
    optimizer = searched(nb201)
    asked = [trial.code for trial in drive(optimizer, 4 + 5 + 5 + 5)]
    widening = nb201._codec().widening()
    first = {grown for code in asked[:4] for grown in widening.wider(code)}
    assert sorted(map(value_of, first))[-5:] == sorted(map(value_of, asked[4:9]))
    last = {grown for code in asked[4:9] for grown in widening.wider(code)}
    best = sorted(map(value_of, last))
    assert sorted(map(value_of, asked[9:14])) == best[-5:]
    assert sorted(map(value_of, asked[14:])) == best[-10:-5]  # then the next best of the same


@pytest.mark.parametrize("surrogate", ["random", "all"])
def test_without_a_surrogate_cells_are_drawn_or_all_taken(surrogate: str, nb201: NasBench201SearchSpace):
    asked = [trial.code for trial in drive(searched(nb201, surrogate=surrogate), 60)]
    widening = nb201._codec().widening()
    widths = [widening.width_of(code) for code in asked]
    assert widths == ([1] * 4 + [2] * 5 + [3] * 51 if surrogate == "random" else [1] * 4 + [2] * 56)
    assert len(set(asked)) == 60


@pytest.mark.parametrize("measured", [Losses, Errors])
def test_a_loss_is_learned_by_its_spread(measured: type[Evaluator], nb201: NasBench201SearchSpace):
    optimizer = searched(nb201, evaluator=measured())
    for trial in optimizer.ask(4):
        optimizer.tell(trial, [float(trial.number)])
    optimizer.ask(1)
    assert optimizer.levels.scale == (-1.5, pytest.approx(np.std([0, 1, 2, 3])))
    targets = optimizer._targets(np.array([-1.5, -1.5 - np.std([0, 1, 2, 3])]))
    assert targets == pytest.approx([0.5, 1 / (1 + np.e)], abs=1e-12)


@pytest.mark.parametrize("ensemble", [1, 2])
def test_a_killed_search_goes_on_as_if_it_had_not_been(ensemble: int, nb201: NasBench201SearchSpace):
    whole, other = (searched(nb201, seed, ensemble=ensemble) for seed in (0, 5))
    drive(whole, 12, workers=2)
    restore(other, saved(whole))
    again = [[(trial.code, trial.parent) for trial in drive(optimizer, 30, workers=2)] for optimizer in (whole, other)]
    assert again[0] == again[1] and len(again[0]) == 18


def test_failures_grow_only_where_nothing_else_does(nb201: NasBench201SearchSpace):
    optimizer = searched(nb201)
    for trial in optimizer.ask(9):
        optimizer.tell(trial, None, state=State.FAILED)
    (trial,) = optimizer.ask(1)
    assert nb201._codec().widening().width_of(trial.code) == 2 and trial.parent is None


def test_on_a_table_that_lacks_cells_the_others_are_evaluated(nb201: NasBench201SearchSpace):
    optimizer = searched(nb201)
    codec = nb201._codec()
    known = [codec.random(Random(seed)) for seed in range(900)]
    optimizer._codec = KnownCodec(codec, known)
    optimizer._reset()
    asked = [trial.code for trial in drive(optimizer, 30)]
    assert set(asked) <= set(known)


def test_what_cannot_be_is_refused(nb201: NasBench201SearchSpace):
    with pytest.raises(ConfigError, match=r"beam_size must be at least 1, not 0[\s\S]*did you mean 'lstm'"):
        PNAS(beam_size=0, surrogate="lstms")
    with pytest.raises(ArchitectureError, match=r"cannot have asked for.*lead nowhere"):
        searched(nb201).tell((1, 0, 1, 1, 1, 1), 50.0)
