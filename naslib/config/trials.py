"""Check the keys of `search` that say how the trials of a black-box search are evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.config.extensions import Keywords, check_type, keyword_names, required_names
from naslib.config.schema import TRIAL_KEYS, ConfigKeys, SearchKeys
from naslib.config.type_check import Problems, got
from naslib.errors import did_you_mean
from naslib.utils.ray_options import option_problems

EXECUTORS = ("process", "ray", "serial")
# Those whose workers may die, and their trials be tried again
_RETRYING = ("process", "ray")
# The keyword by which a method is known to evaluate trials
_MARK = "evaluator"
# What a training of trials takes from the section `search`, although the method itself does not
_OF_TRAINING = (
    "learning_rate",
    "momentum",
    "weight_decay",
    "grad_clip",
    "nesterov",
    "loss_criteria",
    "label_smoothing",
)
# What those that come with naslib read; each has its own number of epochs, or none
_READ = {
    "train": _OF_TRAINING,
    "mepa": _OF_TRAINING,
    "supernet": ("loss_criteria",),
    "proxy": ("loss_criteria",),
    "predictor": (),
}


def keys_of_evaluator(own: Keywords, search: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """Return the keys that the evaluator of a method's trials reads beside it, and those that it says in its place.

    Args:
        own: The keywords of the method.
        search: The section of the config.
    """
    name = search.get("evaluator")
    if _MARK not in own or name in (None, "table"):
        return set(), set()
    # an evaluator of somebody's own may train, and may leave the number of epochs to the method
    known = _READ.get(str(name))
    return (set(_OF_TRAINING), set()) if known is None else (set(known), {"fidelity"})


def evaluates_trials(own: Keywords) -> bool:
    """Say whether a method with these keywords evaluates trials."""
    return _MARK in own


def trial_problems(
    raw: Mapping[str, Any], optimizers: Mapping[str, Keywords] | None, evaluators: Mapping[str, Keywords] | None
) -> Problems:
    """Return `(key, text)` for everything wrong with the keys of trials.

    Args:
        raw: A config whose types have been checked.
        optimizers: The keywords of every method; None where they are not known.
        evaluators: Those of every evaluator that a config may give; None where they are not known.
    """
    search = raw.get("search", {})
    given = {key: search[key] for key in TRIAL_KEYS if search.get(key, _default(key)) != _default(key)}
    name = raw.get("optimizer", ConfigKeys.model_fields["optimizer"].default)
    if not given:
        return []
    if optimizers is not None and name in optimizers and _MARK not in optimizers[name]:
        able = ", ".join(sorted(method for method, keywords in optimizers.items() if _MARK in keywords))
        text = f"{name} evaluates no trials; the key goes with {able}"
        return [(f"search.{key}", text) for key in given]
    problems: Problems = []
    if "budget_unit" in given and "budget" not in given:
        problems.append(("search.budget_unit", "it says what search.budget counts, and there is no search.budget"))
    if evaluators is not None:
        problems += _evaluator_problems(given.get("evaluator"), given.get("evaluator_args") or {}, evaluators)
    return problems + _executor_problems(given)


def _default(key: str) -> Any:
    return SearchKeys.model_fields[key].get_default(call_default_factory=True)


def _evaluator_problems(name: str | None, args: Mapping[str, Any], known: Mapping[str, Keywords]) -> Problems:
    names = f"(known: {', '.join(sorted(known))})"
    if name is None:
        text = f"name the evaluator that it is for: search.evaluator {names}"
        return [("search.evaluator_args", text)] if args else []
    if name not in known:
        return [("search.evaluator", f"unknown evaluator {name!r}{did_you_mean(name, known)} {names}")]
    problems: Problems = []
    keywords = known[name]
    allowed = keyword_names(keywords)
    for key, value in args.items():
        place = f"search.evaluator_args.{key}"
        if key not in allowed:
            takes = ", ".join(allowed) or "none"
            problems.append((place, f"{name} has no keyword {key!r}{did_you_mean(key, allowed)} (keywords: {takes})"))
        elif expected := check_type(value, keywords[key].annotation):
            problems.append((place, f"expected {expected}, got {got(value)}"))
    missing = [key for key in required_names(keywords) if key not in args]
    return problems + [(f"search.evaluator_args.{key}", f"required by {name!r}") for key in missing]


def _executor_problems(given: Mapping[str, Any]) -> Problems:
    executor, workers = given.get("executor"), given.get("workers", 1)
    if executor is not None and executor not in EXECUTORS:
        hint = did_you_mean(executor, EXECUTORS)
        return [("search.executor", f"unknown executor {executor!r}{hint} (known: {', '.join(EXECUTORS)})")]
    problems = _executor_arg_problems(executor, given.get("executor_args") or {})
    if executor == "serial" and workers > 1:
        text = f"{workers} workers need search.executor=process; serial evaluates one trial after the other"
        return [*problems, ("search.workers", text)]
    if given.get("evaluator") == "table" and (workers > 1 or executor in _RETRYING):
        text = "a table answers at once, in this process: leave search.workers and executor out"
        return [*problems, ("search.workers", text)]
    return problems


def _executor_arg_problems(executor: str | None, args: Mapping[str, Any]) -> Problems:
    """Return what is wrong with `search.executor_args`: those of Ray, of which processes have `retries`."""
    if not args:
        return []
    others = sorted(set(args) - {"retries"})
    if executor == "process" and others:
        return [("search.executor_args", f"{', '.join(others)}: search.executor=process has retries alone")]
    if executor not in _RETRYING:
        return [("search.executor_args", f"{', '.join(args)}: it goes with search.executor=ray")]
    return [(f"search.executor_args.{key}", text) for key, text in option_problems(args)]
