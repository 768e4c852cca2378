"""P7: the second-order step: no copy of the model, and an exact Hessian-vector product beside the finite difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call

from naslib.optimizers.oneshot.bilevel import exact_product, finite_difference_product, virtual_step
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics

from .. import reference_darts, subjects
from ..harness import interleave
from ..records import Row, ratio_row, seconds_row
from ..reference_common import Pairing
from ..settings import Options, Setting
from ..subjects import Subject

DIFFERENCE, EXACT = "finite difference product", "exact product"
VIRTUAL, COPY = "our virtual weights", "reference's model copy"


def measure(options: Options) -> list[Row]:
    """Return errors and times of both products, the time of the virtual weights, and (in full) of whole steps."""
    return [*_products(options), *_copies(options), *([] if options.quick else _steps(options))]


def _products(options: Options) -> list[Row]:
    setting = options.setting(cells=3, batch=8)
    ours = subjects.darts(setting)
    weights = {name: p.detach() for name, p in ours.model.named_parameters()}
    alphas = list(ours.owner.architectural_weights)
    vector = list(torch.autograd.grad(ours.owner.forward_loss(ours.val)[1], list(ours.model.parameters())))
    expected = torch.cat(_exact_in_float64(ours, vector, setting))
    products = {DIFFERENCE: finite_difference_product, EXACT: exact_product}
    loss = _loss_of_weights(ours)

    def run(name: str) -> list[Tensor]:
        with frozen_batch_norm_statistics(ours.model):
            return products[name](loss, weights, vector, alphas)

    def error(name: str) -> float:
        return float((torch.cat(run(name)).double() - expected).norm() / expected.norm())

    note = f"{setting.cells} cells, C={setting.channels} B={setting.batch}, against double backward in float64"
    rows = [
        Row("P7", f"relative error, {DIFFERENCE}", error(DIFFERENCE), "", note="radius 0.01 / norm, the authors'"),
        Row("P7", f"relative error, {EXACT}", error(EXACT), "", limit=1e-5, sense="<=", note=note),
    ]
    timings = interleave(
        {name: partial(run, name) for name in products}, rounds=options.n_rounds(), device=options.device
    )
    rows += [seconds_row("P7", name, timings) for name in products]
    limits = {"limit": 2.5, "stretch": 2.0, "sense": "<="}
    return [*rows, ratio_row("P7", "time, exact / difference", timings, (EXACT, DIFFERENCE), **limits)]


def _loss_of_weights(subject: Subject) -> Callable[[Mapping[str, Tensor]], Tensor]:
    inputs, targets = subject.train

    def loss(weights: Mapping[str, Tensor]) -> Tensor:
        return subject.owner.loss(functional_call(subject.model, dict(weights), (inputs,)), targets)

    return loss


def _exact_in_float64(ours: Subject, vector: Sequence[Tensor], setting: Setting) -> list[Tensor]:
    """Return `d2L / (dalpha dw) v` of the plain reference by differentiating twice, in the order of our decisions."""
    model = reference_darts.DartsNetwork(
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
        model = reference.model.new()
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
