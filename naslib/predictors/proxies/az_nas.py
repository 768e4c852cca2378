"""AZ-NAS: expressivity, progressivity, trainability and complexity of a network of blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from naslib.errors import PredictorError

from .initialise import initialise
from .size import flops
from .subject import Subject

AZ_PARTS = ("expressivity", "progressivity", "trainability", "complexity")


def az_nas(
    subject: Subject, *, init: Literal["kaiming", "as_is"] = "kaiming", blocks: Sequence[str] | None = None
) -> float:
    """Return the sum of the four scores of AZ-NAS, complexity on a logarithmic scale.

    The authors add up the logarithms of *ranks* among many networks ([Lee2024aznas], Eq. 9), which one network alone
    does not have: to compare networks, rank the scores of `az_nas_parts` with `log_rank_sum`, as `naslib correlate` and
    `evaluator: proxy` do.

    Args:
        subject: The network and its batch.
        init: See `az_nas_parts`.
        blocks: See `az_nas_parts`.

    Raises:
        PredictorError: If the network has fewer than two blocks.
    """
    parts = az_nas_parts(subject, init=init, blocks=blocks)
    return sum(parts[name] for name in AZ_PARTS[:3]) + math.log(max(parts["complexity"], 1e-12))


def az_nas_parts(
    subject: Subject, *, init: Literal["kaiming", "as_is"] = "kaiming", blocks: Sequence[str] | None = None
) -> dict[str, float]:
    """Return the four scores of AZ-NAS ([Lee2024aznas], Sec. 3.2, and code), each the larger the better.

    * expressivity: the sum over blocks of the entropy of the normalised eigenvalues of the covariance of its features;
    * progressivity: the least increase of that entropy from one block to the next;
    * trainability: the mean over blocks of `2 - s - 1 / (s + 1e-6)`, s the largest singular value of the correlation
      between random signs at the block's output and their gradient at its input;
    * complexity: multiply-accumulates in millions.

    Args:
        subject: The network and its batch.
        init: Whether weights are drawn anew (Kaiming normal by fan-in), as in the authors' code.
        blocks: Names of the modules that are the blocks; None for the children of the network, those of an
            `nn.Sequential` or of an only child in their place, that put out `(n, channels, ...)`, or
            `(n, positions, channels)` where the inputs are images or tokens.

    Raises:
        PredictorError: If there are fewer than two blocks, or one does not exist.
    """
    if init not in ("kaiming", "as_is"):
        raise PredictorError(f"az_nas: init is 'kaiming' or 'as_is', not {init!r}")
    complexity = flops(subject)
    if init == "kaiming":
        initialise(subject, kaiming=True)
    features = _features(subject, blocks)
    entropies = np.asarray([_entropy(feature.detach()) for feature in features])
    trained = [_transfer(before, after, subject.generator) for before, after in pairwise(features)]
    return {
        "expressivity": float(entropies.sum()),
        "progressivity": float(np.diff(entropies).min()),
        "trainability": float(np.mean(trained)),
        "complexity": complexity,
    }


def _features(subject: Subject, blocks: Sequence[str] | None) -> list[Tensor]:
    """Return what each block puts out, `(n, channels, ...)`, in the order of execution."""
    found: list[Tensor] = []
    is_sequence = subject.inputs().is_floating_point() and subject.inputs().dim() == 3  # (n, channels, length)

    def see(_: nn.Module, given: Any, output: Any) -> Any:
        if isinstance(output, Tensor) and output.dim() > 2 and output.requires_grad:
            channels_last = output.dim() == 3 and not is_sequence
            seen = output.transpose(1, 2) if channels_last else output
            found.append(seen)
            output = seen.transpose(1, 2) if channels_last else seen
            return output.clone()  # what works in place afterwards leaves the features alone
        return None

    subject.watch(_blocks(subject.network, blocks), see)
    subject.outputs()
    subject.unwatch()
    if len(found) < 2:
        raise PredictorError(
            f"az_nas compares the features of blocks, and {len(found)} of this network puts out (n, channels, ...): "
            "name them by blocks=[...]"
        )
    return found


def _blocks(network: nn.Module, names: Sequence[str] | None) -> list[nn.Module]:
    if names is not None:
        known = dict(network.named_modules())
        missing = [name for name in names if name not in known]
        if missing:
            raise PredictorError(
                f"az_nas: the network has no module {missing[0]!r} (its children: {list(known)[1:13]})"
            )
        return [known[name] for name in names]
    level: list[nn.Module] = list(network.children())
    while len(level) == 1 and list(level[0].children()):
        level = list(level[0].children())
    while any(isinstance(module, nn.Sequential | nn.ModuleList) for module in level):
        is_list = (nn.Sequential, nn.ModuleList)
        level = [inner for m in level for inner in (m.children() if isinstance(m, is_list) else (m,))]
    return level


def _entropy(feature: Tensor) -> float:
    """Return the entropy of the spectrum of the covariance of the channels of `(n, channels, ...)`."""
    rows = feature.transpose(0, 1).flatten(1).double()
    centred = rows - rows.mean(dim=1, keepdim=True)
    eigenvalues = torch.linalg.eigvalsh(centred @ centred.T / rows.shape[1])
    total = float(eigenvalues.sum())
    if total <= 0:
        return 0.0  # features that are constant express nothing
    share = (eigenvalues / total).clamp(min=0)
    return float(-(share * torch.log(share + 1e-8)).sum())


def _unshuffled(feature: Tensor, stride: int) -> Tensor:
    """Return `(n, channels stride, length / stride)`, or what `pixel_unshuffle` makes of `(n, channels, h, w)`."""
    if feature.dim() == 4:
        return F.pixel_unshuffle(feature, stride)
    n, channels, length = feature.shape
    return feature.reshape(n, channels, length // stride, stride).transpose(2, 3).flatten(1, 2)


def _transfer(before: Tensor, after: Tensor, generator: torch.Generator) -> float:
    """Return how well gradients pass a block: `2 - s - 1 / (s + 1e-6)`.

    A block that passes nothing on has s = 0, -999,998. A block that passes gradients unchanged is no block: it has that
    value too, where the authors' code has minus infinity, which leaves no order among networks with one.
    """
    signs = torch.randint(0, 2, tuple(after.shape), generator=generator).to(after.device, after.dtype) * 2 - 1
    worst = 2 - 1 / 1e-6
    if not after.requires_grad:
        return worst
    (grad,) = torch.autograd.grad(after, before, signs, retain_graph=True, allow_unused=True)
    if grad is None or (grad.shape == signs.shape and bool((grad == signs).all())):
        return worst
    if grad.dim() != signs.dim():
        raise PredictorError(
            f"az_nas: a block turns {tuple(before.shape)} into {tuple(after.shape)}: name other blocks"
        )
    stride = grad.shape[2] // signs.shape[2]
    if stride < 1 or tuple(grad.shape[2:]) != tuple(stride * size for size in signs.shape[2:]):
        shapes = f"{tuple(before.shape)} into {tuple(after.shape)}"
        raise PredictorError(f"az_nas: a block turns {shapes}, by no whole stride: name other blocks")
    ingoing, outgoing = (t.transpose(0, 1).flatten(1).double() for t in (_unshuffled(grad, stride), signs))
    largest = float(torch.linalg.matrix_norm(ingoing @ outgoing.T / outgoing.shape[1], ord=2))
    return 2 - largest - 1 / (largest + 1e-6)
