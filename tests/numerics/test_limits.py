"""Hard limits: what is proposed, measured and found keeps to them, by every method, or the method refuses before."""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from every_black_box import KEYWORDS, METHODS, OWN_SPACES
from small_searches import METHODS as WEIGHT_SHARING
from small_searches import batches, ready
from small_spaces import ConvSpace

from naslib.errors import ConfigError, OptimizerStateError, UnsupportedBySpaceError
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.rs.optimizer import RandomSearch
from naslib.optimizers.oneshot.paths.limits import limits_on_paths
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.known_codec import KnownCodec
from naslib.search_spaces.core.limited_codec import LimitedCodec, limited
from naslib.utils.meters import count_parameters_in_MB

# nasbench201: identity, none, 3x3, 1x1, pooling; at 4 channels, one cell a stage and inputs of 3 x 8 x 8 a convolution
# of k x k takes k^2 * 4^2 * 8^2 multiply-accumulates in each of the three stages
THREE, ONE = 2, 3
SHAPE = (3, 8, 8)
PER_EDGE = 3 * 16 * 64 / 1e6


def _space() -> NasBench201SearchSpace:
    return NasBench201SearchSpace(channels=4, cells_per_stage=1)


def _of_edges(code: Any) -> float:
    return PER_EDGE * (9 * code.count(THREE) + code.count(ONE))


BASE = (3 * 4 * 9 * 64 + (4 * 8 * 9 + 8 * 8 * 9 + 4 * 8) * 16 + (8 * 16 * 9 + 16 * 16 * 9 + 8 * 16) * 4 + 160) / 1e6
# two convolutions of 3 x 3 and one of 1 x 1
BOUND = BASE + 19.5 * PER_EDGE


class _Largest(Evaluator):
    """Prefer what is large, so that a search presses against the limit."""

    objectives = (Objective("size", True),)
    fidelity = 9
    can_continue = True

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def evaluate(self, trial: Any, should_stop: Any = None) -> Outcome:
        """Return the multiply-accumulates of the edges."""
        self.seen.append(tuple(trial.code))
        return Outcome((_of_edges(trial.code),))


def test_the_bound_is_counted_by_hand() -> None:
    costs = RandomSearch(limits={"macs": BOUND}, hardware={"input_shape": list(SHAPE)})
    costs.adapt_search_space(_space(), evaluator=_Largest())
    judge = costs.judge
    assert judge is not None
    assert judge.allow((THREE, THREE, ONE, 0, 1, 4))
    assert not judge.allow((THREE, THREE, ONE, ONE, 1, 4))
    assert judge.excess((THREE,) * 6) == pytest.approx((BASE + 54 * PER_EDGE) / BOUND - 1)
    assert judge.why((THREE,) * 6).startswith("macs 0.2")


@pytest.mark.parametrize("name", METHODS)
def test_no_search_of_trials_proposes_what_is_beyond(name: str) -> None:
    evaluator = _Largest()
    keys = {**KEYWORDS.get(name, {}), "limits": {"macs": BOUND}, "hardware": {"input_shape": list(SHAPE)}}
    np.random.seed(0)
    optimizer: Any = OPTIMIZERS.get(name)(**keys)
    if name == "eas":
        with pytest.raises(UnsupportedBySpaceError, match=r"beyond search\.limits"):
            optimizer.adapt_search_space(_space(), evaluator=evaluator)
        return
    optimizer.adapt_search_space(_space(), evaluator=evaluator)
    for epoch in range(14):
        optimizer.new_epoch(epoch)
    assert len(evaluator.seen) == 14
    assert all(BASE + _of_edges(code) <= BOUND for code in evaluator.seen)
    found = optimizer.get_final_architecture().get_code()
    assert BASE + _of_edges(found) <= BOUND
    if name not in ("pnas",):  # which begins with the smallest cells
        assert max(map(_of_edges, evaluator.seen)) > 0, "the limit leaves convolutions"
    assert set(OWN_SPACES) == {"eas", "pnas"}


@cache
def _sizes() -> dict[Any, float]:
    """Return the parameters of all networks of a small space, in millions."""
    space = ConvSpace()
    return {code: count_parameters_in_MB(fresh_network(space, code)) for code in space._codec().iterate()}


# One by evolution, one by draws and the controller stay in the default suite, and all that refuse limits
QUICK = ("enas", "random_nas", "spos")


def _able(names: list[str]) -> list[Any]:
    """Return the names, those that take limits and are not among the few as slow ones."""
    is_slow = {name: OPTIMIZERS.get(name).TAKES_LIMITS and name not in QUICK for name in names}
    return [pytest.param(name, marks=pytest.mark.slow) if is_slow[name] else name for name in names]


@pytest.mark.parametrize("name", _able(list(WEIGHT_SHARING)))
def test_no_selection_measures_what_is_beyond(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space, size_of = ConvSpace(), _sizes()
    sizes = sorted(set(size_of.values()))
    bound = sizes[len(sizes) // 3]
    keys: dict[str, Any] = {"limits": {"params": bound}}
    if not OPTIMIZERS.get(name).TAKES_LIMITS:
        with pytest.raises(ConfigError, match=r"search\.limits: .* `cost` \(search\.parts\.cost\)"):
            OPTIMIZERS.get(name)(**keys)
        return
    measured: list[float] = []
    quality = PathScorer._quality

    def noted(scorer: PathScorer, code: Any, given: Any) -> float:
        measured.append(size_of[tuple(code)])
        return quality(scorer, code, given) + 1e6 * measured[-1]  # the largest would be chosen

    monkeypatch.setattr(PathScorer, "_quality", noted)
    optimizer = ready(name, space, **keys)
    train, valid = batches()
    optimizer.step(train, valid)
    if name != "enas":
        assert size_of[optimizer.get_final_architecture().get_code()] <= bound, "before the selection"
    optimizer.select_architecture([train], [valid])
    assert all(size <= bound for size in measured)
    found = size_of[optimizer.get_final_architecture().get_code()]
    assert found <= bound
    if name != "enas":
        assert found == max(measured) == bound


def test_who_takes_limits() -> None:
    able = {name for name in WEIGHT_SHARING if OPTIMIZERS.get(name).TAKES_LIMITS}
    assert able >= {"enas", "fair_nas", "one_shot", "random_nas", "setn", "spos"}
    assert not able & {"darts", "gdas", "drnas", "proxyless", "snas", "te_nas"}


def _nothing_within() -> tuple[dict[str, Any], str]:
    """Return limits that no architecture of the small space keeps to, and what is said then."""
    smallest = min(_sizes().values())
    said = rf"no architecture keeps to params .*smallest beyond them: params {smallest:.4g} M\), of \d+"
    return {"limits": {"params": smallest / 2}}, said


@pytest.mark.parametrize("name", ["rs_ws", "enas", pytest.param("spos", marks=pytest.mark.slow)])
def test_nothing_within_limits_is_said_with_the_smallest(name: str) -> None:
    space = ConvSpace()
    keys, said = _nothing_within()
    optimizer = ready(name, space, **keys)
    train, valid = batches()
    with pytest.raises(ConfigError, match=said):
        optimizer.select_architecture([train], [valid])
    if name != "enas":  # the shape of inputs is known, so it is said before anything is trained
        optimizer.input_shape = lambda: (2, 8, 8)
        with pytest.raises(ConfigError, match=said):
            optimizer.adapt_search_space(space)


def test_nothing_within_limits_is_said_by_a_search_of_trials() -> None:
    keys, said = _nothing_within()
    search = RandomSearch(**keys, hardware={"input_shape": [2, 8, 8]})
    with pytest.raises(ConfigError, match=said):
        search.adapt_search_space(ConvSpace(), evaluator=_Largest())


def test_tables_of_a_supernet_and_networks_agree() -> None:
    space = ConvSpace()
    optimizer = ready("spos", space, limits={"params": 1.0, "macs": 1.0, "memory": 1.0})
    on_paths = limits_on_paths(optimizer, lambda: (2, 8, 8))
    search = RandomSearch(limits=optimizer.limits, hardware={"input_shape": [2, 8, 8]})
    search.adapt_search_space(space, evaluator=_Largest())
    assert search.judge is not None
    assert [type(cost).__name__ for cost in on_paths._costs] == ["PathSize", "PathSize", "NetworkCost"]
    for code in list(space._codec().iterate())[::9]:
        ours = [cost.of(code) for cost in on_paths._costs]
        assert ours == pytest.approx([cost.of(code) for cost in search.judge._costs], rel=1e-12)


def test_limits_do_not_change_what_is_trained() -> None:
    paths = []
    for limits in ({}, {"params": 1.0}):
        optimizer = ready("spos", ConvSpace(), limits=limits)
        optimizer.input_shape = lambda: (2, 8, 8)
        torch.manual_seed(5)
        optimizer.adapt_search_space(ConvSpace())
        paths.append([optimizer.random_path() for _ in range(5)])
    assert paths[0] == paths[1]


class _FewConvolutions:
    """Allow at most two convolutions of 3 x 3."""

    def excess(self, code: Any) -> float:
        """Return how many there are beyond that, by two."""
        return max(0, code.count(THREE) - 2) / 2

    def refusal(self) -> str:
        """Return that there is none."""
        return "nothing has so few"


def test_draws_are_uniform_over_what_keeps_to_the_limits() -> None:
    codec = limited(_space()._codec(), _FewConvolutions())
    assert isinstance(codec, LimitedCodec)
    allowed = list(codec.iterate())
    # none, one or two of six edges, four other operations on each of the others
    assert len(allowed) == 4**6 + 6 * 4**5 + 15 * 4**4 == len(set(allowed))
    rng, seen = Random(3), Counter[int]()
    for _ in range(3000):
        seen[codec.random(rng).count(THREE)] += 1
    expected = np.array([4**6, 6 * 4**5, 15 * 4**4]) / len(allowed)
    assert np.abs(np.array([seen[k] for k in range(3)]) / 3000 - expected).max() < 0.03
    assert set(seen) == {0, 1, 2}


def test_variations_keep_to_the_limits() -> None:
    codec, rng = limited(_space()._codec(), _FewConvolutions()), Random(4)
    code = (THREE, THREE, 0, 0, 0, 0)
    around = codec.neighbours(code)
    assert len(around) == 4 + 4 + 4 * 3 and all(codec.is_valid(other) for other in around)
    for _ in range(50):
        assert codec.mutate(code, rng) in around
        assert codec.is_valid(codec.perturb(code, 0.9, rng))
        assert codec.is_valid(codec.crossover(code, (0, 0, 0, 0, THREE, THREE), rng))
    beyond = (THREE,) * 6
    assert not codec.is_valid(beyond)
    led = codec.from_decisions(beyond)
    assert led.count(THREE) == 2 and led == codec.from_decisions(beyond), "led back by single changes, always alike"
    assert codec.from_decisions(code) == code
    few = limited(KnownCodec(_space()._codec(), [code, beyond]), _FewConvolutions())
    assert isinstance(few, KnownCodec) and list(few.iterate()) == [code]
    with pytest.raises(ConfigError, match="nothing has so few, of 1 architectures that are known"):
        limited(KnownCodec(_space()._codec(), [beyond]), _FewConvolutions())


class _OfItsOwn(RandomSearch):
    """Propose without asking the codec."""

    def propose(self) -> Any:
        """Return the largest cell."""
        return (THREE,) * 6, None


def test_a_method_that_does_not_ask_its_codec_is_told() -> None:
    optimizer = _OfItsOwn(limits={"macs": BOUND}, hardware={"input_shape": list(SHAPE)})
    optimizer.adapt_search_space(_space(), evaluator=_Largest())
    said = r"_OfItsOwn has proposed \(2, 2, 2, 2, 2, 2\), which is beyond search\.limits \(macs 0\.2016 M > "
    with pytest.raises(OptimizerStateError, match=said):
        optimizer.ask(1)
    with pytest.raises(OptimizerStateError, match=said):
        optimizer.ask()
