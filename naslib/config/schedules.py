"""Learning-rate schedules by name: which there are, what arguments each takes, and what a config says about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from naslib.config.schema import SECTIONS, Count, NotNegative, NotNegativeInt, Portion, Positive, Probability
from naslib.config.type_check import Problems, got, in_words
from naslib.errors import did_you_mean

# A factor that lowers what it multiplies
Decay = Annotated[float, Field(gt=0, lt=1)]
AtLeastOne = Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Constant(BaseModel):
    """The learning rate stays; also the base of the arguments of all others."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Cosine(Constant):
    """From the first rate to `learning_rate_min` along a cosine (torch's CosineAnnealingLR)."""

    T_max: Count | None = None
    eta_min: NotNegative | None = None


class Linear(Constant):
    """From the first rate to `learning_rate_min` along a line (torch's LinearLR)."""

    start_factor: Portion | None = None
    end_factor: Probability | None = None
    total_iters: Count | None = None


class Step(Constant):
    """Times `gamma` every `step_size` epochs (torch's StepLR)."""

    step_size: Count | None = None
    gamma: Decay | None = None


class MultiStep(Constant):
    """Times `gamma` at each of the epochs `milestones` (torch's MultiStepLR)."""

    milestones: list[Count] | None = None
    gamma: Decay | None = None


class Exponential(Constant):
    """Times `gamma` every epoch (torch's ExponentialLR)."""

    gamma: Decay | None = None


class OneCycle(Constant):
    """Up to `learning_rate` and down again within the run, step by step (torch's OneCycleLR)."""

    pct_start: Probability | None = None
    anneal_strategy: Literal["cos", "linear"] | None = None
    cycle_momentum: bool | None = None
    base_momentum: Probability | None = None
    max_momentum: Probability | None = None
    div_factor: AtLeastOne | None = None
    final_div_factor: AtLeastOne | None = None
    three_phase: bool | None = None


class Plateau(Constant):
    """Times `factor` where the validation loss has stopped falling (torch's ReduceLROnPlateau)."""

    mode: Literal["min", "max"] | None = None
    factor: Decay | None = None
    patience: NotNegativeInt | None = None
    threshold: NotNegative | None = None
    threshold_mode: Literal["rel", "abs"] | None = None
    cooldown: NotNegativeInt | None = None
    min_lr: NotNegative | None = None
    eps: Positive | None = None


# By name; the class of `torch.optim.lr_scheduler` is a name as well.
SCHEDULES: dict[str, tuple[str, type[Constant]]] = {
    "cosine": ("CosineAnnealingLR", Cosine),
    "linear": ("LinearLR", Linear),
    "step": ("StepLR", Step),
    "multi_step": ("MultiStepLR", MultiStep),
    "exponential": ("ExponentialLR", Exponential),
    "one_cycle": ("OneCycleLR", OneCycle),
    "plateau": ("ReduceLROnPlateau", Plateau),
    "constant": ("ConstantLR", Constant),
}


def schedule_name(text: str) -> str | None:
    """Return the name of the schedule that `text` means ("one-cycle", "OneCycleLR" ...), None for none."""
    names = {_letters(spelling): name for name, (cls, _) in SCHEDULES.items() for spelling in (name, cls)}
    return names.get(_letters(text))


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def unfold_schedules(raw: dict[str, Any]) -> None:
    """Write `scheduler: {name: step, step_size: 10}` as the two keys that it means, in place."""
    for section in SECTIONS:
        values = raw.get(section)
        if not isinstance(values, dict) or "scheduler_args" in values:
            continue
        scheduler = values.get("scheduler")
        if isinstance(scheduler, dict) and "name" in scheduler:
            arguments = {key: value for key, value in scheduler.items() if key != "name"}
            values.update(scheduler=scheduler["name"], scheduler_args=arguments)


def check_schedules(raw: dict[str, Any]) -> tuple[Problems, list[str]]:
    """Check the schedules of a config whose types are right, and write their names as the table has them.

    Returns:
        Problems and notes (see `validate`).
    """
    problems: Problems = []
    notes: list[str] = []
    for section, model in SECTIONS.items():
        given = raw.get(section, {})
        values = {key: given.get(key, field.get_default()) for key, field in model.model_fields.items()}
        name = schedule_name(values["scheduler"])
        if name is None:
            hint = did_you_mean(values["scheduler"], SCHEDULES)
            text = f"unknown schedule {values['scheduler']!r}{hint} (known: {', '.join(SCHEDULES)})"
            problems.append((f"{section}.scheduler", text))
            continue
        if "scheduler" in given:
            given["scheduler"] = name
        problems += _check_arguments(f"{section}.scheduler_args", name, given.get("scheduler_args") or {})
        warm_up = values["warmup_epochs"]
        if warm_up and name == "one_cycle":
            problems.append((f"{section}.warmup_epochs", "one_cycle rises by itself (scheduler_args.pct_start)"))
        elif warm_up and warm_up >= values["epochs"] > 0:
            notes.append(
                f"{section}.warmup_epochs: {warm_up} of {values['epochs']} epochs, the rate never reaches its top"
            )
    return problems, notes


def _check_arguments(key: str, name: str, given: dict[str, Any]) -> Problems:
    """Return a problem for each argument that a schedule does not take, or not with this value."""
    model = SCHEDULES[name][1]
    known = ", ".join(model.model_fields) or "it has none"
    unknown = [entry for entry in given if entry not in model.model_fields]
    problems: Problems = [
        (f"{key}.{entry}", f"no argument of {name}{did_you_mean(str(entry), model.model_fields)} (arguments: {known})")
        for entry in unknown
    ]
    expected: dict[str, list[str]] = {}
    try:
        model.model_validate({entry: value for entry, value in given.items() if entry not in unknown})
    except ValidationError as error:
        for found in error.errors(include_url=False):
            expected.setdefault(str(found["loc"][0]), []).append(in_words(found))
    for entry, texts in expected.items():
        problems.append((f"{key}.{entry}", f"expected {' or '.join(dict.fromkeys(texts))}, got {got(given[entry])}"))
    return problems
