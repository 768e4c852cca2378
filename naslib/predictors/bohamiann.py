"""BOHAMIANN: networks drawn from their posterior by Hamiltonian Monte Carlo ([Springenberg2016bohamiann])."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from .mlp import Networks
from .tabular import TabularPredictor, log_uniform


class ScaleAdaptedSGHMC:
    """Stochastic gradient Hamiltonian Monte Carlo with a step size per weight ([Springenberg2016bohamiann], section 4).

    The update of [Chen2014sghmc] is scaled by an estimate V of the squared gradients, which is kept after the burn-in:
    `v <- (1 - a) v - e^2 V^-1/2 g + N(0, 2 a e^2 V^-1/2 - e^4)`, `w <- w + v`; g is the gradient of the negative log
    posterior.

    Args:
        parameters: What is sampled.
        step: The step size e.
        decay: The friction a.
        generator: Of the noise.
    """

    def __init__(self, parameters: list[torch.Tensor], step: float, decay: float, generator: torch.Generator) -> None:
        self.parameters, self.step_size, self.decay, self._generator = parameters, step, decay, generator
        self._v = [torch.zeros_like(p) for p in parameters]
        self._tau = [torch.ones_like(p) for p in parameters]
        self._g = [torch.ones_like(p) for p in parameters]
        self._squares = [torch.ones_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, burn_in: bool) -> None:
        """Update the parameters, given their gradients; during the burn-in also the step sizes."""
        e2 = self.step_size**2
        for p, v, tau, g, squares in zip(self.parameters, self._v, self._tau, self._g, self._squares, strict=True):
            gradient = p.grad if p.grad is not None else torch.zeros_like(p)
            if burn_in:  # equations 7 to 9: running means whose length adapts
                rate = 1 / (tau + 1)
                tau.add_(1 - tau * g.square() / squares.clamp_min(1e-16))
                g.add_(rate * (gradient - g))
                squares.add_(rate * (gradient.square() - squares))
            scale = squares.clamp_min(1e-16).rsqrt()
            variance = (2 * self.decay * e2 * scale - e2**2).clamp_min(1e-16)
            noise = torch.randn(p.shape, generator=self._generator, dtype=p.dtype) * variance.sqrt()
            v.add_(-self.decay * v - e2 * scale * gradient + noise)
            p.add_(v)


class BOHAMIANN(TabularPredictor):
    """Networks of three hidden layers of 50 tanh units, drawn from their posterior; mean and spread of the draws.

    Several chains run side by side. Weights have a standard normal prior; the logarithm of the noise's variance is
    drawn along, under a normal prior about 1 % of the values' variance ([Springenberg2016bohamiann], section 3).

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "num_layers": 3,
        "layer_width": 50,
        "chains": 4,
        "burn_in": 600,
        "samples": 40,
        "keep_every": 10,
        "batch_size": 32,
        "step": 0.01,
        "decay": 0.05,
    }

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        h, n, chains = self.hyperparams, len(rows), int(self.hyperparams["chains"])
        generator = torch.Generator().manual_seed(self.seed)
        sizes = [rows.shape[1], *[int(h["layer_width"])] * int(h["num_layers"]), 1]
        network = Networks(chains, sizes, generator, activation="tanh")
        log_noise = torch.full((chains,), np.log(1e-2), requires_grad=True)
        x, y = torch.tensor(rows, dtype=torch.float32), torch.tensor(values, dtype=torch.float32)
        parameters = [*network.parameters(), log_noise]
        sampler = ScaleAdaptedSGHMC(parameters, float(h["step"]), float(h["decay"]), generator)
        self._draws: list[Networks] = []
        kept = max(1, -(-int(h["samples"]) // chains))  # of each chain
        for number in range(int(h["burn_in"]) + kept * int(h["keep_every"])):
            taken = torch.randint(n, (chains, min(int(h["batch_size"]), n)), generator=generator)
            errors = (network(x[taken]) - y[taken]).square()
            fit = (0.5 * errors * torch.exp(-log_noise)[:, None] + 0.5 * log_noise[:, None]).mean(1).sum() * n
            prior = 0.5 * sum(((p**2).sum() for p in network.parameters()), torch.zeros(()))
            prior = prior + 0.5 * ((log_noise - np.log(1e-2)).square() / 0.1).sum()
            for p in parameters:
                p.grad = None
            (fit + prior).backward()
            sampler.step(burn_in=number < int(h["burn_in"]))
            since = number - int(h["burn_in"]) + 1
            if since > 0 and since % int(h["keep_every"]) == 0:
                copy = Networks(chains, sizes, generator, activation="tanh")
                copy.load_state_dict(network.state_dict())
                self._draws.append(copy)

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        x = torch.tensor(rows, dtype=torch.float32)
        with torch.no_grad():
            each = torch.cat([network(x) for network in self._draws]).double().numpy()
        return each.mean(0), each.std(0)

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {**self.hyperparams, "layer_width": int(rng.integers(10, 101)), "step": log_uniform(rng, 1e-3, 1e-1)}
