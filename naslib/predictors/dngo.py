"""DNGO: Bayesian linear regression on the last hidden layer of a network ([Snoek2015dngo])."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from .linear import Evidence
from .mlp import Networks
from .tabular import TabularPredictor, log_uniform


class DNGOPredictor(TabularPredictor):
    """A Bayesian linear regression whose basis a network of three hidden layers of 50 tanh units has learned.

    The network is trained on squared errors; its last hidden layer is the basis, and the variances of the regression
    maximize the evidence ([Snoek2015dngo], section 3).

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "num_layers": 3,
        "layer_width": 50,
        "batch_size": 10,
        "lr": 0.01,
        "weight_decay": 1e-4,
        "epochs": 150,
    }

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        h = self.hyperparams
        generator = torch.Generator().manual_seed(self.seed)
        sizes = [rows.shape[1], *[int(h["layer_width"])] * int(h["num_layers"]), 1]
        self._network = Networks(1, sizes, generator, activation="tanh")
        x, y = torch.tensor(rows, dtype=torch.float32), torch.tensor(values, dtype=torch.float32)
        optimizer = torch.optim.AdamW(
            self._network.parameters(), lr=float(h["lr"]), weight_decay=float(h["weight_decay"])
        )
        batch, steps = min(int(h["batch_size"]), len(rows)), max(1, len(rows) // int(h["batch_size"]))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, int(h["epochs"]) * steps)
        for _ in range(int(h["epochs"])):
            order = torch.randperm(len(rows), generator=generator)
            for step in range(steps):
                taken = order[step * batch : (step + 1) * batch]
                optimizer.zero_grad(set_to_none=True)
                F.mse_loss(self._network(x[taken])[0], y[taken]).backward()
                optimizer.step()
                schedule.step()
        self._evidence = Evidence(self._basis(rows), values)

    def _basis(self, rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            hidden = self._network.hidden(torch.tensor(rows, dtype=torch.float32))[0].double().numpy()
        return np.concatenate([hidden, np.ones((len(rows), 1))], axis=1)

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self._evidence.predict(self._basis(rows))

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {
            **self.hyperparams,
            "layer_width": int(rng.integers(10, 101)),
            "lr": log_uniform(rng, 1e-3, 1e-1),
            "batch_size": int(rng.choice([5, 10, 20])),
        }
