"""What a forward and backward of the transformer spaces costs: one path, mixed weights, mixed outputs.

    OMP_NUM_THREADS=1 python -m benchmarks.transformers

Times are seconds of CPU, medians; the network weights get gradients in all rows, the weights of the decisions where
there are some.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from random import Random

import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.search_spaces import AutoFormerSearchSpace, GPTSearchSpace
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.elastic import index_assignment, set_mixing
from naslib.search_spaces.core.graph import Graph

_ROUNDS, _PATHS = 7, 15


def _images(side: int, channels: int, n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, channels, side, side), torch.randint(10, (n,))


def _text(n: int) -> tuple[Tensor, Tensor]:
    tokens = torch.randint(2000, (n, 36))
    return tokens[:, :-1], tokens[:, 1:]


CASES: dict[str, Callable[[], tuple[Graph, tuple[Tensor, Tensor]]]] = {
    "autoformer mini, 64 images of 8x8": lambda: (AutoFormerSearchSpace(10, 1, 8), _images(8, 1, 64)),
    "autoformer cifar, 32 images of 32x32": lambda: (
        *(AutoFormerSearchSpace(10, 3, 32, preset="cifar"), _images(32, 3, 32)),
    ),
    "gpt mini, 32 windows of 35 words": lambda: (GPTSearchSpace(2000), _text(32)),
}  # fmt: skip


def _median(run: Callable[[], None], rounds: int) -> float:
    """Return the median of what a call takes, in milliseconds of CPU."""
    run()
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        run()
        found.append(1e3 * (time.process_time() - begin))
    return statistics.median(found)


def measure(space: Graph, batch: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Return milliseconds of a forward and backward by what runs.

    Args:
        space: A space of sizes.
        batch: Inputs and targets.
    """
    space.parse()
    decisions, random = space.decision_space, Random(0)
    rows = {d.name: torch.zeros(len(d.candidates), requires_grad=True) for d in decisions.decisions}

    def step(assignment: Assignment) -> None:
        with assigned(assignment):
            outputs = space(batch[0])
        F.cross_entropy(outputs.flatten(0, -2), batch[1].flatten()).backward()
        for parameter in space.parameters():
            parameter.grad = None

    def mixed() -> None:
        step(Assignment({name: row.softmax(0) for name, row in rows.items()}))

    found = {
        "random path": _median(
            lambda: step(index_assignment(space, decisions.choices(decisions.random(random)))), _PATHS
        ),
        "largest path": _median(lambda: step(index_assignment(space, {})), _ROUNDS),
        "mixed weights": _median(mixed, _ROUNDS),
    }
    set_mixing(space, "outputs")
    return {**found, "mixed outputs": _median(mixed, 3)}


def main() -> int:
    """Measure all cases and print a table."""
    argparse.ArgumentParser(prog="python -m benchmarks.transformers", description=__doc__).parse_args()
    torch.manual_seed(0)
    print("| ms | random path | largest path | mixed weights | mixed outputs |\n|---|---|---|---|---|")
    for name, make in CASES.items():
        found = measure(*make())
        largest = found["largest path"]
        print(f"| {name} | " + " | ".join(f"{value:.1f} ({value / largest:.2f})" for value in found.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
