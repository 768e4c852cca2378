"""NAO and SemiNAS: sequences, their loss and their gradient by hand, rounds, and searches that were killed."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from naslib.errors import ConfigError, PredictorError, UnsupportedBySpaceError
from naslib.history import Outcome, Trial
from naslib.optimizers import NAO, SemiNAS
from naslib.optimizers.discrete.sequences.controller import SequenceController
from naslib.optimizers.discrete.sequences.writing import Writing
from naslib.predictors.models.sequence_model import SequenceModel, sequence_loss
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.nasbench101.codec import NasBench101Codec
from tests.support.black_box import SIZE, Scores, adapted, drive, restore, saved, values_of
from tests.support.zoo import ENTRIES

SMALL: dict[str, Any] = {
    "num_init": 6, "k": 3, "num_seeds": 4, "controller_epochs": 3, "first_epochs": 3, "controller_batch_size": 6,
    "hidden_size": 8, "mlp_size": 4, "spellings": 2, "max_step": 4,
}  # fmt: skip
SEMI = {**SMALL, "num_unlabelled": 8, "epochs_on_both": 2}
BOTH = [(NAO, SMALL), (SemiNAS, SEMI)]


# sequences


def test_a_cell_of_nasbench101_is_written_vertex_by_vertex() -> None:
    writing = Writing(NasBench101Codec())
    # input -> 2 (conv3x3) -> 3 (max pooling) -> output, and input -> 3; vertices 4 to 6 are not there
    code = (1, 1, 1, *[0] * 3, *[0] * 4, *[0] * 5, 0, 0, 1, 0, 0, 0, 0, 2, -1, -1, -1)
    code = NasBench101Codec().canonical(code)
    (row,) = writing.write([code]).tolist()
    # words: 1 nothing, 2 and 3 for no edge and an edge, from 4 on the operations
    bits = [2 + bit for bit in code[:21]]
    ops = [1 if op == -1 else 4 + op for op in code[21:]]
    expected: list[int] = []
    for vertex in range(2, 8):
        start = (vertex - 1) * (vertex - 2) // 2
        expected += [*bits[start : start + vertex - 1], *ops[vertex - 2 : vertex - 1]]
    assert row == expected and tuple(writing.allowed.shape) == (26, 7)
    assert writing.read(torch.tensor([row])) == [code]


def test_spellings_of_a_cell_are_its_orders_of_vertices() -> None:
    codec = NasBench101Codec()
    writing = Writing(codec)
    # two branches of one vertex each: two orders
    code = codec.canonical((1, 1, 0, *[0] * 3, *[0] * 4, *[0] * 5, 0, 1, 1, 0, 0, 0, 0, 1, -1, -1, -1))
    rng = Random(0)
    rows = {tuple(row) for row in writing.write([code] * 40, rng).tolist()}
    assert len(rows) == 2
    assert writing.read(torch.tensor(sorted(rows))) == [code, code]


def test_pairs_of_a_node_in_any_order_are_one_architecture() -> None:
    codec = ENTRIES["nasbench301"].make(n_classes=4, in_channels=3)._codec()
    writing = Writing(codec)
    rng = Random(1)
    codes = [codec.random(rng) for _ in range(20)]
    rows = writing.write(codes)
    # a cell of two nodes: operations of node 3, then (input, operation) twice
    swapped = rows[:, [0, 1, 4, 5, 2, 3, 6, 7, 10, 11, 8, 9]]
    assert (swapped != rows).any(1).all() and writing.read(swapped) == codes
    twice = rows.clone()
    twice[:, 4] = twice[:, 2]  # the same input again
    assert writing.read(twice) == [None] * 20
    assert {tuple(row) for row in writing.write([codes[0]] * 60, rng).tolist()} == {
        tuple(one[0].tolist()) for one in (rows, rows[:, [0, 1, 4, 5, 2, 3, *range(6, 12)]],
                                           rows[:, [*range(6), 6, 7, 10, 11, 8, 9]], swapped)
    }  # fmt: skip


@pytest.mark.parametrize("name", ["nasbench201", "pnas", "ofa_mobilenetv3", "transbench101_macro", "own_module"])
def test_spaces_of_every_kind_are_written_and_read(name: str) -> None:
    codec = ENTRIES[name].make(n_classes=4, in_channels=3)._codec()
    writing, rng = Writing(codec), Random(2)
    codes = [codec.random(rng) for _ in range(30)]
    for rows in (writing.write(codes), writing.write(codes, rng)):
        assert writing.read(rows) == codes
        assert writing.allowed[torch.arange(rows.shape[1]), rows].all()


def test_what_is_no_architecture_is_none() -> None:
    writing = Writing(NasBench101Codec())
    nothing = torch.full((1, 26), 2)
    nothing[0, [1, 4, 8, 13, 19]] = 1
    everything = torch.full((1, 26), 3)
    everything[0, [1, 4, 8, 13, 19]] = 4  # 21 edges, and at most 9 are allowed
    assert writing.read(torch.cat([nothing, everything])) == [None, None]


def test_a_space_without_decisions_is_refused() -> None:
    class Silent(Codec[Any]):
        name = "silent"

        def from_graph(self, graph: Any) -> Any:
            raise NotImplementedError

        def apply(self, graph: Any, code: Any) -> None:
            raise NotImplementedError

        def canonical(self, spec: Any) -> Any:
            return spec

    with pytest.raises(UnsupportedBySpaceError, match="silent does not state its decisions"):
        Writing(Silent())


# the controller


def tiny(is_bounded: bool) -> tuple[SequenceModel, torch.Tensor]:
    torch.manual_seed(3)
    allowed = torch.ones(4, 5, dtype=torch.bool)
    allowed[2, 4] = False
    model = SequenceModel(allowed, 6, 3, 0.0, is_bounded=is_bounded).double().eval()
    return model, torch.tensor([[1, 2, 3, 4], [4, 4, 1, 1], [2, 1, 3, 3]])


@pytest.mark.parametrize("is_bounded", [False, True])
def test_the_step_is_the_gradient_of_the_value(is_bounded: bool) -> None:
    model, tokens = tiny(is_bounded)
    steps = model.encoder(tokens).steps.detach()
    by_hand = torch.zeros_like(steps)
    for place in np.ndindex(*steps.shape):
        ends = []
        for sign in (1, -1):
            moved = steps.clone()
            moved[place] += sign * 1e-6
            ends.append(model.encoder.read(moved).value.sum().item())
        by_hand[place] = (ends[0] - ends[1]) / 2e-6
    eta = 7.0
    with torch.no_grad():
        expected = model.encoder.read(F.normalize(steps + eta * by_hand, dim=-1))
        words, value = model.decode(expected), expected.value
    found, reached = model.improved(tokens, eta)
    assert torch.equal(found, words) and torch.allclose(reached, value, atol=1e-8, rtol=0)
    assert (reached > model.encoder(tokens).value).all()
    assert not is_bounded or ((reached > 0) & (reached < 1)).all()


def test_the_loss_is_the_error_and_the_likelihood_of_the_words() -> None:
    model, tokens = tiny(False)
    targets = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    values, logits = model(tokens)
    loss = sequence_loss((values - targets).square().mean(), logits, tokens, 0.8)
    surprise = 0.0
    for row, place in np.ndindex(3, 4):
        scores = [logits[row, place, word].item() for word in range(5) if model.allowed[place, word]]
        surprise -= logits[row, place, tokens[row, place]].item() - math.log(sum(map(math.exp, scores)))
    error = sum((values[i].item() - targets[i].item()) ** 2 for i in range(3)) / 3
    assert loss.item() == pytest.approx(0.8 * error + 0.2 * surprise / 12, abs=1e-12)
    # the second word is judged with the first one told: the encoder's outputs, the embedding as state, attention
    with torch.no_grad():
        encoded = model.encoder(tokens)
        one = model.decoder.embedding(torch.tensor([[0, 1]]))
        state = encoded.embedding[None, :1].contiguous()
        hidden = (one + model.decoder.rnn(one, (state, state))[0]) * 0.5**0.5
        scores = model.decoder.attention.query(hidden)[0, 1] @ encoded.steps[0].T
        seen = torch.softmax(scores, 0) @ encoded.steps[0]
        mixed = torch.tanh(model.decoder.attention.combine(torch.cat([seen, hidden[0, 1]])))
        assert torch.allclose(model.decoder.out((hidden[0, 1] + mixed) * 0.5**0.5), logits[0, 1], atol=1e-12)


def test_a_controller_learns_and_goes_on() -> None:
    tokens = torch.tensor([[a, b, 1] for a in range(1, 4) for b in range(1, 4)])
    targets = (tokens[:, 0] + tokens[:, 1]).double().numpy() / 6
    controller = SequenceController(
        torch.ones(3, 4, dtype=torch.bool), hidden=12, mlp=4, dropout=0.0, learning_rate=0.015
    )
    with pytest.raises(PredictorError, match="has not been trained"):
        controller.values(tokens)
    first = controller.train([tokens], targets, 5, 0)
    last = controller.train([tokens], targets, 80, 1)
    assert last < first / 5 and np.corrcoef(controller.values(tokens), targets)[0, 1] > 0.95
    assert torch.equal(controller.moved(tokens, 0.0), tokens)  # the decoder writes what was read
    state = controller.state_dict()
    other = SequenceController(torch.ones(3, 4, dtype=torch.bool), hidden=12, mlp=4, dropout=0.0, learning_rate=0.015)
    assert other.state_dict() == {"weights": {}}
    other.load_state_dict(state)
    assert np.array_equal(other.values(tokens), controller.values(tokens))
    assert controller.train([tokens], targets, 2, 5) == other.train([tokens], targets, 2, 5)
    controller.forget()
    assert controller.train([tokens], targets, 5, 0) == first


# the searches


def test_targets_are_of_the_labels() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert NAO().targets(values).tolist() == [1.0, 0.0, 0.5] and NAO().targets(np.ones(2)).tolist() == [0.5, 0.5]
    standard = SemiNAS().targets(values)
    assert standard == pytest.approx([1.5**0.5, -(1.5**0.5), 0.0]) and SemiNAS().targets(np.ones(2)).tolist() == [0, 0]


@pytest.mark.parametrize(("kind", "keywords"), BOTH)
def test_a_round_takes_steps_of_growing_length_from_the_best(kind: Any, keywords: dict[str, Any]) -> None:
    optimizer = adapted(kind, **keywords)
    drive(optimizer, 6)
    _, controller = optimizer.parts()
    steps: list[tuple[int, float]] = []
    moved = controller.moved

    def watched(tokens: torch.Tensor, step: float) -> torch.Tensor:
        steps.append((len(tokens), step))
        return moved(tokens, step)

    controller.moved = watched
    optimizer.ask(1)
    assert steps and [step for _, step in steps] == [float(n) for n in range(1, len(steps) + 1)]
    assert {rows for rows, _ in steps} == {4}
    assert len(optimizer.state.queue) == 2  # k of them, one of which was asked for
    best = {optimizer.state.numbers[place] for place in optimizer.state.best(4)}
    assert {parent for _, parent in optimizer.state.queue} <= {*best, None}


def test_of_a_surplus_the_best_by_prediction_are_asked_for() -> None:
    optimizer = adapted(NAO, **{**SMALL, "surplus": 4})
    drive(optimizer, 6)
    collections: list[Any] = []
    made = optimizer.new_candidates
    optimizer.new_candidates = lambda: collections.append(made()) or collections[-1]
    writing, controller = optimizer.parts()
    rng = Random(0)
    writing.read = lambda tokens: [optimizer.codec.random(rng) for _ in tokens]  # whatever it would have written
    chosen = [code for code, _ in optimizer.next_round()]
    written = collections[0].codes
    values = dict(zip(written, controller.values(writing.write(written)).tolist(), strict=True))
    assert len(set(values.values())) > len(chosen) == optimizer.k
    assert [values[code] for code in chosen] == sorted(values.values(), reverse=True)[: optimizer.k]


@pytest.mark.parametrize(("kind", "keywords"), BOTH)
def test_a_killed_search_goes_on_as_it_would_have(kind: Any, keywords: dict[str, Any]) -> None:
    whole, killed = (adapted(kind, **keywords) for _ in range(2))
    drive(whole, 11), drive(killed, 11)
    state = saved(killed)
    assert state["controller"]["weights"] and len(state["labels"]["queue"]) == 1
    resumed = adapted(kind, seed=7, **keywords)
    restore(resumed, state)
    assert drive(whole, 20) == drive(resumed, 20)
    weights = whole.parts()[1].model.state_dict()
    assert all(torch.equal(weights[name], other) for name, other in resumed.parts()[1].model.state_dict().items())


@pytest.mark.parametrize(("kind", "keywords"), BOTH)
def test_a_small_space_is_searched_to_its_end(kind: Any, keywords: dict[str, Any]) -> None:
    optimizer = adapted(kind, **{**keywords, "num_init": SIZE - 5, "max_labels": 20})
    asked = drive(optimizer, SIZE)
    assert len(set(asked)) == SIZE  # each architecture once
    assert optimizer.record.incumbent_value == max(values_of(code)[0] for code in asked)


def test_weights_go_on_or_do_not() -> None:
    for carry, same in ((True, False), (False, True)):
        optimizer = adapted(NAO, carry_over=carry, **SMALL)
        drive(optimizer, 6)
        controller, losses = optimizer.parts()[1], []
        train = controller.train

        def told(
            spellings: Any, targets: Any, epochs: int, seed: int, losses: Any = losses, train: Any = train
        ) -> float:
            losses.append(train(spellings, targets, epochs, 0))
            return losses[-1]

        controller.train = told
        for _ in range(2):
            optimizer.rng.seed(0)
            optimizer.next_round()
        assert (losses[0] == losses[1]) is same


def test_seminas_labels_what_it_draws() -> None:
    optimizer = adapted(SemiNAS, **SEMI)
    drive(optimizer, 6)
    controller, trainings = optimizer.parts()[1], []
    train = controller.train

    def watched(spellings: Any, targets: np.ndarray, epochs: int, seed: int) -> float:
        trainings.append((len(spellings), len(spellings[0]), len(targets), epochs))
        return train(spellings, targets, epochs, seed)

    controller.train = watched
    codes, targets = optimizer.state.codes, optimizer.targets(np.array(optimizer.state.merits))
    others = optimizer.learn(codes, targets)
    # 6 labels alone, then each twice beside 8 others
    assert trainings == [(2, 6, 6, 3), (2, 2 * 6 + 8, 2 * 6 + 8, 2)]
    assert len({code for code, _ in others} - set(codes)) == 8
    optimizer.up_sample = 10
    optimizer.learn(codes, targets)
    assert trainings[-1] == (2, 68, 68, 2)


@pytest.mark.parametrize(
    ("kind", "keywords", "message"),
    [
        (NAO, {"k": 0}, "k must be at least 1"),
        (NAO, {"trade_off": 1.5}, r"trade_off must be in \[0, 1\]"),
        (NAO, {"controller_learning_rate": 0.0}, "controller_learning_rate above 0"),
        (NAO, {"num_unlabelled": 5}, "num_unlabelled"),
        (SemiNAS, {"num_unlabelled": 0, "up_sample": 0}, "num_unlabelled must be at least 1"),
        (SemiNAS, {"dropout": 1.0}, r"dropout in \[0, 1\)"),
    ],
)
def test_what_is_refused(kind: Any, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**keywords)


def test_a_controller_that_diverges_is_an_error() -> None:
    optimizer = adapted(NAO, **{**SMALL, "controller_learning_rate": 1e30})
    drive(optimizer, 6)
    with pytest.raises(PredictorError, match=r"take a smaller controller_learning_rate \(1e\+30\)"):
        optimizer.ask(1)


def test_what_it_writes_is_better_than_what_was_drawn() -> None:
    class Sum(Scores):
        def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
            return Outcome((float(sum(trial.code)),))

    keywords: dict[str, Any] = {"first_epochs": 80, "controller_batch_size": 20, "hidden_size": 16, "num_seeds": 10}
    optimizer = NAO(num_init=40, k=20, controller_learning_rate=1e-2, max_step=20, **keywords)
    np.random.seed(0)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "none", evaluator=Sum())
    drive(optimizer, 60)
    merits = optimizer.state.merits
    assert np.mean(merits[40:]) > np.mean(merits[:40]) + 2
