"""Schedules by name against torch's own stepped by hand; warm-up, plateau, one-cycle; resumed bit for bit."""

from __future__ import annotations

import inspect
import json
import logging
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from training_runs import differences, load, loaders, small_trainer

from naslib.config.loader import load_config
from naslib.config.schedules import SCHEDULES, schedule_name
from naslib.config.schema import SearchKeys
from naslib.defaults.trainer import Trainer
from naslib.errors import CheckpointError, ConfigError, UnknownNameError
from naslib.optimizers import DARTSOptimizer, PDARTSOptimizer
from naslib.tasks import Classification
from naslib.tasks import Measured as MeasuredScores
from naslib.tasks.criteria import with_label_smoothing
from naslib.training.checkpoint import get_last_checkpoint
from naslib.training.named_schedules import build_schedule
from naslib.training.schedule import Schedule
from naslib.utils.seeding import set_seed

EPOCHS, STEPS, RATE, LOWEST = 6, 5, 0.1, 0.01
# What each does by default at the end of an epoch, from the formulas in torch's documentation
FORMULAS = {
    "cosine": lambda e: LOWEST + (RATE - LOWEST) * (1 + math.cos(math.pi * e / EPOCHS)) / 2,
    "linear": lambda e: RATE + (LOWEST - RATE) * e / EPOCHS,
    "step": lambda e: RATE * 0.1 ** (e // 2),
    "multi_step": lambda e: RATE * 0.1 ** ((e >= 3) + (e >= 4)),
    "exponential": lambda e: RATE * 0.97**e,
    "constant": lambda e: RATE,
}
ARGUMENTS = {
    "cosine": {"T_max": 4, "eta_min": 0.02},
    "linear": {"start_factor": 0.5, "end_factor": 0.25, "total_iters": 3},
    "step": {"step_size": 2, "gamma": 0.5},
    "multi_step": {"milestones": [1, 4], "gamma": 0.5},
    "exponential": {"gamma": 0.8},
    "one_cycle": {"pct_start": 0.4, "cycle_momentum": True, "three_phase": True},
    "plateau": {"factor": 0.5, "patience": 0, "threshold": 0.5, "min_lr": 0.001},
    "constant": {},
}


def _measured(loss: float | None, accuracy: float | None, count: int) -> MeasuredScores:
    return MeasuredScores(loss, (accuracy, None), count, Classification().scores)


def _optimizer(rate: float = RATE) -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=rate, momentum=0.9)


def _rates(schedule: Schedule, optimizer: torch.optim.Optimizer, epochs: int = EPOCHS, losses=None) -> list[float]:
    """Return the rate at the beginning of each epoch, and at the end."""
    found = [optimizer.param_groups[0]["lr"]]
    for epoch in range(epochs):
        for _ in range(STEPS):
            optimizer.step()
            schedule.after_step()
        loss = losses[epoch] if losses else 1.0
        schedule.after_epoch(_measured(9.0, 1.0, 1), _measured(loss, 50.0, 1))
        found.append(optimizer.param_groups[0]["lr"])
    return found


def _build(optimizer, name: str, **keywords) -> Schedule:
    made = build_schedule(optimizer, name, EPOCHS, rate_min=LOWEST, steps_per_epoch=STEPS, **keywords)
    return Schedule(made, optimizer, EPOCHS)


def test_the_table_names_torchs_own_arguments():
    assert set(FORMULAS) | {"one_cycle", "plateau"} == set(SCHEDULES) == set(ARGUMENTS)
    ours = {"optimizer", "last_epoch", "max_lr", "total_steps", "epochs", "steps_per_epoch"}
    for name, (cls, model) in SCHEDULES.items():
        takes = set(inspect.signature(getattr(lr_scheduler, cls)).parameters)
        assert set(model.model_fields) == (set() if name == "constant" else takes - ours), name
        assert schedule_name(cls) == schedule_name(name.replace("_", "-").upper()) == name


@pytest.mark.parametrize("name", FORMULAS)
def test_by_default_the_schedule_spans_the_run(name: str):
    optimizer = _optimizer()
    rates = _rates(_build(optimizer, name), optimizer)
    assert rates == pytest.approx([FORMULAS[name](epoch) for epoch in range(EPOCHS + 1)], rel=1e-9)


def test_one_cycle_follows_the_steps():
    optimizer, twin = _optimizer(), _optimizer()
    schedule = _build(optimizer, "one_cycle")
    reference = lr_scheduler.OneCycleLR(twin, RATE, total_steps=EPOCHS * STEPS, cycle_momentum=False)
    assert schedule.per_step
    for _ in range(EPOCHS * STEPS):
        assert optimizer.param_groups[0]["lr"] == twin.param_groups[0]["lr"]
        assert optimizer.param_groups[0]["momentum"] == 0.9
        for one, step in ((optimizer, schedule.after_step), (twin, reference.step)):
            one.step()
            step()
    schedule.after_step()  # a loader that yields more than it said
    assert optimizer.param_groups[0]["lr"] == twin.param_groups[0]["lr"]


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"one_cycle"}))
@pytest.mark.parametrize("warm_up", [0, 2])
def test_arguments_reach_torch_and_a_warm_up_goes_before(name: str, warm_up: int):
    optimizer, twin = _optimizer(), _optimizer()
    losses = [3.0, 2.9, 2.8, 2.7, 2.6, 2.5]
    found = _rates(_build(optimizer, name, arguments=ARGUMENTS[name], warmup_epochs=warm_up), optimizer, losses=losses)
    cls = getattr(lr_scheduler, SCHEDULES[name][0])
    reference = cls(twin, **(ARGUMENTS[name] or {"factor": 1.0}))
    first = twin.param_groups[0]["lr"]
    expected = [first * ((epoch + 1) / (warm_up + 1)) for epoch in range(warm_up)] + [first]
    for loss in losses[warm_up:]:
        twin.step()
        reference.step(*([loss] if name == "plateau" else []))
        expected.append(twin.param_groups[0]["lr"])
    assert found == expected
    assert found[-1] < RATE or name == "constant"


def test_unknown_names_and_lengths_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'cosine'"):
        build_schedule(_optimizer(), "cosin", 3)
    with pytest.raises(ConfigError, match="__len__"):
        build_schedule(_optimizer(), "one_cycle", 3)
    with pytest.raises(ConfigError, match="momentum"):
        plain = torch.optim.Adagrad([nn.Parameter(torch.ones(1))], lr=0.1)
        build_schedule(plain, "one_cycle", 3, steps_per_epoch=2, arguments={"cycle_momentum": True})


def test_a_schedule_can_begin_anew_on_the_same_optimizer():
    for name in SCHEDULES:
        optimizer = _optimizer()
        first = _rates(_build(optimizer, name, arguments=ARGUMENTS[name]), optimizer)
        assert _rates(_build(optimizer, name, arguments=ARGUMENTS[name]), optimizer) == first, name


# what is stepped with what


@pytest.mark.parametrize(("mode", "expected"), [("min", 1.0), ("max", 50.0)])
def test_plateau_sees_what_its_mode_is_about(mode: str, expected: float):
    optimizer = _optimizer()
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode)
    _rates(Schedule(plateau, optimizer, 1), optimizer, 1)
    assert plateau.best == expected


class Measured:
    """A schedule of somebody's own."""

    def __init__(self):
        self.seen = []

    def step(self, value):
        self.seen.append(value)

    def state_dict(self):
        return {"seen": list(self.seen)}

    def load_state_dict(self, state):
        self.seen = list(state["seen"])


def test_any_object_with_the_protocol_is_a_schedule(caplog):
    optimizer = _optimizer()
    own = Measured()
    schedule = Schedule(own, optimizer, 1)
    schedule.after_epoch(_measured(9.0, 1.0, 1), _measured(2.0, 50.0, 1))
    with caplog.at_level(logging.WARNING, "naslib"):
        alone = Schedule(own, optimizer, 1, validates=False)
    alone.after_epoch(_measured(9.0, 1.0, 1), _measured(None, None, 0))
    assert own.seen == [2.0, 9.0] and "training loss" in caplog.text
    for thing, lacks in ((object(), "step and no state_dict and no load_state_dict"), ([own], "step")):
        with pytest.raises(ConfigError, match=lacks):
            Schedule(thing, optimizer, 1)
    constant = Schedule(None, optimizer, 1)
    assert _rates(constant, optimizer, 1) == [RATE, RATE]


def test_one_cycle_of_a_hook_may_count_epochs():
    optimizer = _optimizer()
    by_epoch = Schedule(lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS), optimizer, EPOCHS)
    by_step = Schedule(lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * STEPS), optimizer, EPOCHS)
    assert not by_epoch.per_step and by_step.per_step


# in runs


def _trainer(folder, name: str, *, hook=None, arguments=None, **search):
    trainer = small_trainer(folder, checkpoint_steps=2, **search)
    if hook is not None:

        class Hooked(Trainer):
            build_search_scheduler = staticmethod(hook)
            build_eval_scheduler = staticmethod(hook)

        trainer.__class__ = Hooked
    for section in ("search", "evaluation"):
        trainer.config[section].update(scheduler=name, scheduler_args=arguments or {}, label_smoothing=0.1)
    return trainer


HOOKS = {
    "hook: plateau": lambda optimizer, config: lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5),
    "hook: cyclic": lambda optimizer, config: lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3),
    "hook: sequential": lambda optimizer, config: lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.5)], [1]
    ),
    "hook: own": lambda optimizer, config: Measured(),
}


class Stop(Exception):
    pass


def _stopping(trainer, at: int):
    original, count = trainer.optimizer.step, []

    def step(*batches):
        count.append(1)
        if len(count) == at:
            raise Stop
        return original(*batches)

    trainer.optimizer.step = step
    return trainer


@pytest.mark.parametrize("name", ["one_cycle", "multi_step", "plateau", *HOOKS])
def test_resumed_bit_for_bit(tmp_path, name: str):
    hook = HOOKS.get(name)
    known, arguments = ("cosine", {}) if hook else (name, ARGUMENTS[name])

    def make(folder, seed=0):
        trainer = _trainer(tmp_path / folder, known, hook=hook, arguments=arguments, seed=seed, epochs=2)
        for section in ("search", "evaluation"):
            trainer.config[section].warmup_epochs = int(name in ("multi_step", "plateau"))
        return trainer

    whole = make("a")
    whole.search()
    whole.evaluate()
    with pytest.raises(Stop):
        _stopping(make("b"), 9).search()
    resumed = make("b", seed=7)
    resumed.search(resume_from=get_last_checkpoint(resumed.config))
    ends = [load(tmp_path / folder / "search" / "model_final.pth") for folder in "ab"]
    assert differences(*ends) == [] and "scheduler" in ends[0]

    # the retraining, from its checkpoint within the second epoch
    middle = max((tmp_path / "a" / "eval").glob("model_*_step*.pth"))
    resumed.folder = tmp_path / "c"
    resumed.evaluate(best_arch=whole.architecture, resume_from=str(middle))
    ends = [load(tmp_path / folder / "eval" / "model_final.pth") for folder in "ac"]
    assert differences(*ends) == []


def test_a_run_records_the_rates(tmp_path):
    trainer = _trainer(tmp_path, "step", arguments={"step_size": 1, "gamma": 0.5})
    trainer.search()
    assert trainer.optimizer.op_optimizer.param_groups[0]["lr"] == pytest.approx(0.1 / 8)
    trainer.evaluate()
    rows = json.loads((tmp_path / "eval" / "history.json").read_text())
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.025, 0.0125])


@pytest.mark.parametrize("warm_up", [0, 1])
@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"plateau"}))
def test_a_longer_run_goes_on_at_its_place(name: str, warm_up: int):
    if name == "one_cycle" and warm_up:
        return

    def make(optimizer, epochs):
        return build_schedule(optimizer, name, epochs, rate_min=LOWEST, steps_per_epoch=STEPS, warmup_epochs=warm_up)

    def begun(epochs):
        optimizer = _optimizer()
        return optimizer, Schedule(make(optimizer, epochs), optimizer, epochs)

    optimizer, schedule = begun(EPOCHS)
    whole = _rates(schedule, optimizer)
    optimizer, schedule = begun(3)
    _rates(schedule, optimizer, epochs=3)
    state, rates = schedule.scheduler.state_dict(), optimizer.state_dict()
    optimizer, schedule = begun(EPOCHS)
    optimizer.load_state_dict(rates)
    schedule.scheduler.load_state_dict(state)
    schedule.refit({"epochs": 3}, {"epochs": EPOCHS}, (3, 0), STEPS, lambda: make(optimizer, EPOCHS))
    assert _rates(schedule, optimizer, epochs=3) == pytest.approx(whole[3:])
    before = schedule.scheduler.state_dict()
    schedule.refit({"epochs": EPOCHS}, {"epochs": EPOCHS}, (3, 0), STEPS, lambda: make(optimizer, EPOCHS))
    assert schedule.scheduler.state_dict() == before


def test_another_schedule_takes_over_at_its_place(tmp_path):
    _trainer(tmp_path, "step", epochs=2).search()
    other = _trainer(tmp_path, "linear", epochs=4)
    rates = []
    other.search(
        resume_from=get_last_checkpoint(other.config),
        after_epoch=lambda epoch: rates.append(other.optimizer.op_optimizer.param_groups[0]["lr"]),
    )
    assert rates == pytest.approx([0.1 + (0.001 - 0.1) * epoch / 4 for epoch in (3, 4)])


def test_a_method_with_its_own_schedule_says_so(tmp_path):
    optimizer = PDARTSOptimizer(learning_rate=0.1, epochs=3, added_cells=[0], skip_dropout=[0.0], warm_up_epochs=0)
    with pytest.raises(ConfigError, match=r"search\.scheduler.*brings a schedule of its own"):
        trainer = small_trainer(tmp_path, optimizer=optimizer)
        trainer.config.search.scheduler = "step"
        trainer.search()


def test_what_cannot_be_saved_is_said_before_the_first_step(tmp_path):
    class Unsaveable(Measured):
        def state_dict(self):
            return {"seen": object()}

    trainer = _stopping(_trainer(tmp_path, "cosine", hook=lambda optimizer, config: Unsaveable()), 1)
    with pytest.raises(CheckpointError, match="scheduler"):
        trainer.search()


# objects in the config


@pytest.mark.parametrize("lightweight", [False, True])
@pytest.mark.parametrize(
    "criterion",
    [nn.CrossEntropyLoss(label_smoothing=0.1), nn.CrossEntropyLoss(weight=torch.ones(3)), F.cross_entropy],
    ids=["module", "weighted", "function"],
)
def test_a_criterion_object_in_the_config_is_used_and_recorded(tmp_path, criterion, lightweight):
    optimizer = DARTSOptimizer(learning_rate=0.1, arch_learning_rate=0.05, loss_criteria=criterion)
    trainer = small_trainer(tmp_path, optimizer=optimizer, epochs=1)
    trainer.lightweight_output = lightweight
    trainer.config.search.loss_criteria = criterion
    trainer.config.search.op_optimizer = torch.optim.SGD
    trainer.search()
    recorded = load(tmp_path / "search" / "model_final.pth")["run"]["settings"]
    assert "cross_entropy" in recorded["loss_criteria"].lower() or "CrossEntropyLoss" in recorded["loss_criteria"]
    assert " at 0x" not in recorded["loss_criteria"] and recorded["op_optimizer"].endswith("SGD")
    assert ("label_smoothing=0.1" in recorded["loss_criteria"]) == (getattr(criterion, "label_smoothing", 0) == 0.1)
    assert ("weight=[1.0, 1.0, 1.0]" in recorded["loss_criteria"]) == (getattr(criterion, "weight", None) is not None)


# label smoothing


def test_label_smoothing_is_torchs():
    logits = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 1, 0])
    share, logs = 0.2, torch.log_softmax(logits, 1)
    expected = -((1 - share) * logs[torch.arange(5), labels] + share * logs.mean(1)).mean()
    for loss in (F.cross_entropy, nn.CrossEntropyLoss()):
        torch.testing.assert_close(with_label_smoothing(loss, share)(logits, labels), expected, rtol=0, atol=1e-12)
        assert with_label_smoothing(loss, 0.0) is loss
    optimizer = DARTSOptimizer(label_smoothing=share)
    torch.testing.assert_close(optimizer.loss(logits, labels), expected, rtol=0, atol=1e-12)
    for loss in (nn.NLLLoss(), F.mse_loss):
        with pytest.raises(ConfigError, match="label_smoothing"):
            with_label_smoothing(loss, share)
    with pytest.raises(ConfigError, match="label_smoothing"):
        DARTSOptimizer(label_smoothing=share, loss_criteria="NLLLoss")


def test_only_the_training_loss_is_smoothed(tmp_path):
    trainer = _trainer(tmp_path, "constant", epochs=1)
    trainer.search()
    architecture, rows = trainer.optimizer.get_final_architecture(), []
    for share in (0.0, 0.5):
        trainer.config.evaluation.update(label_smoothing=share, learning_rate=1e-12, epochs=1)
        set_seed(3)
        trainer.evaluate(best_arch=architecture)
        rows += json.loads((tmp_path / "eval" / "history.json").read_text())
    assert rows[0]["valid_loss"] == pytest.approx(rows[1]["valid_loss"], rel=1e-5)
    assert rows[1]["train_loss"] != pytest.approx(rows[0]["train_loss"], rel=1e-3)


# the config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["search.scheduler=stpe"], "did you mean 'step'"),
        (["search.scheduler=step", "search.scheduler_args={gama: 0.1}"], "did you mean 'gamma'"),
        (["evaluation.scheduler=step", "evaluation.scheduler_args.step_size=0"], "a number >= 1, got 0"),
        (["search.scheduler=multi_step", "search.scheduler_args={milestones: 3}"], "a list"),
        (["search.scheduler=constant", "search.scheduler_args={gamma: 0.1}"], "it has none"),
        (["search.scheduler=one_cycle", "search.warmup_epochs=2"], "rises by itself"),
        (["search.warmup_epochs=-1"], "a number >= 0"),
        (["evaluation.label_smoothing=1.5"], "a number <= 1"),
    ],
)
def test_schedules_are_checked_before_the_run(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config({}, overrides)


def test_spellings_and_what_an_override_leaves_behind():
    config = load_config({"search": {"scheduler": {"name": "StepLR", "step_size": 3}}})
    assert (config.search.scheduler, config.search.scheduler_args) == ("step", {"step_size": 3})
    assert load_config(config.to_dict()).to_dict() == config.to_dict()
    given = {"search": {"scheduler": "step", "scheduler_args": {"step_size": 3}}}
    config = load_config(given, ["search.scheduler=one-cycle"])
    assert (config.search.scheduler, config.search.scheduler_args) == ("one_cycle", {})
    assert any("left out" in note for note in config.notes)
    assert load_config({}, ["search.epochs=2", "search.warmup_epochs=2"]).notes
    assert SearchKeys.model_fields["scheduler"].default == "cosine"


def test_loaders_that_do_not_tell_their_length(tmp_path):
    own = loaders()
    trainer = small_trainer(tmp_path, own={**own, "train_loader": iter(list(own["train_loader"]))}, epochs=1)
    trainer.config.search.scheduler = "one_cycle"
    with pytest.raises(ConfigError, match="__len__"):
        trainer.search()
