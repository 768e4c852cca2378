"""MODNAS: the shortest gradient, the hypernetwork, the draws, the ensemble, and what a search for devices finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from black_box import EveryKind, Scores, adapted, drive, restore, saved, values_of

from naslib.errors import ConfigError, OptimizerStateError
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, Trial
from naslib.history.pareto import hypervolume
from naslib.optimizers import MODNAS, RandomSearch
from naslib.optimizers.discrete.modnas.fronts import features_of, front_of_two, reference_of
from naslib.optimizers.discrete.modnas.gains import most_gained
from naslib.optimizers.discrete.modnas.hypernetwork import PreferenceHypernetwork
from naslib.optimizers.discrete.modnas.min_norm import min_norm_weights
from naslib.optimizers.discrete.modnas.relaxation import Relaxation
from naslib.optimizers.discrete.modnas.surrogate import RelaxedEnsemble, _quantiles
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.oneshot.supernet.estimators import reinmax_gradient
from naslib.search_spaces.core.decisions import Code, Decision
from naslib.search_spaces.core.schema import DecisionSpace

QUICK: dict[str, Any] = {
    "num_init": 8, "k": 4, "n_references": 4, "num_candidates": 60, "bank_size": 4, "preference_intervals": 4,
    "hypernetwork_steps": 8, "ensemble_size": 4, "ensemble_steps": 40,
}  # fmt: skip


class Devices(Evaluator):
    """The score of `EveryKind`, and what three devices need: the last two tell architectures apart otherwise."""

    fidelity, fail = 3, frozenset[int]()
    objectives = (Objective("score", True, "%"), *(Objective(name, False, "ms") for name in ("cpu", "gpu", "dsp")))

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome(of_devices(trial.code))


def of_devices(code: Code) -> tuple[float, float, float, float]:
    score, cost = values_of(code)
    return score, cost, 3.0 + 0.5 * sum(code[5:]) + 0.2 * code[4], 30.0 - cost + 4.0 * sum(code[5:])


# the shortest combination of gradients


@pytest.mark.parametrize(
    ("first", "second"), [([3.0, 0.0], [0.0, 1.0]), ([1.0, 1.0], [2.0, 2.0]), ([1.0, 0.2], [3, 1])]
)
def test_two_gradients_have_the_closed_form(first: list[float], second: list[float]):
    g, h = torch.tensor(first, dtype=torch.float64), torch.tensor(second, dtype=torch.float64)
    rows = torch.stack([g, h])
    share = float(torch.clamp((h - g) @ h / ((g - h) @ (g - h)), 0, 1))  # of the first ([Sener2018mgda], equation 4)
    found = min_norm_weights(rows @ rows.T)
    assert found.tolist() == pytest.approx([share, 1 - share], abs=1e-12)


def test_three_gradients_have_the_closed_form_inside_and_on_an_edge():
    rows = torch.tensor([[2.0, 0.1, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 3.0]], dtype=torch.float64)
    gram = rows @ rows.T
    inside = torch.linalg.solve(gram, torch.ones(3, dtype=torch.float64))  # of the multiplier's conditions
    assert (inside > 0).all()
    found = min_norm_weights(gram)
    assert found.sum() == pytest.approx(1.0)
    assert found.tolist() == pytest.approx((inside / inside.sum()).tolist(), abs=1e-4)
    longer = torch.stack([rows[0], rows[1], rows[0] + rows[1]])  # the last is no use
    pair = (rows[1] - rows[0]) @ rows[1] / ((rows[0] - rows[1]) @ (rows[0] - rows[1]))
    found = min_norm_weights(longer @ longer.T)
    assert found.tolist() == pytest.approx([float(pair), 1 - float(pair), 0.0], abs=1e-9)


def test_no_device_loses_along_the_combination():
    rows = torch.randn((6, 40), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    joined = min_norm_weights(rows @ rows.T) @ rows
    assert (rows @ joined >= joined @ joined * (1 - 1e-3)).all()
    assert min_norm_weights(torch.tensor([[4.0]])).tolist() == [1.0]
    opposite = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    assert min_norm_weights(opposite).tolist() == [0.5, 0.5]
    assert min_norm_weights(torch.zeros(3, 3)).sum() == 1.0


# the hypernetwork


def test_the_hypernetwork_is_linear_between_rows_and_mixes_by_the_sine_of_the_similarity():
    net = PreferenceHypernetwork(3, 2, bank=2, intervals=4, generator=torch.Generator().manual_seed(0))
    features = torch.tensor([[1.0, -1.0], [0.0, 0.5], [2.0, 0.0]])
    logits = net(torch.tensor([0.0, 0.3, 1.0]), features)
    assert logits.shape == (3, 3, 3)
    mixture = torch.softmax(torch.sin(features @ net.embeddings.T / 2**0.5), -1)
    between = 0.8 * net.tables[:, 1] + 0.2 * net.tables[:, 2]  # 0.3 is 1.2 intervals
    for place, rows in enumerate((net.tables[:, 0], between, net.tables[:, 4])):
        assert torch.allclose(logits[:, place], mixture @ rows, atol=1e-6)
    again = PreferenceHypernetwork(3, 2, bank=2, intervals=4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(torch.tensor([0.3]), features), net(torch.tensor([0.3]), features))
    with pytest.raises(ValueError, match="at least 1"):
        PreferenceHypernetwork(3, 0)


# draws

STEPS = Steps(EveryKind().decision_space)


def test_draws_are_architectures_and_their_vectors_those_of_the_space():
    relaxation, generator = Relaxation(STEPS), torch.Generator().manual_seed(0)
    assert relaxation.width == 3 + 3 + 2 + 4 + 3
    logits = torch.randn((200, relaxation.width), generator=generator)
    for best in (False, True):
        vectors = relaxation.draw(logits, generator, best=best)
        codes = relaxation.codes(vectors)
        assert all(STEPS.space.is_valid(code) for code in codes)
        assert np.array_equal(STEPS.space.vectors(codes), vectors.numpy())
    assert len({*codes}) > 50
    assert torch.equal(vectors, relaxation.draw(logits, None, best=True))
    assert (vectors[:, :3].argmax(1) == logits[:, :3].argmax(1)).all()


def test_candidates_are_drawn_as_often_as_the_softmax_says():
    relaxation = Relaxation(Steps(DecisionSpace([Decision("a", "value", (1, 2, 3))])))
    logits = torch.tensor([0.5, -0.3, 1.1])
    drawn = relaxation.draw(logits.expand(20_000, 3), torch.Generator().manual_seed(1)).mean(0)
    assert torch.allclose(drawn, logits.softmax(0), atol=0.015)  # four standard deviations


@pytest.mark.parametrize("estimator", ["reinmax", "straight_through"])
def test_gradients_are_those_of_the_estimators(estimator: str):
    relaxation = Relaxation(Steps(DecisionSpace([Decision("a", "value", (1, 2, 3))])), estimator)
    logits = torch.tensor([[0.5, -0.3, 1.1], [2.0, 0.0, 0.1]], dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([[1.0, -2.0, 0.5], [0.3, 0.1, 4.0]], dtype=torch.float64)
    drawn = relaxation.draw(logits, torch.Generator().manual_seed(2))
    (found,) = torch.autograd.grad((slope * drawn).sum(), logits)
    p = logits.detach().softmax(-1)
    expected = p * (slope - (p * slope).sum(-1, keepdim=True))
    if estimator == "reinmax":
        expected = reinmax_gradient(logits.detach(), drawn.detach(), slope)
    assert torch.allclose(found, expected, atol=1e-12)


def test_what_is_not_decided_has_no_gradient():
    relaxation = Relaxation(STEPS)
    logits = torch.zeros(1, relaxation.width)
    logits[0, 2] = 50.0  # skip: neither width nor size
    logits.requires_grad_()
    drawn = relaxation.draw(logits, torch.Generator().manual_seed(0))
    (slopes,) = torch.autograd.grad((drawn * torch.arange(15.0)).sum(), logits)
    assert (drawn[0, 3:8] == 0).all() and (slopes[0, 3:8] == 0).all()
    assert (slopes[0, 8:] != 0).all()


# the ensemble


def test_scores_become_normal_quantiles_of_their_mean_ranks():
    values, marks = _quantiles(np.array([5.0, 1.0, 5.0, 9.0]))
    assert values.tolist() == [1.0, 5.0, 9.0]
    assert marks.tolist() == pytest.approx([-1.1503494, 0.0, 1.1503494], abs=1e-6)  # of 1/8, 1/2, 7/8


def test_the_ensemble_learns_a_sum_and_gives_its_values_back():
    space = DecisionSpace([Decision(f"d{i}", "value", (0, 1, 2)) for i in range(4)])
    codes = list(space.iterate())
    vectors = space.vectors(codes)
    merits = np.array([[c[0] + 2 * c[1] - c[2], 10.0 - 3 * c[3] + c[0]] for c in codes], dtype=np.float64)
    seen = np.random.default_rng(0).permutation(len(codes))[:50]
    fitted = []
    for _ in range(2):
        ensemble = RelaxedEnsemble(3, hidden=24, steps=150, generator=torch.Generator().manual_seed(0))
        ensemble.fit(vectors[seen], merits[seen])
        fitted.append(ensemble.merits(vectors))
    assert fitted[0].shape == (3, 81, 2) and np.array_equal(*fitted)
    assert np.abs(fitted[0].mean(0) - merits).mean(0).max() < 0.5 and (fitted[0].std(0) > 0).all()
    x = torch.as_tensor(vectors[:2]).requires_grad_()
    (slope,) = torch.autograd.grad(ensemble(x).mean(0)[:, 0].sum(), x)
    steps = slope.reshape(2, 4, 3)[:, :, 2] - slope.reshape(2, 4, 3)[:, :, 0]
    assert (steps[:, 0] > 0).all() and (steps[:, 1] > steps[:, 0]).all() and (steps[:, 2] < 0).all()


def test_a_column_that_is_constant_is_learned_as_such():
    ensemble = RelaxedEnsemble(2, hidden=4, steps=30, generator=torch.Generator().manual_seed(0))
    ensemble.fit(np.eye(3, dtype=np.float32), np.array([[7.0, -2.0]] * 3))
    assert np.abs(ensemble.merits(np.eye(3, dtype=np.float32)) - [7.0, -2.0]).max() < 0.5


# fronts, features and gains


def test_fronts_of_two_features_and_the_reference():
    merits = np.array([[1.0, 5.0], [3.0, 1.0], [2.0, 4.0], [2.0, 3.0], [3.0, 1.0], [0.5, 5.0]])
    assert front_of_two(merits).tolist() == [1, 2, 0]
    assert reference_of(merits[[1, 2, 0]]).tolist() == pytest.approx([1.0 - 0.1, 1.0 - 0.2])
    assert features_of([1.0, 2.0, 3.0]).tolist() == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5])
    assert np.allclose(features_of([[1.0, 4.0], [10.0, 40.0]]), [[-1.0, 1.0]] * 2)  # units do not matter
    assert features_of([2.0, 2.0]).tolist() == [0.0, 0.0]


def test_what_enlarges_the_fronts_most_is_chosen_knowing_what_was_chosen():
    """Between the corners (0, 1) and (1, 0) a point (x, y) adds xy; after A, C adds .3 x .3 twice, D .5 x .3 once."""
    told = np.array([[0.0, 1.0, 1000.0], [1.0, 0.0, 0.0]])  # units of a device do not matter
    a, b, c, d = [0.6, 0.6, 600.0], [0.59, 0.59, 590.0], [0.9, 0.3, 300.0], [0.5, 0.0, 900.0]
    candidates = np.array([b, a, d, c])
    assert most_gained(told, np.stack([candidates] * 2), 9) == [1, 3, 2, 0]
    assert most_gained(told, np.stack([candidates] * 2), 1) == [1]
    alone = np.array([[[0.2], [0.9], [1.5]]])
    assert most_gained(np.array([[1.0]]), alone, 2) == [2, 1]


# the search


def test_a_search_finds_the_fronts_of_all_devices():
    """Against 60 random ones of 432: hypervolume over the true front's, above its worst with 5 % slack."""
    shares: dict[str, list[float]] = {}
    every = np.array([of_devices(code) for code in EveryKind().decision_space.iterate()]) * [1, -1, -1, -1]
    for kind, keywords in ((MODNAS, QUICK), (RandomSearch, {})):
        optimizer = adapted(kind, 1, Devices(), **keywords)
        asked = np.array([of_devices(code) for code in drive(optimizer, 60)]) * [1, -1, -1, -1]
        if isinstance(optimizer, MODNAS):
            for place, device in enumerate(("cpu", "gpu", "dsp"), 1):
                good, cheap = (of_devices(optimizer.architecture(r, device)) for r in (1.0, 0.0))
                assert good[0] > cheap[0] and good[place] > cheap[place]
        for device in (1, 2, 3):
            truth = every[:, [0, device]]
            reference = reference_of(truth[front_of_two(truth)])
            found = hypervolume(asked[:, [0, device]], reference) / hypervolume(truth, reference)
            shares.setdefault(kind.__name__, []).append(found)
    assert min(shares["MODNAS"]) > 0.97 and np.mean(shares["MODNAS"]) > np.mean(shares["RandomSearch"]) + 0.02


@pytest.mark.parametrize("scalarisation", ["linear", "chebyshev"])
def test_a_preference_weighs_the_score_and_the_rest_the_cost_of_its_device(scalarisation: str):
    optimizer = adapted(MODNAS, 0, Devices(), scalarisation=scalarisation, **QUICK)
    predicted = torch.tensor([[0.5, 1.0, -9.0], [0.2, -9.0, 2.0]])[:, None].repeat(1, 2, 1)  # 2 devices, 2 preferences
    found = optimizer._lacking(predicted, torch.tensor([1.0, 0.25]))
    pairs = [[(s, 0.0), (0.25 * s, 0.75 * c)] for s, c in ((3.5, 3.0), (3.8, 2.0))]  # below 4, the best
    expected = [[max(pair) + 0.05 * sum(pair) for pair in rows] for rows in pairs]
    if scalarisation == "linear":
        expected = [[-s, -0.25 * s - 0.75 * c] for s, c in ((0.5, 1.0), (0.2, 2.0))]
    assert torch.allclose(found, torch.tensor(expected))


def test_fronts_references_and_proposals_are_those_of_the_trials():
    optimizer = adapted(MODNAS, 0, Devices(), devices=["CPU", "gpu"], **QUICK)
    with pytest.raises(OptimizerStateError, match="described by 4 architectures; 0 were told"):
        optimizer.architecture(0.5, "cpu")
    asked = drive(optimizer, 30)
    assert len({*asked}) == 30 and all(optimizer.codec.is_valid(code) for code in asked)
    assert optimizer.references == asked[:4] and optimizer.learned_costs() == [1, 2]
    for name, place in (("cpu", 1), ("gpu", 2), ("dsp", 3)):
        front = optimizer.front(name)
        pairs = [(of_devices(code)[0], of_devices(code)[place]) for code in asked]
        best = {p for p in pairs if not any(q[0] >= p[0] and q[1] <= p[1] and q != p for q in pairs)}
        assert {member.values for member in front} == best
        assert all(asked[member.number] == member.code for member in front)
        # one that the search does not know is described by what the references cost
        costs = [of_devices(code)[place] for code in optimizer.references]
        state = optimizer.rng.getstate()
        for preference in (0.0, 0.4, 1.0):
            code = optimizer.architecture(preference, name)
            assert code == optimizer.architecture(preference, [7.0 * cost + 1.0 for cost in costs])
            assert optimizer.codec.is_valid(code)
        assert optimizer.rng.getstate() == state
    found = optimizer.found_by_device()
    assert [(name, one["learned"]) for name, one in found.items()] == [("cpu", True), ("gpu", True), ("dsp", False)]
    for name, one in found.items():
        assert [tuple(m["values"]) for m in one["members"]] == [m.values for m in optimizer.front(name)]
        scores, costs = zip(*(m["values"] for m in one["members"]), strict=True)
        ranges = max(scores) - min(scores) or min(scores), max(costs) - min(costs) or max(costs)
        slack = [0.05 * one for one in ranges]  # of the values themselves where a front has one member
        assert one["reference_point"] == pytest.approx([min(scores) - slack[0], max(costs) + slack[1]])
        assert [row["preference"] for row in one["proposed"]] == [1.0, 0.75, 0.5, 0.25, 0.0]
        for row in one["proposed"]:
            assert (row["values"] is None) == (row["code"] not in asked)


@pytest.mark.parametrize("stop", [1, 13])
def test_a_resumed_search_equals_the_uninterrupted_one(stop: int):
    whole, first = (adapted(MODNAS, 3, Devices(), **QUICK) for _ in range(2))
    asked = drive(whole, 20)
    assert drive(first, stop) == asked[:stop]
    second = adapted(MODNAS, 99, Devices(), **QUICK)
    restore(second, saved(first))
    assert drive(second, 20) == asked[stop:]
    one, other = saved(second), saved(whole)
    assert one["model"] == other["model"] and one["labels"] == other["labels"]
    for name, values in one["hypernetwork"].items():
        assert torch.equal(values, other["hypernetwork"][name])
    assert whole.architecture(0.3, "dsp") == second.architecture(0.3, "dsp")


def test_of_one_objective_it_searches_the_best_score():
    optimizer = adapted(MODNAS, 0, Scores(1), **QUICK)
    drive(optimizer, 40)
    every = [values_of(code)[0] for code in EveryKind().decision_space.iterate()]
    assert optimizer.record.incumbent_value >= np.quantile(every, 0.99) and optimizer.found_by_device() is None


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"devices": ["gpx"]}, r"search.devices: 'gpx' is none of the costs among the objectives.*'gpu'"),
        ({"devices": ["score"]}, "'score' is none of the costs"),
        ({"devices": []}, "search.devices is empty"),
        ({"devices": ["gpu", "GPU"]}, "GPU is there twice|gpu is there twice"),
        ({"estimator": "reinmix"}, "estimator must be one of reinmax, straight_through, not 'reinmix'.*'reinmax'"),
        ({"scalarisation": "sum"}, "scalarisation must be one of linear, chebyshev"),
        ({"preference_concentration": 0.0}, "preference_concentration must be positive"),
        ({"neighbours": -1}, "neighbours must not be negative"),
        ({"bank_size": 0}, "bank_size must be at least 1"),
    ],
)
def test_what_cannot_be_is_said_before_the_search(keywords: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        adapted(MODNAS, 0, Devices(), **keywords)


def test_a_device_that_is_none_is_refused():
    optimizer = adapted(MODNAS, 0, Devices(), **QUICK)
    drive(optimizer, 6)
    with pytest.raises(ConfigError, match=r"the device: 'cpx' is none of the costs.*'cpu'"):
        optimizer.architecture(0.5, "cpx")
    with pytest.raises(ConfigError, match=r"by its 4 costs of `references`, finite numbers, not by the shape \(2,\)"):
        optimizer.architecture(0.5, [1.0, 2.0])
    with pytest.raises(ConfigError, match="finite numbers"):
        optimizer.architecture(0.5, [1.0, 2.0, 3.0, float("nan")])
    with pytest.raises(ConfigError, match=r"from 0 to 1, not 1\.5"):
        optimizer.architecture(1.5, "cpu")
    with pytest.raises(ConfigError, match="the device: 'score'"):
        optimizer.front("score")
