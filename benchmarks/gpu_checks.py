"""Whether searches on a device compute what they compute on the CPU: `python -m benchmarks.gpu_checks --device cuda`.

Every weight-sharing method takes some steps in float64 on both, from the same weights and with the same random numbers;
every black-box method evaluates one trial by training on the device.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from naslib.errors import NASLibError
from naslib.evaluators import TrainEvaluator, TrainingOfTrials
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces import SEARCH_SPACES

from .row_files import append
from .same_draws import HostDraws
from .settings import Setting
from .subjects import batches, nb201_space, one_shot_methods

STEPS = 3
# Of float64 computations in another order, through some steps of an optimizer
BOUND = 1e-6
TINY = Setting(channels=4, cells_per_stage=1, image=8, batch=6, channels_last=False)
# Spaces of methods that search no other
OWN_SIZES: dict[str, dict[str, Any]] = {
    "memory_bank": {
        "n_classes": 10,
        "in_channels": 3,
        "unit": 2,
        "channels": (4, 4),
        "banks": 3,
        "kernels": (3, 5),
        "dilations": 2,
        "groups": (1, 2),
        "ops": (1, 2, 3),
    },
    "eas_cnn": {"n_classes": 10, "in_channels": 3},
}
CHAINS = {"eas": "eas_cnn"}
# What makes a method decide something at once, or build something small
SMALL: dict[str, dict[str, Any]] = {
    "smash": {"hyper_growth": 3, "hyper_layers": (2, 2), "n_random": 2, "n_perturbed": 1, "n_chain": 1},
    "p_darts": {"added_cells": (0,), "skip_dropout": (0.3,), "warm_up_epochs": 0},
    "pc_darts": {"parts": {"warm_up": {"epochs": 0}, "partial_channels": {"k": 2}}},
}
# Methods that build networks of their own while they search, in float32
FLOAT32 = ("te_nas",)


@dataclass(frozen=True)
class Check:
    """What was found of a method.

    Attributes:
        method: Its name.
        kind: `"steps"` or `"trial"`.
        verdict: `"equal"`, `"trained"`, `"DIFFERS"` or `"FAILED"`.
        weights: Largest difference of weights and statistics, relative to the largest entry of each tensor.
        alphas: The same of architecture parameters.
        waits: How often a step made the host wait for CUDA, None elsewhere.
        seconds: Of the check.
        note: Of a failure, why.
    """

    method: str
    kind: str
    verdict: str
    weights: float | None = None
    alphas: float | None = None
    waits: int | None = None
    seconds: float = 0.0
    note: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether it is not as it should be."""
        return self.verdict in ("DIFFERS", "FAILED")


def space_for(name: str) -> Any:
    """Return a small space for a method: its own where it searches no other."""
    own = OPTIMIZERS.get(name).OWN_SPACE or CHAINS.get(name)
    return SEARCH_SPACES.get(own)(**OWN_SIZES[own]) if own else nb201_space(TINY)


def seed(number: int) -> None:
    """Seed the generators that methods draw from."""
    torch.manual_seed(number)
    np.random.seed(number)
    random.seed(number)


def after_steps(name: str, device: str, steps: int = STEPS) -> tuple[list[Tensor], list[Tensor], int | None]:
    """Return weights and statistics, and architecture parameters, of any shapes, after steps on a device in float64.

    With them, how often one more step makes the host wait for CUDA.
    """
    seed(0)
    optimizer: Any = OPTIMIZERS.get(name)(**{"epochs": 4, **SMALL.get(name, {})})
    optimizer.adapt_search_space(space_for(name))
    dtype = torch.float32 if name in FLOAT32 else torch.float64
    optimizer.graph.to(dtype)
    for parameter in optimizer.architecture_parameters:
        parameter.data = parameter.data.to(dtype)
    optimizer.device = torch.device(device)
    optimizer.before_training()
    optimizer.graph.train()
    optimizer.new_epoch(0)
    optimizer.new_epoch(1)
    train, valid = batches(Setting(**{**vars(TINY), "device": device}), torch.contiguous_format, dtype)
    with HostDraws():
        for number in range(steps):
            seed(number)
            optimizer.step(train, valid)
    weights = [value.detach().cpu().clone() for value in optimizer.graph.state_dict().values()]
    alphas = [value.detach().cpu().clone() for value in optimizer.architectural_weights]
    on_cuda = torch.device(device).type == "cuda"
    return weights, alphas, _waits(lambda: optimizer.step(train, valid)) if on_cuda else None


def _waits(step: Any) -> int:
    """Return how many warnings of waiting CUDA gives in a step."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def difference(first: Iterable[Tensor], second: Iterable[Tensor]) -> float:
    """Return the largest difference of tensors, relative to the largest entry of each; infinite of NaN or other shapes.

    Each is of any shape.
    """
    first, second, found = list(first), list(second), 0.0
    if [one.shape for one in first] != [other.shape for other in second]:
        return float("inf")
    for one, other in zip(first, second, strict=True):
        if not one.numel():
            continue
        gap = (one.double() - other.double()).abs().max()
        scale = one.double().abs().max().clamp_min(1e-12)
        found = max(found, float((gap / scale).nan_to_num(nan=float("inf"))))
    return found


def check_steps(name: str, device: str, steps: int = STEPS) -> Check:
    """Compare steps of a weight-sharing method on a device with those on the CPU."""
    begun = time.perf_counter()
    try:
        weights, alphas, _ = after_steps(name, "cpu", steps)
        there, alphas_there, waits = after_steps(name, device, steps)
    except (NASLibError, RuntimeError, TypeError, ValueError) as error:
        return Check(name, "steps", "FAILED", seconds=time.perf_counter() - begun, note=_first_line(error))
    found = difference(weights, there), difference(alphas, alphas_there)
    verdict = "equal" if max(found) <= BOUND else "DIFFERS"
    return Check(name, "steps", verdict, *found, waits, time.perf_counter() - begun)


def black_box_methods() -> list[str]:
    """Return the registered black-box methods, each by the first of its names."""
    first = {OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}
    return sorted(name for kind, name in first.items() if issubclass(kind, DiscreteOptimizer))


def check_trial(name: str, device: str) -> Check:
    """Let a black-box method evaluate one trial by training it on a device."""
    begun = time.perf_counter()
    seed(0)
    images, labels = torch.randn(24, 3, 8, 8), torch.arange(24) % 10
    train, valid = (DataLoader(TensorDataset(images[part], labels[part]), 8) for part in (slice(16), slice(16, 24)))
    try:
        optimizer: Any = OPTIMIZERS.get(name)()
        space = space_for(name)
        evaluator = TrainEvaluator(space, train, valid, TrainingOfTrials(device=device), seed=0, epochs=1)
        optimizer.adapt_search_space(space, evaluator=evaluator)
        optimizer.new_epoch(0)
        failed, value = optimizer.record.failed, optimizer.record.incumbent_values[0]
    except (NASLibError, RuntimeError, TypeError, ValueError) as error:
        return Check(name, "trial", "FAILED", seconds=time.perf_counter() - begun, note=_first_line(error))
    verdict = "FAILED" if failed or value != value else "trained"
    return Check(name, "trial", verdict, seconds=time.perf_counter() - begun, note=f"accuracy {value:.3g} %")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the methods, print a line of each, and return 1 if one differs or fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_checks", description=__doc__)
    parser.add_argument("--device", default="cuda", help="where to compare with the CPU")
    parser.add_argument("--methods", nargs="*", help="names; all by default")
    parser.add_argument("--quick", action="store_true", help="one step of every method, no trials")
    parser.add_argument("--csv", type=Path, help="a file for the rows, made anew")
    given = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*deprecated.*")
    sharing, black_box = one_shot_methods(), [] if given.quick else black_box_methods()
    wanted = [*sharing, *black_box] if given.methods is None else given.methods
    if unknown := [name for name in wanted if name not in {*sharing, *black_box_methods()}]:
        raise SystemExit(f"no method {', '.join(unknown)}; there are: {', '.join([*sharing, *black_box_methods()])}")
    found = []
    if given.csv is not None:
        given.csv.unlink(missing_ok=True)
    for name in wanted:
        steps = 1 if given.quick or name in FLOAT32 else STEPS
        check = check_steps(name, given.device, steps) if name in sharing else check_trial(name, given.device)
        found.append(check)
        if given.csv is not None:  # now: the section may be ended by its time limit
            append(given.csv, [field.name for field in fields(Check)], [astuple(check)])
        numbers = "" if check.weights is None else f" weights {check.weights:.1e}, parameters {check.alphas:.1e}"
        waited = "" if check.waits is None else f", {check.waits} waits"
        print(f"{check.method:24} {check.verdict:8}{numbers}{waited} {check.note} ({check.seconds:.1f} s)", flush=True)
    bad = [check.method for check in found if check.is_bad]
    print(f"{len(found)} methods on {given.device}, {len(bad)} bad{': ' + ', '.join(bad) if bad else ''}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
