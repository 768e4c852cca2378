"""What tests of `naslib.utils.distributed` let two ranks do."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd import forward_ad

from naslib.errors import ConfigError
from naslib.utils import distributed


def rows_of(n: int, width: int = 3) -> torch.Tensor:
    """Return `(n, width)` numbers, the same ones everywhere."""
    return torch.randn(n, width, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def told() -> dict[str, Any]:
    """Say who one is, and what the others tell."""
    here = distributed.rank()
    seen = []

    def on_main() -> str:
        seen.append(here)
        return "from rank 0"

    value = distributed.on_main(on_main)
    distributed.barrier()
    return {
        "rank": here,
        "world": distributed.world_size(),
        "main": distributed.is_main(),
        "distributed": distributed.is_distributed(),
        "broadcast": distributed.broadcast_object({"of": here}),
        "gathered": distributed.gather_objects(here * 10),
        "any": (distributed.any_rank(here == 1), distributed.any_rank(False)),
        "on_main": (value, seen),
    }


def refused() -> str:
    """Return the error that rank 0 has."""

    def raises() -> None:
        raise ConfigError("no such space")

    try:
        distributed.on_main(raises)
    except ConfigError as error:
        return str(error)
    return "nothing was raised"


def sums() -> list[Any]:
    """Return sums and means of tensors of several types and shapes."""
    here = distributed.rank() + 1.0
    held = [torch.full((2, 2), here), torch.tensor(here, dtype=torch.float64), torch.tensor([3], dtype=torch.int64)]
    distributed.sum_over_ranks_(held)
    means = [torch.full((3,), here), torch.full((1, 2), here, dtype=torch.bfloat16)]
    distributed.mean_over_ranks_(means)
    return [tensor.tolist() for tensor in (*held, *means)]


def network_loss(rows: torch.Tensor, weight: torch.Tensor, total: int | None) -> torch.Tensor:
    """Return a loss that is no sum over rows, of a network on some of them."""
    outputs = torch.tanh(rows @ weight)
    joined = outputs if total is None else distributed.gather_rows(outputs, total)
    return (joined.mean(0).square().sum() + joined.var() + (joined[0] * joined[-1]).sum()).exp()


def derivatives(total: int, is_shared: bool) -> dict[str, Any]:
    """Return loss, gradient, Hessian and the exact product of the Hessian with a vector."""
    rows = rows_of(total)[distributed.share_of(total)] if is_shared else rows_of(total)
    size = total if is_shared else None
    weight = torch.linspace(-1, 1, 6, dtype=torch.float64).view(3, 2).requires_grad_()
    loss = network_loss(rows, weight, size)
    (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
    own = gradient.detach().clone()
    hessian = []
    joined = gradient.detach().clone()
    distributed.mean_over_ranks_([joined])
    for entry in gradient.reshape(-1).unbind():
        row = torch.autograd.grad(entry, weight, retain_graph=True)[0].reshape(-1).contiguous()
        distributed.mean_over_ranks_([row])
        hessian.append(row.tolist())
    vector = torch.cos(torch.arange(6, dtype=torch.float64)).view(3, 2)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(weight.detach().requires_grad_(), vector)
        (found,) = torch.autograd.grad(network_loss(rows, dual, size), dual)
        tangent = forward_ad.unpack_dual(found).tangent.clone()
    distributed.mean_over_ranks_([tangent])
    return {
        "loss": float(loss.detach()),
        "gradient": joined.tolist(),
        "own": own.tolist(),
        "hessian": hessian,
        "product": tangent.tolist(),
        "times": (torch.tensor(hessian, dtype=torch.float64) @ vector.reshape(-1)).tolist(),
    }


def wrong_share() -> str:
    """Return what is said of a rank with too many rows."""
    try:
        distributed.gather_rows(torch.zeros(4, 1), 5)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


def unequal_rows() -> list[float]:
    """Return the rows of all ranks where nobody knows how many there are."""
    here = distributed.rank()
    return distributed.gather_rows(torch.full((1 + here,), float(here))).tolist()
