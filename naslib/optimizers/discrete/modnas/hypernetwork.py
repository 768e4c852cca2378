"""PreferenceHypernetwork: from a preference and what is known of a device to a distribution over architectures."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class PreferenceHypernetwork(nn.Module):
    """A bank of tables over preferences, mixed by what a device is like ([Sukthanker2025modnas], section 3.2).

    Each member of the bank has a row of logits for each of `intervals + 1` preferences, between which it is linear. A
    device is compared with an embedding of each member; the softmax of the sines of the similarities weighs them.

    Args:
        width: Number of logits: candidates of all decisions.
        n_features: Length of the features of a device.
        bank: Members of the bank.
        intervals: Between preferences 0 and 1.
        generator: Where the first values are drawn from.
        scale: Standard deviation of the first logits.

    Raises:
        ValueError: If a number is below one.
    """

    def __init__(
        self,
        width: int,
        n_features: int,
        *,
        bank: int = 16,
        intervals: int = 20,
        generator: torch.Generator | None = None,
        scale: float = 0.1,
    ) -> None:
        super().__init__()
        if min(width, n_features, bank, intervals) < 1:
            raise ValueError(f"sizes must be at least 1, got {width}, {n_features}, {bank}, {intervals}")
        self.intervals = intervals
        self.tables = nn.Parameter(scale * torch.randn((bank, intervals + 1, width), generator=generator))
        self.embeddings = nn.Parameter(torch.randn((bank, n_features), generator=generator))

    def forward(self, preferences: Tensor, features: Tensor) -> Tensor:
        """Return logits `(d, p, width)`.

        Args:
            preferences: `(p,)` in [0, 1]: the weight of the score, that of the cost being the rest.
            features: `(d, n_features)` of devices.
        """
        place = preferences.clamp(0.0, 1.0) * self.intervals
        low = place.detach().floor().clamp(max=self.intervals - 1).long()
        share = (place - low)[:, None]
        rows = (1 - share) * self.tables[:, low] + share * self.tables[:, low + 1]  # (bank, p, width)
        similarity = features @ self.embeddings.T / math.sqrt(self.embeddings.shape[1])
        mixture = torch.softmax(torch.sin(similarity), dim=-1)  # (d, bank)
        return torch.einsum("db,bpw->dpw", mixture, rows)
