"""Methods that draw decision by decision, on spaces whose constraints refuse nearly everything."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from naslib.errors import UnsupportedBySpaceError
from naslib.history import Objective, Outcome
from naslib.optimizers import MODNAS, NASRL, PPOController, QLearning, ReinforceController, TransferController
from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces import NasBenchNLPSearchSpace
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.schema import DecisionSpace


class Sums:
    objectives, fidelity = (Objective("sum"),), 1

    def evaluate(self, trial: Any, should_stop: Any = None) -> Outcome:
        return Outcome((float(sum(trial.code)),))


@pytest.mark.parametrize("kind", [NASRL, PPOController, ReinforceController, QLearning, TransferController, MODNAS])
def test_recurrent_recipes_are_refused_before_the_search(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naslib.optimizers.discrete.steps.ATTEMPTS", 60)
    keywords = {} if kind in (QLearning, ReinforceController, MODNAS) else {"controller_hidden": 4}
    with pytest.raises(UnsupportedBySpaceError, match=r"decision by decision, and of 60 .* nasbench_nlp allow"):
        kind(**keywords).adapt_search_space(NasBenchNLPSearchSpace(n_classes=10), evaluator=Sums())


@pytest.mark.parametrize(("n", "share"), [(10, 0.1), (1000, 0.001), (1000, 0.0)])
def test_a_space_of_which_enough_is_left_is_not(n: int, share: float) -> None:
    allowed = {str(number) for number in range(int(n * share))}
    space = DecisionSpace([Decision("a", "op", tuple(map(str, range(n))))], [lambda choices: choices["a"] in allowed])
    steps, drawn = Steps(space), 0

    def draw(rng: Random) -> tuple[int, ...]:
        nonlocal drawn
        drawn += 1
        return (rng.randrange(n),)

    if share > 0.02:
        steps.check_draws(draw, "it", "this")
        assert 20 <= drawn < 1000
    else:
        with pytest.raises(UnsupportedBySpaceError, match="it draws architectures decision by decision"):
            steps.check_draws(draw, "it", "this")
        assert drawn == 1000


def test_three_draws_are_enough_where_nothing_is_refused() -> None:
    drawn: list[Random] = []

    def draw(rng: Random) -> tuple[int, ...]:
        drawn.append(rng)
        return (1,)

    Steps(DecisionSpace([Decision("a", "op", ("x", "y"))])).check_draws(draw, "it", "this")
    assert len(drawn) == 3
