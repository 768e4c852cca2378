"""PathSampler: one path of the network per forward, and which operations are looked at for the gates' gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.optimizers.oneshot.supernet.estimators import RULES, gate_weights
from naslib.optimizers.oneshot.supernet.sampling import Draw, gumbel_ranking, membership, ranked


def draw_pair(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Draw two operations of each row, and which of them is active ([Cai2019proxylessnas], Sec. 3.2.1).

    The pair is a sample without replacement from the softmax of all logits. The active one is drawn anew, by the
    softmax over the pair: the first of the pair would follow another law, `(1 - p_b) : (1 - p_a)`.

    Args:
        logits: `(n_decisions, n_ops)`, at least two operations.

    Returns:
        `(n_decisions,)` indices of the active ones, and `(n_decisions, 2)` indices of the pairs, in no order.
    """
    pair = ranked(gumbel_ranking(logits), 2)
    second = ranked(gumbel_ranking(logits.gather(1, pair)), 1)
    return pair.gather(1, second).squeeze(1), pair


class PathSampler:
    """Draw one operation for every decision by the softmax of its logits; take the most likely one in evaluation.

    Where the logits want a gradient, the gates of the operations carry it, as the mode says; else nothing but the drawn
    operation is touched.

    Args:
        mode: See `ProxylessNASOptimizer`.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __call__(self, logits: Tensor, training: bool) -> Sequence[Any]:
        """Return one entry per decision: a `Draw`, or the one-hot gates of all operations in the mode `"full"`.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Whether to sample.
        """
        n_ops = logits.shape[-1]
        values = logits.detach()
        wants_gradient = logits.requires_grad and torch.is_grad_enabled()
        is_pair = wants_gradient and training and self.mode == "two" and n_ops > 1
        if is_pair:
            active, looked_at = draw_pair(values)
        else:
            active = ranked(gumbel_ranking(values) if training else values, 1).squeeze(1)
            looked_at = torch.arange(n_ops, device=logits.device).expand(len(logits), n_ops)
        one_hot = membership(active.unsqueeze(1), n_ops)
        gates = one_hot.to(logits)
        if not wants_gradient:
            return [Draw((index,), row) for index, row in zip(active.tolist(), gates.unbind(0), strict=True)]
        rule = RULES["renormalized" if is_pair else "gates"]
        gates = gate_weights(logits, gates, membership(looked_at, n_ops), rule)
        if self.mode == "full":
            return gates.unbind(0)
        return _draws(active, looked_at, gates)


def _draws(active: Tensor, looked_at: Tensor, gates: Tensor) -> list[Draw]:
    """Return draws that run the active operations and evaluate the others that are looked at."""
    rows = zip(active.tolist(), looked_at.tolist(), gates.unbind(0), strict=True)
    return [Draw((index,), row, tuple(sorted(k for k in seen if k != index))) for index, seen, row in rows]
