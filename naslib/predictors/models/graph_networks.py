"""Graph convolutional networks on architectures with operations as vertices."""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn


class DirectedGraphConvolution(nn.Module):
    """Pass messages along and against the edges: (ReLU(A V W+) + ReLU(A^T V W-)) / 2, with dropout.

    Wen et al. (2020, eq. 2), [Wen2020neural]. A has self-loops, and both it and its transpose have rows that sum to 1.

    Args:
        inputs: Features of a vertex, d.
        outputs: Features afterwards, e.
        dropout: Share of features that are dropped while it trains.
    """

    def __init__(self, inputs: int, outputs: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.along = nn.Linear(inputs, outputs)
        self.against = nn.Linear(inputs, outputs)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.along, self.against):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, vertices: Tensor, adjacency: Tensor) -> Tensor:
        """Return features `(n, v, e)` of vertices `(n, v, d)` under adjacencies with self-loops `(n, v, v)`."""
        forth = torch.relu(row_normalised(adjacency) @ self.along(vertices))
        back = torch.relu(row_normalised(adjacency.transpose(1, 2)) @ self.against(vertices))
        return cast(Tensor, self.dropout((forth + back) / 2))


def row_normalised(adjacency: Tensor) -> Tensor:
    """Return matrices `(n, v, v)` whose rows sum to 1, where they are not zero."""
    return adjacency / adjacency.sum(-1, keepdim=True).clamp(min=1e-12)


class DirectedGraphNetwork(nn.Module):
    """Directed graph convolutions, the mean over vertices, and two linear layers: the neural predictor.

    Wen et al. (2020, section 3), [Wen2020neural]; 144 features and a hidden layer of 128 there.

    Args:
        inputs: Features of a vertex, d.
        hidden: Features within.
        layers: Number of convolutions.
        linear: Width of the linear layer.
        dropout: After each convolution and before the last layer.
    """

    def __init__(
        self, inputs: int, hidden: int = 144, layers: int = 3, linear: int = 128, dropout: float = 0.1
    ) -> None:
        super().__init__()
        widths = [inputs, *[hidden] * layers]
        self.layers = nn.ModuleList(DirectedGraphConvolution(a, b, dropout) for a, b in itertools.pairwise(widths))
        self.head = nn.Sequential(
            nn.Linear(hidden, linear, bias=False), nn.Dropout(dropout), nn.Linear(linear, 1, bias=False)
        )

    def forward(self, vertices: Tensor, adjacency: Tensor, mask: Tensor) -> Tensor:
        """Return `(n,)` predictions of vertices `(n, v, d)`, adjacencies `(n, v, v)` and masks of vertices `(n, v)`."""
        loops = adjacency + torch.diag_embed(mask)
        for layer in self.layers:
            vertices = layer(vertices, loops)
        pooled = (vertices * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return cast(Tensor, self.head(pooled)[:, 0])


class GlobalNodeNetwork(nn.Module):
    """Graph convolutions with batch norm whose last vertex sees all others; its features embed the architecture.

    Shi et al. (2020), [Shi2020bonas]: H <- ReLU(BN(A H W)), four layers of 64, where A is given with self-loops and the
    global vertex and is not normalised; weights start uniformly within .05.

    Args:
        inputs: Features of a vertex, d.
        hidden: Features within, and of the embedding, h.
        layers: Number of convolutions.
    """

    def __init__(self, inputs: int, hidden: int = 64, layers: int = 4) -> None:
        super().__init__()
        widths = [inputs, *[hidden] * layers]
        self.weights = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(layers))
        self.head = nn.Linear(hidden, 1)
        for weight in self.weights:
            nn.init.uniform_(cast(nn.Linear, weight).weight, -0.05, 0.05)
        nn.init.uniform_(self.head.weight, -0.05, 0.05)

    def embed(self, vertices: Tensor, adjacency: Tensor) -> Tensor:
        """Return embeddings `(n, h)` of vertices `(n, v, d)`, the last one global, and adjacencies `(n, v, v)`."""
        for weight, norm in zip(self.weights, self.norms, strict=True):
            mixed = adjacency @ weight(vertices)
            vertices = torch.relu(norm(mixed.flatten(0, 1)).view_as(mixed))
        return vertices[:, -1]

    def forward(self, vertices: Tensor, adjacency: Tensor) -> Tensor:
        """Return `(n,)` predictions in (0, 1); see `embed`."""
        return torch.sigmoid(self.head(self.embed(vertices, adjacency))[:, 0])
