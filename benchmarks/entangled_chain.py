"""A DARTS step on a chain of MobileNet blocks whose candidates are slices of one another, beside that of one path.

    python -m benchmarks.entangled_chain

Six layers with kernel 3, 5 or 7 and expansion 3 or 6 (and `Zero`), 64 images of 32x32, channels-last as the Trainer
lays networks out on a CPU. One path: the same chain with the largest block in every layer, whose parameters
decide on `Zero` alone. The entangled mixture runs the largest block once, with mixed weights; the plain one runs six.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import torch

from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import ProxylessNASSearchSpace
from naslib.search_spaces.core.elastic import entangle_edges
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.proxylessnas.primitives import MBInvertedConv

from .harness import Timings, interleave

LIMIT = 1.5
ENTANGLED, ONE_PATH, PLAIN = "entangled", "one path", "plain"


def make_chain(**sizes: Any) -> ProxylessNASSearchSpace:
    """Return the chain; `sizes` replace those of the measurement."""
    usual = {
        "n_classes": 10, "widths": (16, 24, 32), "n_cells": (2, 2, 2), "strides": (1, 2, 2), "stem_stride": 1,
        "stem_channels": 16, "head_channels": 64,
    }  # fmt: skip
    torch.manual_seed(0)
    return ProxylessNASSearchSpace(**{**usual, **sizes})


def measure(rounds: int, batch: int = 64, side: int = 32, **sizes: Any) -> Timings:
    """Return the seconds of a first-order DARTS step of each.

    Args:
        rounds: That count.
        batch: Images of a step.
        side: Of an image.
        **sizes: Of the chain, where they are to be others.
    """
    spaces: dict[str, Graph] = {
        ENTANGLED: entangle_edges(make_chain(**sizes), [MBInvertedConv]),
        ONE_PATH: make_chain(kernels=(7,), expansions=(6,), **sizes),
        PLAIN: make_chain(**sizes),
    }
    images = torch.rand(batch, 3, side, side).to(memory_format=torch.channels_last)
    data = images, torch.randint(10, (batch,))
    steps = {name: _step_of(space, data) for name, space in spaces.items()}
    return interleave(steps, rounds=rounds, warmup=1, clock="cpu")


def _step_of(space: Graph, data: tuple[torch.Tensor, torch.Tensor]) -> Callable[[], object]:
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    optimizer.new_epoch(0)
    optimizer.graph.to(memory_format=torch.channels_last).train()
    return lambda: optimizer.step(data, data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where an entangled step costs more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    timings = measure(parser.parse_args(arguments).rounds)
    ratio = timings.ratio(ENTANGLED, ONE_PATH)
    print("| step | ms | through one path |\n|---|---|---|")
    for name in (ONE_PATH, ENTANGLED, PLAIN):
        print(f"| {name} | {1e3 * timings.median(name):.0f} | {timings.ratio(name, ONE_PATH):.2f} |")
    print(f"\nentangled: {ratio:.2f} of one path, limit {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
