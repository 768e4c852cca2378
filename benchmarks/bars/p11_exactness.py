"""P11: our networks' logits and gradients against the plain references in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import reference_darts, reference_nb201, subjects
from ..records import Row
from ..reference_common import Pairing
from ..settings import Options, Setting
from ..subjects import Subject

LIMIT = 1e-10


def measure(options: Options) -> list[Row]:
    """Return the largest relative differences for both spaces."""
    setting = options.setting(batch=4, image=16)
    rows = []
    for name, ours, model in (
        ("DARTS", subjects.darts(setting), _darts_model(setting)),
        ("NB201", subjects.nb201(setting), _nb201_model(setting)),
    ):
        ours.model.double()
        ours.owner.architectural_weights.double()
        module: Any = reference_darts if name == "DARTS" else reference_nb201
        pairing = module.pair(ours.model, model)
        pairing.copy_to_reference()
        logits, gradients = _differences(ours, model, pairing)
        note = f"float64, C={setting.channels} B={setting.batch}"
        rows.append(Row("P11", f"logits, {name}", logits, "", limit=LIMIT, sense="<=", note=note))
        rows.append(Row("P11", f"gradients, {name}", gradients, "", limit=LIMIT, sense="<=", note=note))
    return rows


def _darts_model(setting: Setting) -> torch.nn.Module:
    sizes = (setting.channels, setting.cells, setting.nodes)
    return reference_darts.DartsNetwork(*sizes, device=setting.device, dtype=torch.float64)


def _nb201_model(setting: Setting) -> torch.nn.Module:
    sizes = (setting.channels, setting.cells_per_stage)
    return reference_nb201.Nb201Network("darts", *sizes, device=setting.device, dtype=torch.float64)


def _differences(ours: Subject, model: torch.nn.Module, pairing: Pairing) -> tuple[float, float]:
    """Return the largest differences of logits and of gradients (weights and alphas), relative to the largest entry."""
    images, labels = ours.train[0].double(), ours.train[1]
    ours.owner.amp = False
    our_logits, our_loss = ours.owner.forward_loss((images, labels))
    alphas = list(ours.owner.architectural_weights)
    parameters = [p for p, _ in pairing.parameters]
    found = torch.autograd.grad(our_loss, [*parameters, *alphas])
    logits = model(images.contiguous())
    torch.nn.functional.cross_entropy(logits, labels).backward()
    by_alpha: dict[int, Any] = {id(p.ours): p.reference(p.table.grad) for p in pairing.alphas}  # type: ignore[arg-type]
    expected: list[Any] = [*(p.grad for _, p in pairing.parameters), *(by_alpha[id(alpha)] for alpha in alphas)]
    return _relative([our_logits], [logits]), _relative(found, expected)


def _relative(found: list[Tensor] | tuple[Tensor, ...], expected: list[Tensor]) -> float:
    difference = max(float((a - b).detach().abs().max()) for a, b in zip(found, expected, strict=True))
    return difference / max(float(b.detach().abs().max()) for b in expected)
