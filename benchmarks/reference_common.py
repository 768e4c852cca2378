"""What the plain reference models share: operations, one module each, the authors' steps, and pairing with ours.

Nothing here is clever on purpose: NCHW, one `nn.Module` per operation, nothing shared, nothing left out. It stands in
for the authors' code in the measured ratios, and its results are those that every rewrite of ours is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Batch = tuple[Tensor, Tensor]


class ReLUConvBN(nn.Module):
    """Apply ReLU, a convolution and BN."""

    def __init__(self, C_in: int, C_out: int, kernel_size: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(inplace=False),
            nn.Conv2d(C_in, C_out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operation."""
        return self.op(x)


class Zero(nn.Module):
    """Multiply by zero, as the authors do: a pass over the input in each direction."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros that depend on `x`."""
        if self.stride == 1:
            return x.mul(0.0)
        return x[:, :, :: self.stride, :: self.stride].mul(0.0)


class BilevelReference:
    """Alternate first-order steps as the authors' code does.

    Both steps call `loss.backward()`, so that the architecture step computes and accumulates the gradients of all
    weights as well, and the weight step those of the architecture parameters; each zeroes its own before.

    Args:
        model: The search network; its parameters are the weights.
        alphas: Architecture parameters, tensors outside `model.parameters()`.
        learning_rate: Of the weights' SGD.
        momentum: Of the same.
        weight_decay: Of the same.
        nesterov: Of the same.
        grad_clip: Largest norm of the weights' gradient.
        arch_learning_rate: Of the architecture parameters' Adam(0.5, 0.999).
        arch_weight_decay: Of the same.
        architecture_first: Order of the two steps (the authors of NAS-Bench-201 update the weights first).
        amp: Whether forwards run under bfloat16 autocast.
    """

    def __init__(
        self,
        model: nn.Module,
        alphas: Sequence[Tensor],
        *,
        learning_rate: float = 0.025,
        momentum: float = 0.9,
        weight_decay: float = 3e-4,
        nesterov: bool = False,
        grad_clip: float = 5.0,
        arch_learning_rate: float = 3e-4,
        arch_weight_decay: float = 1e-3,
        architecture_first: bool = True,
        amp: bool = False,
    ) -> None:
        self.model = model
        self.alphas = list(alphas)
        self.grad_clip = grad_clip
        self.architecture_first = architecture_first
        self.amp = amp
        self.optimizer = torch.optim.SGD(
            model.parameters(), learning_rate, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov
        )
        self.arch_optimizer = torch.optim.Adam(
            self.alphas, lr=arch_learning_rate, betas=(0.5, 0.999), weight_decay=arch_weight_decay
        )

    def forward_loss(self, data: Batch, model: nn.Module | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and cross-entropy on a batch."""
        inputs, targets = data
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.amp):
            logits = (model or self.model)(inputs)
            return logits, F.cross_entropy(logits, targets)

    def architecture_gradient(self, train: Batch, val: Batch) -> tuple[Tensor, Tensor]:
        """Put the first-order gradient into `.grad` of the architecture parameters; return logits and loss."""
        logits, loss = self.forward_loss(val)
        loss.backward()
        return logits, loss

    def architecture_step(self, train: Batch, val: Batch) -> tuple[Tensor, Tensor]:
        """Update the architecture parameters on the validation batch."""
        self.arch_optimizer.zero_grad()
        logits, loss = self.architecture_gradient(train, val)
        self.arch_optimizer.step()
        return logits, loss

    def weight_step(self, train: Batch) -> tuple[Tensor, Tensor]:
        """Update the weights on the training batch."""
        self.optimizer.zero_grad()
        logits, loss = self.forward_loss(train)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.grad_clip)
        self.optimizer.step()
        return logits, loss

    def step(self, train: Batch, val: Batch) -> None:
        """Take both steps."""
        if self.architecture_first:
            self.architecture_step(train, val)
        self.weight_step(train)
        if not self.architecture_first:
            self.architecture_step(train, val)


class AlphaPair(NamedTuple):
    """One decision: our parameter, and the reference's table, row, and the column of each of our operations."""

    ours: Tensor
    table: Tensor
    row: int
    columns: tuple[int, ...]

    def reference(self, source: Tensor) -> Tensor:
        """Return this decision's entries of a table such as `table.grad`, in the order of our operations."""
        return source[self.row, list(self.columns)]


class Pairing:
    """What corresponds between a supernet of ours and a reference model.

    Args:
        modules: Pairs of modules (ours, reference) that compute the same.
        alphas: The decisions.

    Raises:
        ValueError: If two modules of a pair do not have the same parameters and buffers.
    """

    def __init__(self, modules: Sequence[tuple[nn.Module, nn.Module]], alphas: Sequence[AlphaPair]) -> None:
        self.alphas = list(alphas)
        self.parameters: list[tuple[nn.Parameter, nn.Parameter]] = []
        self.buffers: list[tuple[Tensor, Tensor]] = []
        for ours, reference in modules:
            self.parameters += _same_shapes(ours, reference, "parameters")
            self.buffers += _same_shapes(ours, reference, "buffers")

    def require_complete(self, ours: nn.Module, reference: nn.Module) -> None:
        """Raise a `ValueError` unless every parameter and buffer of both networks is in a pair."""
        for kind, pairs in (("parameters", self.parameters), ("buffers", self.buffers)):
            for side, network in enumerate((ours, reference)):
                found = {id(pair[side]) for pair in pairs}
                if found != {id(tensor) for tensor in getattr(network, kind)()}:
                    raise ValueError(f"{kind} of {type(network).__name__} are not all paired")

    @torch.no_grad()
    def copy_to_reference(self) -> None:
        """Give the reference our weights, BN statistics and architecture parameters."""
        for ours, reference in (*self.parameters, *self.buffers):
            reference.copy_(ours)
        for pair in self.alphas:
            pair.table[pair.row, list(pair.columns)] = pair.ours.to(pair.table)

    def fix_choices(self, choices: Sequence[int]) -> None:
        """Let a sampler draw the same given operations on both sides (`fix_choices`)."""
        fix_choices([pair.ours for pair in self.alphas], choices)
        self.copy_to_reference()


# A difference of logits beyond any Gumbel noise in float32
GAP = 50.0


@torch.no_grad()
def fix_choices(alphas: Sequence[Tensor], choices: Sequence[int]) -> None:
    """Let a sampler draw given operations, whatever its noise.

    Args:
        alphas: One 1-D parameter per decision.
        choices: Index of the operation by decision; repeated as often as there are decisions.
    """
    for number, alpha in enumerate(alphas):
        alpha.zero_()
        alpha[choices[number % len(choices)]] = GAP


def _same_shapes(ours: nn.Module, reference: nn.Module, kind: str) -> list[tuple]:
    left, right = list(getattr(ours, kind)()), list(getattr(reference, kind)())
    if [t.shape for t in left] != [t.shape for t in right]:
        raise ValueError(f"{type(ours).__name__} and {type(reference).__name__} have different {kind}")
    return list(zip(left, right, strict=True))
