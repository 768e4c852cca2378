"""A search by a proposer: what it is told, what is refused, and that a killed search asks for nothing twice."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from naslib.build import main
from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.evaluators import Evaluator, SerialExecutor, TrialSearch
from naslib.evaluators.base import never
from naslib.history import History, MemoryHistory, Objective, Outcome, SqliteHistory, State, Trial, load
from naslib.optimizers import ProposerSearch
from naslib.optimizers.discrete.proposer import Request
from naslib.optimizers.discrete.proposer.neighbours import untried_neighbours
from naslib.search_spaces import NasBench201SearchSpace

SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)


class Genes(Evaluator):
    """The sum of the operations, and the number of those that are 0."""

    objectives = (Objective("sum", True), Objective("zeros", False))
    fidelity = 3

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome((float(sum(trial.code)), float(trial.code.count(0))))


class Fickle:
    """Proposes other architectures whenever it is asked, whatever it was told: as unrepeatable as a language model."""

    def __init__(self, seed: int = 0) -> None:
        self.rng, self.requests = Random(seed), list[Request]()

    def __call__(self, request: Request) -> list[Any]:
        self.requests.append(request)
        return [tuple(self.rng.randrange(5) for _ in range(6)) for _ in range(request.n)]


def adapted(proposer: Any, seed: int = 0, **keywords: Any) -> ProposerSearch:
    np.random.seed(seed)
    optimizer = ProposerSearch(proposer=proposer, **{"num_init": 3, **keywords})
    optimizer.adapt_search_space(SPACE, "x", evaluator=Genes())
    return optimizer


def told(optimizer: ProposerSearch, count: int) -> list[Trial]:
    done = []
    for _ in range(count):
        (trial,) = optimizer.ask(1)
        done.append(optimizer.tell(trial, Genes().evaluate(trial).values))
    return [trial for trial in done if trial is not None]


def test_it_is_told_all_trials_the_space_and_the_objectives() -> None:
    seen: list[Request] = []

    def proposer(request: Request) -> list[Any]:
        seen.append(request)
        return list(untried_neighbours(request))

    trials = told(adapted(proposer), 6)
    assert [len(request.trials) for request in seen] == [3, 4, 5]
    for request, number in zip(seen, (3, 4, 5), strict=True):
        assert [(s.number, s.code, s.values) for s in request.trials] == [
            (t.number, t.code, t.values) for t in trials[:number]
        ]
        assert request.objectives == Genes.objectives and request.n == 1 and request.pending == ()
        assert request.parent in request.trials and trials[number].parent == request.parent.number
    text = seen[0].description
    assert text.startswith("6 decisions, 15,625 architectures") and "ReLUConvBN3x3" in text
    assert list(seen[0].choices((0, 1, 2, 3, 4, 0)).values())[1:3] == ["Zero", "ReLUConvBN3x3"]
    assert len({request.seed for request in seen}) == 3
    # the best by the first objective, which is maximised; the neighbour of it that comes first
    best = max(trials[:3], key=lambda trial: sum(trial.code))
    tried = {trial.code for trial in trials[:3]}
    expected = next(code for code in SPACE._codec().neighbours(best.code) if code not in tried)
    assert trials[3].code == expected


def test_mutations_are_proposed_where_neighbours_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*_: Any) -> None:
        raise UnsupportedBySpaceError("the architecture has 4,199,105,058 neighbours")

    monkeypatch.setattr(type(SPACE.codec), "neighbours", too_many)
    codes = [trial.code for trial in told(adapted(untried_neighbours), 12)]
    assert len(set(codes)) == 12
    for place in range(3, 12):  # one decision away from the best one before
        best = max(codes[:place], key=sum)
        assert sum(a != b for a, b in zip(best, codes[place], strict=True)) == 1


def test_the_parent_is_the_best_of_a_tournament_of_all() -> None:
    fickle = Fickle()
    trials = told(adapted(fickle, sample_size=400, population_size=4), 30)
    for request in fickle.requests:
        newest = request.trials[-4:]
        best = max((seen.values or (0.0,))[0] for seen in newest)
        assert request.parent in newest and (request.parent.values or (0.0,))[0] == best
    assert [trial.parent for trial in trials[:3]] == [None] * 3


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([0, 1, 2, 3, 4, 0], (0, 1, 2, 3, 4, 0)),
        ("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|none~2|", None),
        ({f"cell/{edge}": "Zero" for edge in ("1-2", "1-3", "1-4", "2-3", "2-4", "3-4")}, (1,) * 6),
    ],
)
def test_codes_strings_and_names_are_read(answer: Any, code: tuple[int, ...] | None) -> None:
    if isinstance(answer, dict):
        names = SPACE._codec().decision_space.names  # type: ignore[union-attr]
        answer = dict(zip(names, answer.values(), strict=True))
    trials = told(adapted(lambda request: [answer]), 4)
    expected = SPACE._codec().canonical(answer) if code is None else code
    assert trials[3].code == expected


def test_what_cannot_be_evaluated_is_refused_with_its_reason_and_asked_for_again() -> None:
    asked: list[Request] = []
    answers: Any = iter(
        [[(9, 0, 0, 0, 0, 0), (0, 1), None], [(0, 0, 0, 0, 0, 1), (7,) * 6], [(0, 0, 0, 0, 0, 1)], [(4,) * 6]]
    )

    def proposer(request: Request) -> list[Any]:
        asked.append(request)
        return next(answers)

    optimizer = adapted(proposer, batch=3)
    trials = told(optimizer, 5)
    assert [trial.code for trial in trials[3:]] == [(0, 0, 0, 0, 0, 1), (4,) * 6]
    assert [len(request.refused) for request in asked] == [0, 3, 0, 1]
    assert [refusal.proposal for refusal in asked[1].refused] == [(9, 0, 0, 0, 0, 0), (0, 1), None]
    assert "9" in asked[1].refused[0].why and asked[1].refused[2].why.endswith("not None")
    assert asked[3].refused[0].why == "[0, 0, 0, 0, 0, 1] was tried already"
    assert asked[0].seed == asked[1].seed != asked[2].seed  # the same request, made again
    assert (optimizer.state.requests, optimizer.state.refused) == (4, 5)


def test_after_so_many_refusals_the_search_ends_and_says_why() -> None:
    optimizer = adapted(lambda request: [(5,) * 6], retries=2)
    told(optimizer, 3)
    with pytest.raises(
        ConfigError, match=r"(?s)as trial 3, asked 3 times \(search.retries\); the last one, \(5, 5.*six ints in 0..4"
    ):
        optimizer.ask(1)
    with pytest.raises(ConfigError, match="it returned nothing"):
        (lambda search: (told(search, 3), search.ask(1)))(adapted(lambda request: []))
    with pytest.raises(ConfigError, match=r"returned 'abc' \(str\); expected a list of codes"):
        (lambda search: (told(search, 3), search.ask(1)))(adapted(lambda request: "abc"))
    same = told(adapted(lambda request: [(1,) * 6], repeats=True), 6)
    assert [trial.code for trial in same[3:]] == [(1,) * 6] * 3


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("naslib.optimizers.discrete.proposer.neighbours:untried_neighbour", "did you mean 'untried_neighbours'"),
        ("naslib.no_such_module:f", "cannot import 'naslib.no_such_module'"),
        ("nothing", "expected module:name"),
        ("naslib.optimizers.discrete.proposer.neighbours:_DRAWS", "is no callable but int"),
        (3, "expected a callable or its place"),
    ],
)
def test_a_proposer_that_is_not_there_is_an_error_at_once(given: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        ProposerSearch(proposer=given)
    with pytest.raises(ConfigError, match=r"batch must be at least 1, not 0"):
        ProposerSearch(batch=0)


def run(optimizer: ProposerSearch, history: History, epochs: int, until: int | None = None) -> None:
    with SerialExecutor(Genes()) as executor:
        search = TrialSearch(optimizer, executor, history, seed=7, epochs=epochs)
        done = optimizer.record.evaluations
        while search.goes_on(done) and done != until:
            search.advance(done, never)
            done += 1


@pytest.mark.parametrize(("checkpoint", "killed"), [(0, 7), (2, 5), (4, 4), (4, 8), (5, 9)])
def test_a_killed_search_asks_again_for_nothing_that_the_history_has(
    tmp_path: Path, checkpoint: int, killed: int
) -> None:
    """Also where each request brings three architectures, some of them not evaluated when the search was killed."""
    before = Fickle()
    with SqliteHistory(tmp_path / "killed.sqlite") as history:
        optimizer = adapted(before, batch=3)
        run(optimizer, history, 12, checkpoint)
        state = {name: part.state_dict() for name, part in optimizer.get_checkpointables().items()}
        run(optimizer, history, 12, killed)
        was = [trial for trial in history if trial.state.is_over]
        asked = len(before.requests)

        resumed = adapted(before, seed=9, batch=3)
        for name, part in resumed.get_checkpointables().items():
            part.load_state_dict(state[name])
        if not checkpoint:  # before the first checkpoint the search begins anew, from the seed of the run
            resumed = adapted(before, batch=3)
        run(resumed, history, 12)
        after = history.trials()
    whole = MemoryHistory()
    run(adapted(Fickle(), batch=3), whole, 12)
    assert [t.code for t in after[:killed]] == [t.code for t in was][:killed]
    assert after == whole.trials()  # as if it had not been killed: what was proposed is known
    assert len(before.requests) == 3 and asked <= 3  # 12 trials: 3 random ones, and 3 requests for 3 each
    assert [t.state for t in after] == [State.COMPLETE] * 12


def test_its_state_holds_failures_and_what_is_pending(tmp_path: Path) -> None:
    fickle = Fickle()
    optimizer = adapted(fickle)
    first, second, third = optimizer.ask(3)
    optimizer.tell(first, None, user={"error": "no memory"})
    optimizer.tell(second, (2.0, 3.0))
    (fourth,) = optimizer.ask(1)
    (request,) = fickle.requests
    assert [(seen.number, seen.values, seen.error) for seen in request.trials] == [
        (0, None, "no memory"),
        (1, (2.0, 3.0), ""),
    ]
    assert [seen.number for seen in request.pending] == [2] and request.parent == request.trials[1]
    resumed = adapted(Fickle(1), seed=3)
    for name, part in resumed.get_checkpointables().items():
        part.load_state_dict(optimizer.get_checkpointables()[name].state_dict())
    assert resumed.state.told == optimizer.state.told and resumed.state.parents == {2: None, 3: 1}
    assert [dataclasses.replace(t) for t in resumed.pending()] == [third, fourth]


def test_what_a_table_has_no_finite_value_of_is_not_proposed_again() -> None:
    class Table:
        """Every architecture but the random ones has a value that is not a number."""

        asked: list[Any] = []

        def query(self, code: Any, metric: Any, dataset: Any, epoch: Any = -1, **_: Any) -> float:
            self.asked.append(code)
            return 1.0 if len(self.asked) < 5 else float("nan")

    table = Table()
    np.random.seed(0)
    optimizer = ProposerSearch(num_init=3)
    optimizer.adapt_search_space(SPACE, "x", dataset_api=table)
    for epoch in range(8):
        optimizer.new_epoch(epoch)
    assert len(set(table.asked[1:])) == 8  # the first was asked to see whether the table answers
    assert optimizer.record.failed == 5 and [s.error for s in optimizer.state.told[3:]] == [
        "a value is not finite (nan)"
    ] * len(optimizer.state.told[3:])


def test_it_runs_from_a_config(tmp_path: Path) -> None:
    words = ["--config", "proposer.yaml", "search.epochs=14", f"out_dir={tmp_path}", "device=cpu"]
    assert main(words) == 0
    (folder,) = {path.parent for path in tmp_path.rglob("config.yaml")}
    trials = load(folder)
    assert len(trials) == 14 and [t.parent is None for t in trials[:10]] == [True] * 10
    assert main([*words, "search.proposer=naslib.no_such_module:f", "--dry-run"]) != 0
