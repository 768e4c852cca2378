"""Searches that are the same on one process and on several: what they have learned, as plain arrays."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from small_spaces import ConvSpace, batch, images, mlp_space
from torch import nn

from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces import MemoryBankSearchSpace
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.tasks import FewShot

BANKS: dict[str, Any] = {"n_classes": 3, "in_channels": 2, "unit": 2, "channels": (4, 4), "banks": 3}
BANKS |= {"kernels": (3, 5), "dilations": 2, "groups": (1, 2), "ops": (1, 2, 3)}
SAMPLES = {"num_samples": 5, "num_finalists": 2}
EVOLVED = {"population": 4, "generations": 2, "mutations": 2, "crossovers": 2}
# Keywords with which a few steps of a method show what it does
KEYWORDS: dict[str, dict[str, Any]] = {
    "smash": {"hyper_growth": 3, "hyper_layers": (2, 2), "n_random": 3, "n_perturbed": 2, "n_chain": 2},
    "p_darts": {"added_cells": [0], "warm_up_epochs": 0, "max_skips": None, "skip_dropout": [0.3]},
    "enas": {"controller_aggregate": 1, "n_samples": 3},
    "metadapt": {"adapt_from": 0.5},
    **dict.fromkeys(("random_nas", "rsws", "rs_ws", "one_shot", "oneshot", "setn"), SAMPLES),
    **dict.fromkeys(("spos", "fair_nas"), EVOLVED),
    "ofa": {"distillation": "none", **EVOLVED},
}


@dataclass(frozen=True)
class Case:
    """A search.

    Attributes:
        name: The method.
        keywords: Of the method.
        rows: Of a batch.
        steps: In each of two epochs.
        frozen: Whether all batch norms are in evaluation mode.
        plain: Whether the network has no batch norm.
        selects: Whether the architecture is chosen at the end.
    """

    name: str
    keywords: dict[str, Any] = field(default_factory=dict)
    rows: int = 6
    steps: int = 1
    frozen: bool = False
    plain: bool = False
    selects: bool = True

    @property
    def title(self) -> str:
        """For the name of a test."""
        parts = self.keywords.get("parts", {})
        words = [f"{key}={value}" for key, value in self.keywords.items() if key != "parts"]
        return "-".join([self.name, *parts, *words, str(self.rows)])


def space_of(case: Case) -> Any:
    """Return a small space: one of linear layers without batch norm, if that is asked for."""
    if case.name == "smash":
        return MemoryBankSearchSpace(**BANKS)
    if case.plain:
        return mlp_space()
    return ConvSpace(kind="plain" if case.name == "te_nas" else "smooth")


def batch_of(case: Case, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch: an episode for metadapt."""
    x, targets = batch(case.rows, seed=seed) if case.plain else images(case.rows, seed=seed)
    if case.name == "metadapt":
        shots = torch.tensor([-1, -2, -1, -2])
        targets = torch.cat([shots, targets[4:].clamp(max=1)])
    return x, targets


def search(case: Case, **keywords: Any) -> dict[str, Any]:
    """Search a little, and return what was learned."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    space = space_of(case)
    given = {"epochs": 2, **KEYWORDS.get(case.name, {}), **case.keywords, **keywords}
    if case.name == "metadapt":
        given["task"] = FewShot(output_size=3)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return _searched(case, space, given)
    finally:
        torch.set_default_dtype(before)


def _searched(case: Case, space: Any, given: dict[str, Any]) -> dict[str, Any]:
    optimizer: Any = OPTIMIZERS.get(case.name)(**given)
    optimizer.task.to(torch.device("cpu"), torch.float64)
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    optimizer.graph.double().train()
    for parameter in optimizer.architecture_parameters:
        parameter.data = parameter.data.double()
    found: dict[str, Any] = {"steps": []}
    to_device = optimizer.task.to_device
    for epoch in range(2):
        optimizer.graph.train()
        if case.frozen:
            freeze(optimizer.graph)
        optimizer.new_epoch(epoch)
        for step in range(case.steps):
            data = [
                optimizer.task.to_device(batch_of(case, 10 * epoch + 2 * step + k), torch.device("cpu")) for k in (0, 1)
            ]
            found["steps"].append(optimizer.step(*data))
            found["steps"].append(
                [x.detach().clone() for x in (*optimizer.weights, *optimizer.architecture_parameters)]
            )
        found["finished", epoch] = optimizer.is_finished
    found["state"] = {name: item.state_dict() for name, item in optimizer.get_checkpointables().items()}
    found["gradients"] = [weight.grad for weight in optimizer.weights]
    if case.selects:
        data = [[to_device(batch_of(case, 50 + k), torch.device("cpu"))] for k in (0, 1)]
        optimizer.select_architecture(*data)
        found["outcome"] = optimizer.outcome
        found["alphas"] = list(optimizer.architectural_weights)
    found["random"] = torch.rand(3), random.random()
    return plain(found)


def freeze(graph: nn.Module) -> None:
    """Put all batch norms in evaluation mode, with statistics that do something."""
    for number, norm in enumerate(batch_norm_modules(graph)):
        if norm.running_mean is not None:
            norm.running_mean.fill_(0.01 * (number % 7))
            norm.running_var.fill_(0.5 + 0.1 * (number % 5))
        norm.eval()


def plain(value: Any) -> Any:
    """Return tensors as arrays, whatever they are in."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().copy()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str | bytes | np.ndarray | None) else repr(value)


def differences(one: Any, other: Any, tolerance: float, place: str = "") -> list[str]:
    """Return where two values of `search` differ by more than a tolerance, relative to 1 or to what is larger."""
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return [f"{place}: {list(one)} and {list(other)}"]
        return [text for key in one for text in differences(one[key], other[key], tolerance, f"{place}/{key}")]
    if isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return [f"{place}: {len(one)} and {len(other)} entries"]
        pairs = zip(one, other, strict=True)
        return [text for n, (a, b) in enumerate(pairs) for text in differences(a, b, tolerance, f"{place}/{n}")]
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        if one.shape != other.shape:
            return [f"{place}: {one.shape} and {other.shape}"]
        if one.dtype.kind != "f":
            return [] if np.array_equal(one, other) else [f"{place}: differ"]
        wrong = ~np.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
        return [f"{place}: by {np.abs(one - other).max():.3g}"] if wrong.any() else []
    if isinstance(one, float) and isinstance(other, float):
        return (
            []
            if np.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
            else [f"{place}: {one} {other}"]
        )
    return [] if one == other else [f"{place}: {one!r} and {other!r}"]
