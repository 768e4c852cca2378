"""The summary of a run, and what its config does not say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.registry.catalogue import OPTIMIZERS, SEARCH_SPACES
from naslib.registry.registry import Registry
from naslib.search_spaces.core.graph import Graph
from naslib.training.report import EvaluationResult
from naslib.utils.distributed import world_size
from naslib.utils.files import to_jsonable

from ._front import front_of, fronts_of_devices


def names_of_run(optimizer: Any, config: Any) -> dict[str, str]:
    """Return the names of optimizer, search space and data set of a run: registered ones, or else those of classes."""

    def name(key: str, value: Any, registry: Registry[Any]) -> str:
        said = config.get(key)
        return str(said) if value is None else registry.name_of(type(value), said) or type(value).__name__

    return {
        "optimizer": name("optimizer", optimizer, OPTIMIZERS),
        "search_space": name("search_space", optimizer.space, SEARCH_SPACES),
        "dataset": str(config.dataset),
    }


def remark_on(optimizer: Any, config: Any, has_own_loaders: bool) -> str:
    """Return lines on what a run uses in place of what its config names, "" where it does what the config says."""
    names = names_of_run(optimizer, config)
    other = [
        f"{key}: {type(used).__module__}.{type(used).__qualname__}, not {config.get(key)}"
        for key, used in (("optimizer", optimizer), ("search_space", optimizer.space))
        if names[key] != str(config.get(key))
    ]
    other += ["dataset: batches of the script's own loaders"] if has_own_loaders else []
    head = "a script ran it with something else than is said below, so that only the script can repeat it:"
    return "\n".join([head, *(f"  {line}" for line in other)]) if other else ""


def title_of(trainer: Any) -> str:
    """Return a line on what a run is: method, space, data, seed and device."""
    names = names_of_run(trainer.optimizer, trainer.config)
    return (
        f"{names['optimizer']} on {names['search_space']}, data set {names['dataset']}"
        f"{' (own loaders)' if trainer.has_own_loaders else ''}, seed {trainer.config.get('seed', 0)}, {trainer.device}"
    )


def summarize(trainer: Any, architecture: Graph | None, is_found: bool, seconds: float) -> dict[str, Any]:
    """Return what `summary.json` says of a run.

    Args:
        trainer: The Trainer.
        architecture: What was found, or given to be evaluated.
        is_found: Whether a search found it.
        seconds: How long the process has worked.
    """
    config, optimizer = trainer.config, trainer.optimizer
    result: EvaluationResult | None = trainer.result
    names = names_of_run(optimizer, config)
    spent = trainer.search_seconds + (result.seconds if result else 0.0)
    return {
        "genotype": architecture.genotype() if isinstance(architecture, Graph) else None,
        "architecture": "found" if is_found else "given",
        "given_genotype": to_jsonable(config.evaluation.get("genotype")),
        "params_millions": result.params_millions if result else None,
        "flops_millions": result.flops_millions if result else None,
        **(result.summary() if result else EvaluationResult.no_summary(trainer.task)),
        "evaluation_mode": result.mode if result else None,
        "degenerate": trainer.degenerate if result else None,
        "search_seconds": trainer.search_seconds,
        "search_evaluations": None if optimizer.using_step_function else len(trainer.search_trajectory.runtime),
        "trials": _trials_of(optimizer) if is_found else None,
        "parts": _parts_of(optimizer) if is_found else None,
        "evaluation_seconds": result.seconds if result else None,
        "total_seconds": max(seconds, spent),
        "search_params_millions": trainer.search_trajectory["params"] if is_found else None,
        "device": str(trainer.device),
        "world_size": world_size(),
        "seed": int(config.get("seed", 0)),
        "optimizer": names["optimizer"] if is_found else None,
        "search_space": names["search_space"],
        "dataset": names["dataset"],
        "own_loaders": trainer.has_own_loaders,
        "data": to_jsonable(trainer.data_record),
        "search_epochs": int(config.search.epochs) if is_found else 0,
        "evaluation_epochs": int(config.evaluation.epochs) if result else None,
        "run_folder": str(config.save),
        **(result.classes if result else {}),
    }


def _parts_of(optimizer: Any) -> dict[str, Any]:
    """Return what the parts of a weight-sharing method report of themselves, by name; those that report nothing not."""
    parts = getattr(optimizer, "parts", None)
    if not isinstance(parts, Mapping):  # of trials there is at most a rule that stops them
        return {}
    reports = {name: part.report() for name, part in parts.items() if hasattr(part, "report")}
    return {name: to_jsonable(report) for name, report in reports.items() if report}


def _trials_of(optimizer: Any) -> dict[str, Any] | None:
    """Return what the trials of a black-box search came to, None for another method."""
    if not isinstance(optimizer, DiscreteOptimizer):
        return None
    record, objectives = optimizer.record, optimizer.objectives
    front = front_of(optimizer)
    return {
        "count": record.evaluations + record.failed + record.pruned,
        "failed": record.failed,
        "pruned": record.pruned,
        "best": record.incumbent_trial,
        "objectives": [objective.name for objective in objectives],
        "units": [objective.unit for objective in objectives],
        "best_values": list(record.incumbent_values),
        "best_fidelity": record.incumbent_fidelity,
        "seconds": record.seconds,
        "front": front,
        "hypervolume": front["hypervolume"] if front else None,
        "reference_point": front["reference_point"] if front else None,
        "devices": fronts_of_devices(optimizer),
        "epochs": record.epochs,
        "tasks": _by_task(optimizer),
    }


def _by_task(optimizer: DiscreteOptimizer) -> dict[str, Any] | None:
    """Return what a search of several tasks found for each, None for a search of one."""
    found = optimizer.found_by_task()
    if found is None:
        return None
    told: dict[str, Any] = {}
    for name, of_task in found.items():
        code = of_task.pop("code")
        genotype = None
        if code is not None:
            graph = optimizer.graph.clone()
            graph.set_spec(code)
            genotype = to_jsonable(graph.genotype())
        told[name] = {**of_task, "genotype": genotype}
    return told
