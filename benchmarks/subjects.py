"""What is measured: search networks of ours through the public API, and the plain references, ready to step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from naslib.optimizers import OPTIMIZERS, DARTSOptimizer, GDASOptimizer, OneShotOptimizer
from naslib.optimizers.core.metaclasses import accepted_keywords
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace

from . import reference_darts, reference_nb201
from .reference_common import Batch, BilevelReference, Pairing, fix_choices
from .settings import Setting

# The keyword by which `DARTSOptimizer` checkpoints activations per cell: whichever of these it has
CHECKPOINT_KEYWORDS = ("activation_checkpointing", "checkpoint_activations", "checkpoint_cells", "checkpointing")
N_CLASSES = 10
# Every operation once and the 3x3 convolution twice, for the six decisions of NAS-Bench-201 in our operations' order
NB201_CHOICES = (2, 0, 3, 1, 4, 2)
# Length of a method's search, and the epoch it is measured in: late enough that every warm-up is over
EPOCHS, MEASURED_EPOCH = 50, 40


@dataclass
class Subject:
    """Something that takes search steps.

    Attributes:
        model: The search network.
        owner: The optimizer (ours) or the authors' step (reference).
        train: Batch for the weights.
        val: Batch for the architecture.
    """

    model: nn.Module
    owner: Any
    train: Batch
    val: Batch

    def step(self) -> None:
        """Take one bilevel step."""
        self.owner.step(self.train, self.val)

    def gradients(self) -> None:
        """Do the forwards and backwards of both levels, without the optimizers."""
        if isinstance(self.owner, BilevelReference):
            self.owner.architecture_gradient(self.train, self.val)
            self.owner.forward_loss(self.train)[1].backward()
            return
        self.owner.architecture_gradient(self.train, self.val)
        with self.owner.fixed_architecture():
            loss = self.owner.forward_loss(self.train)[1]
        loss.backward()

    @torch.no_grad()
    def forward(self) -> Tensor:
        """Return the logits of the training batch, without building a graph."""
        with torch.autocast(self.train[0].device.type, torch.bfloat16, enabled=self.owner.amp):
            return self.model(self.train[0])


def batches(setting: Setting, layout: torch.memory_format, dtype: torch.dtype = torch.float32) -> tuple[Batch, Batch]:
    """Return a training and a validation batch of standard normal images, the same for every subject."""
    generator = torch.Generator().manual_seed(setting.seed)
    found = []
    for _ in range(2):
        images = torch.randn(setting.batch, 3, setting.image, setting.image, generator=generator)
        labels = torch.randint(N_CLASSES, (setting.batch,), generator=generator)
        images = images.to(device=setting.device, dtype=dtype).contiguous(memory_format=layout)
        found.append((images, labels.to(setting.device)))
    return found[0], found[1]


def darts_space(setting: Setting) -> NasBench301SearchSpace:
    """Return the DARTS space of these sizes."""
    return NasBench301SearchSpace(
        n_classes=N_CLASSES, channels=setting.channels, cells=setting.cells, nodes=setting.nodes
    )


def nb201_space(setting: Setting) -> NasBench201SearchSpace:
    """Return NAS-Bench-201's space of these sizes."""
    return NasBench201SearchSpace(
        n_classes=N_CLASSES, channels=setting.channels, cells_per_stage=setting.cells_per_stage
    )


def adapted(optimizer: OneShotOptimizer, space: Any, setting: Setting) -> Subject:
    """Return a space adapted by an optimizer, moved and laid out as the Trainer does."""
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    optimizer.adapt_search_space(space)
    optimizer.device = torch.device(setting.device)
    optimizer.before_training()
    optimizer.graph.to(memory_format=layout)
    optimizer.graph.train()
    optimizer.new_epoch(0)
    return Subject(optimizer.graph, optimizer, *batches(setting, layout))


def darts(setting: Setting, **keywords: Any) -> Subject:
    """Return our DARTS on its own space."""
    torch.manual_seed(setting.seed)
    return adapted(DARTSOptimizer(amp=setting.amp, **keywords), darts_space(setting), setting)


def darts_gdas(setting: Setting, **keywords: Any) -> Subject:
    """Return our sampled path on the DARTS space; over all decisions, every operation is drawn equally often."""
    torch.manual_seed(setting.seed)
    subject = adapted(GDASOptimizer(amp=setting.amp, **keywords), darts_space(setting), setting)
    fix_choices(subject.owner.architectural_weights, range(len(reference_darts.NASLIB_PRIMITIVES)))
    return subject


def nb201(setting: Setting, **keywords: Any) -> Subject:
    """Return our DARTS on NAS-Bench-201's space."""
    torch.manual_seed(setting.seed)
    return adapted(DARTSOptimizer(amp=setting.amp, **keywords), nb201_space(setting), setting)


def nb201_gdas(setting: Setting, **keywords: Any) -> Subject:
    """Return our GDAS on NAS-Bench-201's space; the six decisions draw `NB201_CHOICES`."""
    torch.manual_seed(setting.seed)
    subject = adapted(GDASOptimizer(amp=setting.amp, **keywords), nb201_space(setting), setting)
    fix_choices(subject.owner.architectural_weights, NB201_CHOICES)
    return subject


def one_shot_methods() -> list[str]:
    """Return the registered weight-sharing optimizers, each by the first of its names."""
    first = {OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}
    return sorted(name for kind, name in first.items() if issubclass(kind, OneShotOptimizer))


def method(setting: Setting, name: str, make_space: Callable[[Setting], Any]) -> Subject:
    """Return a registered method with its own defaults on a space, in epoch `MEASURED_EPOCH` of `EPOCHS`."""
    torch.manual_seed(setting.seed)
    subject = adapted(OPTIMIZERS.get(name)(epochs=EPOCHS, amp=setting.amp), make_space(setting), setting)
    for epoch in range(1, MEASURED_EPOCH + 1):
        subject.owner.new_epoch(epoch)
    subject.model = subject.owner.graph
    return subject


def darts_reference(setting: Setting, **settings: Any) -> Subject:
    """Return the plain reference of DARTS on its own space."""
    torch.manual_seed(setting.seed)
    model = reference_darts.DartsNetwork(
        setting.channels, setting.cells, setting.nodes, N_CLASSES, device=setting.device
    )
    step = reference_darts.DartsReference(model, amp=setting.amp, **settings)
    return Subject(model, step, *batches(setting, torch.contiguous_format))


def nb201_reference(setting: Setting, method: str = "darts") -> Subject:
    """Return the plain reference on NAS-Bench-201's space."""
    torch.manual_seed(setting.seed)
    sizes = (setting.channels, setting.cells_per_stage, N_CLASSES)
    model = reference_nb201.Nb201Network(method, *sizes, device=setting.device)
    step = reference_nb201.Nb201Reference(model, amp=setting.amp)
    return Subject(model, step, *batches(setting, torch.contiguous_format))


def checkpoint_keyword() -> str | None:
    """Return the keyword by which DARTS checkpoints activations, None while it cannot."""
    known = accepted_keywords(DARTSOptimizer)
    return next((name for name in CHECKPOINT_KEYWORDS if name in known), None)


def darts_checkpointed(setting: Setting) -> Subject:
    """Return our DARTS with activation checkpointing per cell.

    Raises:
        LookupError: If the optimizer has no such keyword.
    """
    keyword = checkpoint_keyword()
    if keyword is None:
        raise LookupError(f"DARTSOptimizer has none of the keywords {', '.join(CHECKPOINT_KEYWORDS)}")
    return darts(setting, **{keyword: True})


def pair_of(ours: Subject, reference: Subject) -> Pairing:
    """Return what corresponds between two subjects of one space and size."""
    module: Any = reference_darts if isinstance(reference.model, reference_darts.DartsNetwork) else reference_nb201
    return module.pair(ours.model, reference.model)


def paired(ours: Subject, reference: Subject) -> Pairing:
    """Give the reference our weights and return what corresponds."""
    pairing = pair_of(ours, reference)
    pairing.copy_to_reference()
    return pairing


SUBJECTS: dict[str, Callable[[Setting], Subject]] = {
    "darts": darts,
    "darts reference": darts_reference,
    "darts checkpointed": darts_checkpointed,
    "darts sampled": darts_gdas,
    "nb201": nb201,
    "nb201 reference": nb201_reference,
    "nb201 gdas": nb201_gdas,
    "nb201 gdas reference": lambda setting: nb201_reference(setting, "gdas"),
}
SPACES: dict[str, Callable[[Setting], Any]] = {"darts": darts_space, "nb201": nb201_space}
for _space, _make in SPACES.items():
    for _name in one_shot_methods():
        SUBJECTS[f"{_space}:{_name}"] = partial(method, name=_name, make_space=_make)
