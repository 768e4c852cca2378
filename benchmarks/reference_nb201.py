"""A plain search network of NAS-Bench-201 with the steps of DARTS-V1 and GDAS, from the authors' arithmetic.

Differences that a comparison has to know: the authors update the weights first, and their clip counts the gradients of
the architecture parameters too, which ours and this reference leave out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .reference_common import AlphaPair, BilevelReference, Pairing, ReLUConvBN, Zero

PRIMITIVES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
# The same operations in the order of naslib's NasBench201SearchSpace
NASLIB_PRIMITIVES = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
NODES = 4
# (source, target) of the six edges, target by target
EDGES = tuple((source, target) for target in range(1, NODES) for source in range(target))


def make_op(name: str, C: int) -> nn.Module:
    """Return a candidate of the search network."""
    if name == "none":
        return Zero(1)
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ReLUConvBN(C, C, int(name[-1]), 1, affine=False)


class SearchCell(nn.Module):
    """Compute a cell of four nodes whose edges carry all candidates."""

    edges: Any

    def __init__(self, C: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(nn.ModuleList(make_op(name, C) for name in PRIMITIVES) for _ in EDGES)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the last node with every edge a weighted sum of its candidates."""
        nodes: list[Any] = [x]
        for target in range(1, NODES):
            arriving = []
            for source in range(target):
                row = EDGES.index((source, target))
                arriving.append(sum(op(nodes[source]) * w for op, w in zip(self.edges[row], weights[row], strict=True)))
            nodes.append(sum(arriving))
        return nodes[-1]

    def forward_sampled(self, x: Tensor, weights: Tensor, index: Tensor) -> Tensor:
        """Return the last node with one candidate per edge; the weights of the others are added as scalars."""
        nodes: list[Any] = [x]
        for target in range(1, NODES):
            arriving = []
            for source in range(target):
                row = EDGES.index((source, target))
                chosen = index[row].item()
                arriving.append(
                    sum(
                        weights[row, k] * op(nodes[source]) if k == chosen else weights[row, k]
                        for k, op in enumerate(self.edges[row])
                    )
                )
            nodes.append(sum(arriving))
        return nodes[-1]


class ResidualBlock(nn.Module):
    """Apply the residual block of stride 2 between two stages."""

    def __init__(self, C_in: int, C_out: int) -> None:
        super().__init__()
        self.conv_a = ReLUConvBN(C_in, C_out, 3, 2, affine=True)
        self.conv_b = ReLUConvBN(C_out, C_out, 3, 1, affine=True)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(C_in, C_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class Nb201Network(nn.Module):
    """The search network.

    Args:
        method: `"darts"` mixes by softmax, `"gdas"` samples.
        channels: Channels of the first stage.
        cells_per_stage: Cells in each of the three stages.
        n_classes: Number of classes.
        in_channels: Channels of the images.
        device: Where it is.
        dtype: Of weights and architecture parameters.

    Attributes:
        alphas: `(6, 5)`, a leaf outside `parameters()`.
        tau: Temperature of the sampler.
        noise: `(6, 5)` Gumbel noise of the next samples; fresh noise for every forward if None.
    """

    blocks: Any

    def __init__(
        self,
        method: str = "darts",
        channels: int = 16,
        cells_per_stage: int = 5,
        n_classes: int = 10,
        in_channels: int = 3,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.method = method
        self.tau = 10.0
        self.noise: Tensor | None = None
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.blocks = nn.ModuleList()
        for stage in range(3):
            width = channels * 2**stage
            if stage:
                self.blocks.append(ResidualBlock(width // 2, width))
            self.blocks.extend(SearchCell(width) for _ in range(cells_per_stage))
        self.last = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=False))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, n_classes)
        self.to(device=device, dtype=dtype)
        logits = 1e-3 * torch.randn(len(EDGES), len(PRIMITIVES), device=device, dtype=dtype)
        self.alphas = logits.requires_grad_()

    def sample(self) -> tuple[Tensor, Tensor]:
        """Return one-hot weights with the gradient of the soft sample, and the chosen indices `(6, 1)`."""
        noise = self.noise
        if noise is None:
            noise = -torch.empty_like(self.alphas).exponential_().log()
        soft = F.softmax((F.log_softmax(self.alphas, dim=1) + noise) / self.tau, dim=1)
        index = soft.max(-1, keepdim=True)[1]
        hard = torch.zeros_like(soft).scatter_(-1, index, 1.0)
        return hard - soft.detach() + soft, index

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        if self.method == "gdas":
            weights, index = self.sample()
        else:
            weights, index = F.softmax(self.alphas, dim=-1), None
        x = self.stem(x)
        for block in self.blocks:
            if not isinstance(block, SearchCell):
                x = block(x)
            elif index is None:
                x = block(x, weights)
            else:
                x = block.forward_sampled(x, weights, index)
        out = self.pool(self.last(x))
        return self.classifier(out.view(out.size(0), -1))


class Nb201Reference(BilevelReference):
    """Take the alternating step of the benchmark's weight-sharing algorithms: Nesterov, weight decay 5e-4.

    Args:
        model: The search network.
        **settings: See `BilevelReference`.
    """

    def __init__(self, model: Nb201Network, **settings: Any) -> None:
        defaults = {"weight_decay": 5e-4, "nesterov": True, "architecture_first": False}
        super().__init__(model, [model.alphas], **{**defaults, **settings})


def pair(graph: Any, reference: Nb201Network) -> Pairing:
    """Return what corresponds between an adapted `NasBench201SearchSpace` and the reference.

    Args:
        graph: The supernet.
        reference: A network of the same sizes.
    """
    columns = tuple(PRIMITIVES.index(name) for name in NASLIB_PRIMITIVES)
    modules: list[tuple[nn.Module, nn.Module]] = [(graph.edges[1, 2].op, reference.stem)]
    alphas: dict[int, AlphaPair] = {}
    for number, block in enumerate(reference.blocks):
        ours = graph.edges[number + 2, number + 3].op
        if not isinstance(block, SearchCell):
            modules.append((ours, block))
            continue
        for row, (source, target) in enumerate(EDGES):
            data = ours.edges[source + 1, target + 1]
            theirs = [block.edges[row][column] for column in columns]
            modules += zip(data.op.primitives, theirs, strict=True)
            alphas.setdefault(id(data.alpha), AlphaPair(data.alpha, reference.alphas, row, columns))
    end = len(reference.blocks) + 2
    modules.append((graph.edges[end, end + 1].op, nn.Sequential(reference.last, reference.classifier)))
    pairing = Pairing(modules, list(alphas.values()))
    pairing.require_complete(graph, reference)
    return pairing
