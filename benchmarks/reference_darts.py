"""A plain search network of DARTS with its first- and second-order steps, from the paper's arithmetic.

It stands in for the authors' code: every operation is computed for itself, pooling and `none` included, the
architecture step differentiates everything, and the second-order step copies the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .reference_common import AlphaPair, Batch, BilevelReference, Pairing, ReLUConvBN, Zero

PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
# The same operations in the order of naslib's NasBench301SearchSpace
NASLIB_PRIMITIVES = ("skip_connect", "none", "max_pool_3x3", "avg_pool_3x3", *PRIMITIVES[4:])
STEM_MULTIPLIER = 3
# Radius of the finite difference relative to the norm of the vector
RADIUS = 0.01


class SepConv(nn.Module):
    """Apply (ReLU, depthwise, 1x1, BN) twice."""

    def __init__(self, C: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.op = nn.Sequential(
            nn.ReLU(inplace=False),
            nn.Conv2d(C, C, kernel_size, stride=stride, padding=padding, groups=C, bias=False),
            nn.Conv2d(C, C, 1, bias=False),
            nn.BatchNorm2d(C, affine=False),
            nn.ReLU(inplace=False),
            nn.Conv2d(C, C, kernel_size, stride=1, padding=padding, groups=C, bias=False),
            nn.Conv2d(C, C, 1, bias=False),
            nn.BatchNorm2d(C, affine=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operation."""
        return self.op(x)


class DilConv(nn.Module):
    """Apply ReLU, depthwise of dilation 2, 1x1, BN."""

    def __init__(self, C: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        padding = kernel_size - 1
        self.op = nn.Sequential(
            nn.ReLU(inplace=False),
            nn.Conv2d(C, C, kernel_size, stride=stride, padding=padding, dilation=2, groups=C, bias=False),
            nn.Conv2d(C, C, 1, bias=False),
            nn.BatchNorm2d(C, affine=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operation."""
        return self.op(x)


class FactorizedReduce(nn.Module):
    """Halve an image of even size by two shifted 1x1 convolutions of stride 2."""

    def __init__(self, C_in: int, C_out: int) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=False)
        self.conv_1 = nn.Conv2d(C_in, C_out // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(C_in, C_out // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(C_out, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operation."""
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


def make_op(name: str, C: int, stride: int) -> nn.Module:
    """Return a candidate of the search network."""
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(C, C)
    if name == "max_pool_3x3":
        return nn.Sequential(nn.MaxPool2d(3, stride=stride, padding=1), nn.BatchNorm2d(C, affine=False))
    if name == "avg_pool_3x3":
        pool = nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
        return nn.Sequential(pool, nn.BatchNorm2d(C, affine=False))
    kind = SepConv if name.startswith("sep") else DilConv
    return kind(C, int(name[-1]), stride)


class MixedOp(nn.Module):
    """Add all candidates, weighted."""

    ops: Any

    def __init__(self, C: int, stride: int) -> None:
        super().__init__()
        self.ops = nn.ModuleList(make_op(name, C, stride) for name in PRIMITIVES)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the sum of weights times outputs."""
        return sum(w * op(x) for w, op in zip(weights, self.ops, strict=True))


class Cell(nn.Module):
    """Compute a cell: two preprocessed inputs, nodes that each add all predecessors, concatenation."""

    edges: Any

    def __init__(self, nodes: int, C_pp: int, C_p: int, C: int, reduction: bool, reduction_prev: bool) -> None:
        super().__init__()
        self.nodes = nodes
        self.reduction = reduction
        self.preprocess0 = FactorizedReduce(C_pp, C) if reduction_prev else ReLUConvBN(C_pp, C, 1, 1, affine=False)
        self.preprocess1 = ReLUConvBN(C_p, C, 1, 1, affine=False)
        self.edges = nn.ModuleList(
            MixedOp(C, 2 if reduction and source < 2 else 1) for node in range(nodes) for source in range(2 + node)
        )

    def forward(self, s0: Tensor, s1: Tensor, weights: Tensor) -> Tensor:
        """Return the cell's output."""
        states: list[Any] = [self.preprocess0(s0), self.preprocess1(s1)]
        offset = 0
        for _ in range(self.nodes):
            states.append(sum(self.edges[offset + j](h, weights[offset + j]) for j, h in enumerate(states)))
            offset += len(states) - 1
        return torch.cat(states[-self.nodes :], dim=1)


class DartsNetwork(nn.Module):
    """The search network, for images of 32 pixels or so.

    Args:
        channels: Channels of a node in the first stage.
        cells: Number of cells, at least 3.
        nodes: Intermediate nodes of a cell.
        n_classes: Number of classes.
        in_channels: Channels of the images.
        device: Where it is.
        dtype: Of weights and architecture parameters.

    Attributes:
        alphas: `{"normal": (n_edges, 8), "reduce": (n_edges, 8)}`, leaves outside `parameters()`.
    """

    cells: Any

    def __init__(
        self,
        channels: int = 16,
        cells: int = 8,
        nodes: int = 4,
        n_classes: int = 10,
        in_channels: int = 3,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "channels": channels,
            "cells": cells,
            "nodes": nodes,
            "n_classes": n_classes,
            "in_channels": in_channels,
            "device": device,
            "dtype": dtype,
        }
        width = STEM_MULTIPLIER * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.cells = nn.ModuleList()
        C_pp, C_p, C, reduction_prev = width, width, channels, False
        for position in range(cells):
            reduction = position in (cells // 3, 2 * cells // 3)
            C *= 2 if reduction else 1
            self.cells.append(Cell(nodes, C_pp, C_p, C, reduction, reduction_prev))
            C_pp, C_p, reduction_prev = C_p, nodes * C, reduction
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(C_p, n_classes)
        self.to(device=device, dtype=dtype)
        n_edges = sum(2 + node for node in range(nodes))
        self.alphas = {
            kind: (1e-3 * torch.randn(n_edges, len(PRIMITIVES), device=device, dtype=dtype)).requires_grad_()
            for kind in ("normal", "reduce")
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        s0 = s1 = self.stem(x)
        for cell in self.cells:
            weights = F.softmax(self.alphas["reduce" if cell.reduction else "normal"], dim=-1)
            s0, s1 = s1, cell(s0, s1, weights)
        out = self.pool(s1)
        return self.classifier(out.view(out.size(0), -1))

    def new(self) -> DartsNetwork:
        """Return a network of the same sizes with fresh weights and the same architecture parameters."""
        network = DartsNetwork(**self.arguments)
        with torch.no_grad():
            for kind, alpha in network.alphas.items():
                alpha.copy_(self.alphas[kind])
        return network


class DartsReference(BilevelReference):
    """Take DARTS's bilevel step, first or second order.

    Args:
        model: The search network.
        unrolled: Whether to take the second-order architecture gradient.
        **settings: See `BilevelReference`.
    """

    model: DartsNetwork

    def __init__(self, model: DartsNetwork, *, unrolled: bool = False, **settings: Any) -> None:
        super().__init__(model, list(model.alphas.values()), **settings)
        self.unrolled = unrolled

    def architecture_gradient(self, train: Batch, val: Batch) -> tuple[Tensor, Tensor]:
        """Put the gradient into `.grad` of the architecture parameters; return validation logits and loss."""
        if not self.unrolled:
            return super().architecture_gradient(train, val)
        xi = self.optimizer.param_groups[0]["lr"]
        unrolled = self.virtual_model(train, xi)
        logits, loss = self.forward_loss(val, unrolled)
        loss.backward()
        vector = [p.grad.detach() for p in unrolled.parameters()]  # type: ignore[union-attr]
        product = self.hessian_vector_product(vector, train)
        for alpha, virtual, implicit in zip(self.alphas, unrolled.alphas.values(), product, strict=True):
            alpha.grad = virtual.grad - xi * implicit
        return logits, loss

    def virtual_model(self, train: Batch, xi: float) -> DartsNetwork:
        """Return a new model with the weights w - xi (m v + dL/dw + wd w)."""
        parameters = list(self.model.parameters())
        gradient = torch.autograd.grad(self.forward_loss(train)[1], parameters)
        theta = _concat(parameters)
        group = self.optimizer.param_groups[0]
        buffers = [self.optimizer.state[p].get("momentum_buffer") for p in parameters]
        known = all(b is not None for b in buffers)
        moment = _concat(buffers) * group["momentum"] if known else torch.zeros_like(theta)
        stepped = theta - xi * (moment + _concat(gradient) + group["weight_decay"] * theta)
        state = self.model.state_dict()
        offset = 0
        for name, parameter in self.model.named_parameters():
            size = parameter.numel()
            state[name] = stepped[offset : offset + size].view(parameter.shape)
            offset += size
        model = self.model.new()
        model.load_state_dict(state)
        return model

    def hessian_vector_product(self, vector: list[Tensor], train: Batch) -> list[Tensor]:
        """Return the central difference of dL/dalpha along `vector`, moving the weights there and back in place."""
        radius = float(RADIUS / _concat(vector).norm())
        sides = []
        for move in (radius, -2.0 * radius):
            self._move(vector, move)
            sides.append(torch.autograd.grad(self.forward_loss(train)[1], self.alphas, allow_unused=True))
        self._move(vector, radius)
        return [
            torch.zeros_like(a) if p is None or n is None else (p - n).div_(2.0 * radius)
            for a, p, n in zip(self.alphas, *sides, strict=True)
        ]

    @torch.no_grad()
    def _move(self, vector: list[Tensor], factor: float) -> None:
        for parameter, direction in zip(self.model.parameters(), vector, strict=True):
            parameter.add_(direction, alpha=factor)


def _concat(tensors: Any) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def pair(graph: Any, reference: DartsNetwork) -> Pairing:
    """Return what corresponds between `DARTSOptimizer`'s (or another's) supernet and the reference.

    Args:
        graph: The supernet: a `NasBench301SearchSpace` that an optimizer adapted.
        reference: A network of the same sizes.
    """
    columns = tuple(PRIMITIVES.index(name) for name in NASLIB_PRIMITIVES)
    modules: list[tuple[nn.Module, nn.Module]] = [(graph.edges[1, 2].op, reference.stem)]
    alphas: dict[int, AlphaPair] = {}
    first = 4
    for number, cell in enumerate(reference.cells):
        node = first + number
        modules.append((graph.edges[node - 2, node].op, cell.preprocess0))
        modules.append((graph.edges[node - 1, node].op, cell.preprocess1))
        table = reference.alphas["reduce" if cell.reduction else "normal"]
        row = 0
        for target in range(3, cell.nodes + 3):
            for source in range(1, target):
                data = graph.nodes[node]["subgraph"].edges[source, target]
                theirs = [cell.edges[row].ops[column] for column in columns]
                modules += zip(data.op.primitives, theirs, strict=True)
                alphas.setdefault(id(data.alpha), AlphaPair(data.alpha, table, row, columns))
                row += 1
    last = first + len(reference.cells) - 1
    modules.append((graph.edges[last, last + 2].op, reference.classifier))
    pairing = Pairing(modules, list(alphas.values()))
    pairing.require_complete(graph, reference)
    return pairing
