"""P7: the second-order step: no copy of the model, and an exact Hessian-vector product beside the finite difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from naslib.optimizers.oneshot.supernet.bilevel import exact_product, finite_difference_product, virtual_step
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics

from .. import reference_darts, subjects
from ..harness import interleave
from ..records import Row, ratio_row, seconds_row
from ..reference_common import Pairing
from ..settings import Options, Setting
from ..subjects import Subject

DIFFERENCE, EXACT, EXACT_64 = "finite difference product", "exact product", "exact product in float64"
PRODUCTS = {DIFFERENCE: finite_difference_product, EXACT: exact_product}
VIRTUAL, COPY = "our virtual weights", "reference's model copy"


def measure(options: Options) -> list[Row]:
    """Return errors and times of both products, the time of the virtual weights, and (in full) of whole steps."""
    return [*_products(options), *_copies(options), *([] if options.quick else _steps(options))]


def _products(options: Options) -> list[Row]:
    """Return errors of both products and their times.

    In float32 the networks round differently, and now and then one of millions of ReLU or max-pooling inputs falls on
    the other side of its kink, which moves any exact product (the plain reference's as well) by 1e-4 to 1e-2. The bar
    is therefore read off small images, where most seeds have no such flip; the error at full size is shown beside it.
    """
    setting = options.setting(cells=3, batch=8)
    small = setting.but(image=8)
    found = [_errors(small.but(seed=seed)) for seed in range(2 if options.smoke else 6)]
    errors = {name: [one[name] for one in found] for name in found[0]}
    note = f"{small.cells} cells, C={small.channels} B={small.batch}, 8x8 pixels, median of seeds"
    rows = [
        _error_row(DIFFERENCE, errors, "float32; radius 0.01 / norm, the authors'"),
        _error_row(EXACT, errors, f"float32; {note}", 1e-5),
        _error_row(EXACT_64, errors, "against double backward of the plain reference", 1e-10),
        Row("P7", "relative error, at full size", _errors(setting)[EXACT], "", note="float32; kinks flip, see README"),
    ]
    ours = subjects.darts(setting)
    timings = interleave(
        {name: partial(_product, ours, name, _vector(ours)) for name in PRODUCTS},
        rounds=options.n_rounds(),
        device=options.device,
    )
    rows += [seconds_row("P7", name, timings, f"{setting.image}x{setting.image} pixels") for name in PRODUCTS]
    limits = {"limit": 2.0, "sense": "<="}
    return [*rows, ratio_row("P7", "time, exact / difference", timings, (EXACT, DIFFERENCE), **limits)]


def _error_row(name: str, errors: Mapping[str, list[float]], note: str, limit: float | None = None) -> Row:
    values = errors[name]
    spread = (min(values), max(values), len(values))
    return Row("P7", f"relative error, {name}", median(values), "", *spread, limit=limit, sense="<=", note=note)


def _errors(setting: Setting) -> dict[str, float]:
    """Return the relative errors of the products on one network."""
    ours = subjects.darts(setting)
    vector = _vector(ours)
    expected = torch.cat(_exact_in_float64(ours, vector, setting))

    def error(name: str) -> float:
        return float((torch.cat(_product(ours, name, vector)).double() - expected).norm() / expected.norm())

    errors = {name: error(name) for name in PRODUCTS}
    ours.model.double()
    ours.owner.architectural_weights.double()
    ours.train = (ours.train[0].double(), ours.train[1])
    vector = [v.double() for v in vector]
    return {**errors, EXACT_64: error(EXACT)}


def _vector(ours: Subject) -> list[Tensor]:
    return list(torch.autograd.grad(ours.owner.forward_loss(ours.val)[1], list(ours.model.parameters())))


def _product(ours: Subject, name: str, vector: Sequence[Tensor]) -> list[Tensor]:
    weights = {name: p.detach() for name, p in ours.model.named_parameters()}
    with frozen_batch_norm_statistics(ours.model):
        alphas = list(ours.owner.architectural_weights)
        return PRODUCTS[name](_loss_of_weights(ours), weights, vector, alphas)


def _loss_of_weights(subject: Subject) -> Callable[[Mapping[str, Tensor]], Tensor]:
    inputs, targets = subject.train

    def loss(weights: Mapping[str, Tensor]) -> Tensor:
        return subject.owner.loss(functional_call(subject.model, dict(weights), (inputs,)), targets)

    return loss


def _exact_in_float64(ours: Subject, vector: Sequence[Tensor], setting: Setting) -> list[Tensor]:
    """Return `d2L / (dalpha dw) v` of the plain reference by differentiating twice, in the order of our decisions."""
    model: Any = reference_darts.DartsNetwork(
        setting.channels, setting.cells, setting.nodes, device=setting.device, dtype=torch.float64
    )
    pairing: Pairing = reference_darts.pair(ours.model, model)
    pairing.copy_to_reference()
    direction_of = {id(p): v for p, v in zip(ours.model.parameters(), vector, strict=True)}
    images, labels = ours.train
    loss = torch.nn.functional.cross_entropy(model(images.double().contiguous()), labels)
    weights = [theirs for _, theirs in pairing.parameters]
    gradient = torch.autograd.grad(loss, weights, create_graph=True)
    along = sum(
        (g * direction_of[id(p)].double()).sum() for g, (p, _) in zip(gradient, pairing.parameters, strict=True)
    )
    tables = list(model.alphas.values())
    found = torch.autograd.grad(along, tables, allow_unused=True)  # type: ignore[arg-type]
    by_table = {id(t): torch.zeros_like(t) if g is None else g for t, g in zip(tables, found, strict=True)}
    by_alpha = {id(pair.ours): pair.reference(by_table[id(pair.table)]) for pair in pairing.alphas}
    return [by_alpha[id(alpha)].detach() for alpha in ours.owner.architectural_weights]


def _copies(options: Options) -> list[Row]:
    setting = options.setting()
    ours, reference = subjects.darts(setting), subjects.darts_reference(setting)
    weights = dict(ours.model.named_parameters())
    gradient = [torch.zeros_like(w) for w in weights.values()]
    buffers = [torch.zeros_like(w) for w in weights.values()]

    def virtual_weights() -> object:
        return virtual_step(weights, gradient, learning_rate=0.025, momentum=0.9, weight_decay=3e-4, buffers=buffers)

    def copied_model() -> object:
        model: Any = reference.owner.model.new()
        model.load_state_dict(reference.model.state_dict())
        return model

    timings = interleave(
        {VIRTUAL: virtual_weights, COPY: copied_model},
        rounds=options.n_rounds(9, 5),
        device=options.device,
        calls={VIRTUAL: 3},
    )
    note = f"{len(weights)} tensors, {sum(w.numel() for w in weights.values()) / 1e6:.2f} M numbers"
    return [seconds_row("P7", VIRTUAL, timings, note, limit=20.0, sense="<="), seconds_row("P7", COPY, timings)]


def _steps(options: Options) -> list[Row]:
    setting = options.setting(batch=4)
    candidates = {
        "reference second-order step": subjects.darts_reference(setting, unrolled=True),
        "our second-order step": subjects.darts(setting, unrolled=True),
        "our second-order step, exact": subjects.darts(setting, unrolled=True, hessian="exact"),
        "our first-order step": subjects.darts(setting),
    }
    steps = {name: subject.step for name, subject in candidates.items()}
    timings = interleave(steps, rounds=options.n_rounds(), device=options.device)
    note = f"C={setting.channels} B={setting.batch}"
    rows = [seconds_row("P7", name, timings, note) for name in steps]
    names = list(steps)
    return [*rows, ratio_row("P7", "second-order speed-up", timings, (names[0], names[1]), note=note)]
