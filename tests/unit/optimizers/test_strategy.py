"""Strategy: every choice is validated, and contradictions are named together."""

from __future__ import annotations

import pickle

import pytest
import torch

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"sampler": "gumbel"}, "sampler must be one of.*did you mean"),
        ({"forward": "sums"}, "forward must be one of.*did you mean 'sum'"),
        ({"gradient": "gate"}, "gradient must be one of.*did you mean 'gates'"),
        ({"n_on": 0}, "n_on must be at least 1"),
        ({"n_on": 3, "n_eval": 2, "gradient": "masked"}, "n_eval .2. must not be smaller than n_on .3."),
        ({"n_eval": 2}, "'gates' evaluates all operations"),
        ({"n_eval": 1, "gradient": "masked_baseline"}, "larger than 1"),
        ({"n_eval": 1, "gradient": "renormalized"}, "larger than 1"),
        ({"gradient": "autodiff"}, "needs forward weights that depend on the logits"),
        ({"forward": "sigmoid"}, "takes 'autodiff'"),
        ({"forward": "relaxed"}, "takes 'autodiff'"),
        ({"gradient": "reinforce", "sampler": "uniform"}, "'reinforce' needs sampler 'gumbel_top_k' or 'multinomial'"),
        ({"gradient": "reinforce", "forward": "p"}, "forward 'sum'"),
        ({"tau": 0.0}, "tau must be positive"),
        ({"tau": float("nan")}, "tau must be positive"),
    ],
)
def test_contradictions(choices: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        Strategy(**choices)


def test_all_problems_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Strategy(sampler="nobody", n_on=0, tau=-1.0)
    assert len(caught.value.problems) == 3


def test_width():
    Strategy("all", n_on=9).check_width(3)
    with pytest.raises(ConfigError, match="4 operations are to run, but there are 3"):
        StrategyRelaxation(Strategy(n_on=4))(torch.zeros(1, 3), True)
    (draw,) = StrategyRelaxation(Strategy(n_eval=9, gradient="masked"))(torch.zeros(1, 3, requires_grad=True), True)
    assert len(draw.on) + len(draw.evaluated) == 3  # more than there are: all


def test_what_all_samplers_run():
    logits = torch.randn(2, 4, requires_grad=True)
    for forward, rows in (("p", logits.softmax(-1)), ("sigmoid", logits.sigmoid())):
        found = StrategyRelaxation(Strategy("all", forward=forward, gradient="autodiff"))(logits, True)
        torch.testing.assert_close(torch.stack(found), rows)
    draws = StrategyRelaxation(Strategy("all", gradient="gates"))(logits, True)
    assert [draw.on for draw in draws] == [(0, 1, 2, 3)] * 2 and not draws[0].evaluated


def test_nothing_is_evaluated_for_a_constant_architecture():
    (draw,) = StrategyRelaxation(Strategy())(torch.zeros(1, 4), True)
    assert draw.evaluated == () and not draw.weights.requires_grad


def test_draws_are_recorded_only_inside_the_context():
    relaxation = StrategyRelaxation(Strategy(gradient="reinforce", n_on=2))
    logits = torch.randn(3, 4, requires_grad=True)
    with relaxation.recording() as record:
        draws = relaxation(logits, True)
        relaxation(logits, False)  # deterministic: nothing was drawn
    relaxation(logits, True)
    assert [entry.shape for entry in record] == [(3,)] and record[0].requires_grad
    assert not draws[0].weights.requires_grad and draws[0].evaluated == ()
    assert pickle.loads(pickle.dumps(relaxation)).strategy == relaxation.strategy
