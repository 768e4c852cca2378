"""Keywords that follow schedules: what is set when, what wins over own schedules, and resumption bit for bit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_searches import batches, ready
from small_spaces import ConvSpace
from training_runs import differences, load, small_trainer

from naslib.errors import ConfigError
from naslib.optimizers import (
    OPTIMIZERS,
    DARTSOptimizer,
    GDASOptimizer,
    RegularizedEvolution,
    ReinforceController,
    SNASOptimizer,
)
from naslib.search_spaces import NasBench201SearchSpace
from naslib.training.checkpoint import get_last_checkpoint


def line(first: float, last: float, **more: Any) -> Any:
    return {"schedule": "linear", "from": first, "to": last, **more}


def trained(name: str, **keywords: Any) -> list[torch.Tensor]:
    torch.manual_seed(1)
    optimizer = ready(name, ConvSpace(kind="plain"), **keywords)  # for two epochs
    for epoch in range(2):
        optimizer.new_epoch(epoch)
        optimizer.step(*batches())
    return [*optimizer.graph.state_dict().values(), *optimizer.architecture_parameters]


@pytest.mark.parametrize(
    ("name", "own", "by_schedule"),
    [
        ("gdas", {"tau_max": 5.0, "tau_min": 0.5}, {"tau": line(5, 0.5)}),
        ("snas", {"tau_first": 2.0, "tau_last": 0.1}, {"tau": line(2, 0.1)}),
        ("darts", {"parts": {"drop_path": {"drop_prob": 0.4}}}, {"parts": {"drop_path": {"drop_prob": line(0, 0.4)}}}),
        (
            "darts",
            {"parts": {"auxiliary_skip": {"beta": 0.8}}},  # falls to 0 one epoch after the last
            {"parts": {"auxiliary_skip": {"beta": line(0.8, 0, over=3)}}},
        ),
    ],
)
def test_a_schedule_that_is_the_method_s_own_is_the_same_search(name: str, own: Any, by_schedule: Any) -> None:
    one, other = trained(name, **own), trained(name, **by_schedule)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_tau_wins_over_what_gdas_and_snas_do_by_themselves() -> None:
    for kind, first in ((GDASOptimizer, "tau_max"), (SNASOptimizer, "tau_first")):
        constant = kind(epochs=4, tau=2.0, **{first: 7.0})
        scheduled = kind(epochs=4, tau=line(8, 2), **{first: 7.0})
        for optimizer in (constant, scheduled):
            optimizer.adapt_search_space(ConvSpace(kind="plain"))
        found = []
        for epoch in range(4):
            constant.new_epoch(epoch)
            scheduled.new_epoch(epoch)
            found.append((constant.tau, scheduled.tau))
        assert found == [(2, 8), (2, 6), (2, 4), (2, 2)]


def test_what_is_set_when() -> None:
    optimizer = DARTSOptimizer(
        epochs=3,
        momentum=line(0.2, 0.8),
        arch_learning_rate={"schedule": "piecewise", "values": [0.1, 0.2], "milestones": [2]},
        grad_clip=line(4, 0, every="step"),
        parts={"zero_one_loss": {"weight": line(1, 3)}},
    )
    assert type(optimizer).__name__ == "DARTSOptimizer" and isinstance(optimizer, DARTSOptimizer)
    optimizer.adapt_search_space(ConvSpace(kind="plain"))
    optimizer.before_training()
    with pytest.raises(ConfigError, match=r"search.grad_clip: nobody says how many steps an epoch has"):
        optimizer.new_epoch(0)
        optimizer.step(*batches())
    optimizer.expect_steps(3)
    optimizer.adapt_search_space(ConvSpace(kind="plain"))
    found = []
    for epoch in range(3):
        optimizer.new_epoch(epoch)
        for _ in range(3):
            optimizer.step(*batches())
            groups = optimizer.op_optimizer.param_groups[0], optimizer.arch_optimizer.param_groups[0]
            part = optimizer.parts["zero_one_loss"].weight  # type: ignore[attr-defined]
            found.append((round(groups[0]["momentum"], 12), groups[1]["lr"], optimizer.grad_clip, part))
    momenta, rates, clips, weights = (list(column) for column in zip(*found, strict=True))
    assert momenta == [0.2] * 3 + [0.5] * 3 + [0.8] * 3 and rates == [0.1] * 6 + [0.2] * 3
    assert clips == [4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5, 0] and weights == [1] * 3 + [2] * 3 + [3] * 3
    state = optimizer.get_checkpointables()["attribute_schedules"].state_dict()
    assert state["epoch"] == 2 and state["steps"] == 9 and state["values"]["grad_clip"] == 0


def test_a_method_of_ones_own_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPTIMIZERS, "_entries", dict(OPTIMIZERS._entries))

    @OPTIMIZERS.register("own_evolution")
    class OwnEvolution(RegularizedEvolution):
        pass

    plain, follows = OwnEvolution(), OwnEvolution(sample_size=line(1, 3))
    assert type(follows) is not type(plain) and follows.sample_size == 1
    assert [OPTIMIZERS.name_of(type(one)) for one in (plain, follows)] == ["own_evolution"] * 2


def test_what_cannot_follow_says_why() -> None:
    with pytest.raises(
        ConfigError, match=r"search.learning_rate cannot follow a schedule: it has schedules of its own"
    ):
        DARTSOptimizer(learning_rate=line(1, 2))
    with pytest.raises(ConfigError, match=r"search.tau_max cannot follow .*give tau the schedule"):
        GDASOptimizer(tau_max=line(10, 1))
    with pytest.raises(
        ConfigError, match=r"search.population_size cannot .* not again \(keywords that can: sample_size\)"
    ):
        RegularizedEvolution(population_size=line(10, 1))
    with pytest.raises(ConfigError, match="temperatures must be positive, got tau=-1"):
        GDASOptimizer(tau=line(10, -1))  # the last value is tried as well
    with pytest.raises(ConfigError, match=r"search.epochs: it is what schedules go over"):
        GDASOptimizer(epochs=line(10, 1))
    with pytest.raises(ConfigError, match=r"search.tau: a linear schedule needs 'from'"):
        GDASOptimizer(tau={"schedule": "linear", "to": 1})
    optimizer = DARTSOptimizer(op_optimizer="Adam", momentum=line(0.1, 0.9))
    with pytest.raises(ConfigError, match=r"search.momentum cannot follow a schedule: Adam has no momentum"):
        optimizer.adapt_search_space(ConvSpace(kind="plain"))


class Stop(Exception):
    """The search is to end here."""


class Stopping(GDASOptimizer):
    """Ends at a step."""

    at = 10**6
    taken = 0

    def step(self, data_train: Any, data_val: Any) -> Any:
        self.taken += 1
        if self.taken > self.at:
            raise Stop
        return super().step(data_train, data_val)


@pytest.mark.parametrize("at", [3, 7, 13])
def test_a_killed_search_on_batches_goes_on_bit_for_bit(tmp_path: Path, at: int) -> None:
    def make(stop: int = 10**6) -> Any:
        optimizer = Stopping(
            epochs=3,
            learning_rate=0.1,
            tau=line(5, 0.5, every="step"),
            momentum=line(0.9, 0.1),
            arch_learning_rate={"schedule": "step", "from": 0.1, "factor": 0.5, "size": 4, "every": "step"},
        )
        optimizer.at = stop
        return optimizer

    small_trainer(tmp_path / "a", optimizer=make(), checkpoint_steps=2).search()
    with pytest.raises(Stop):
        small_trainer(tmp_path / "b", optimizer=make(at), checkpoint_steps=2).search()
    trainer = small_trainer(tmp_path / "b", optimizer=make(), seed=5, checkpoint_steps=2)
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    first, second = (load(tmp_path / name / "search" / "model_final.pth") for name in "ab")
    assert differences(first, second) == []
    assert first["attribute_schedules"]["values"]["tau"] == pytest.approx(0.5)
    assert trainer.optimizer.attribute_schedules.steps == 15


def test_a_search_of_trials_goes_on_from_its_checkpoint() -> None:
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)

    def made(seed: int) -> Any:
        np.random.seed(seed)
        torch.manual_seed(seed)
        optimizer = ReinforceController(epochs=30, arch_learning_rate=line(0.5, 0.01), entropy_weight=line(0, 3))
        optimizer.adapt_search_space(space, evaluator="train")
        return optimizer

    def go_on(optimizer: Any, count: int) -> list[Any]:
        found = []
        for _ in range(count):
            (trial,) = optimizer.ask(1)
            optimizer.tell(trial, float(sum(trial.code)))
            found.append(trial.code)
        return found

    whole = made(0)
    go_on(whole, 12)
    whole.ask(1)  # pending in the checkpoint
    state = {name: copy.deepcopy(part.state_dict()) for name, part in whole.get_checkpointables().items()}
    resumed = made(4)
    for name, part in resumed.get_checkpointables().items():
        part.load_state_dict(state[name])
    assert resumed.arch_learning_rate == whole.arch_learning_rate == 0.5 - 0.49 * 12 / 29
    assert resumed._adam.param_groups[0]["lr"] == whole.arch_learning_rate
    for optimizer in (whole, resumed):
        (trial,) = optimizer.pending()
        optimizer.tell(trial, 3.0)
    assert go_on(whole, 30) == go_on(resumed, 30)
    assert whole.entropy_weight == resumed.entropy_weight == 3  # trials after the last of `epochs`
