"""How many codes a second are encoded: `python -m benchmarks.encodings --codes 200000`.

Random codes of NAS-Bench-201, TransNAS-Bench-101 (micro) and the size space
of NATS-Bench, as `(n, length)` ints, in CPU seconds of one thread; the best of five rounds, tables made before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from naslib.predictors.features import encode_batch
from naslib.search_spaces.registry import SEARCH_SPACES

KINDS = ("adjacency_one_hot", "adjacency_mix", "compact", "path", "graf")


def rate(space: object, codes: np.ndarray, kind: str) -> float:
    """Return the codes encoded in a second of CPU time."""
    best = float("inf")
    for _ in range(6):
        begun = time.process_time()
        encode_batch(space, codes, kind)
        best = min(best, time.process_time() - begun)
    return len(codes) / best


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encodings", description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=200_000, help="codes in a batch")
    given = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    print(f"| million codes/s | {' | '.join(KINDS)} |\n|---|{'---|' * len(KINDS)}")
    for name in ("nasbench201", "nats_size", "transbench101_micro"):
        space = SEARCH_SPACES.get(name)()
        codec = space._codec()
        bases = [len(decision.candidates) for decision in codec.decision_space.decisions]
        codes = rng.integers(0, bases, (given.codes, len(bases)))
        found = [rate(codec, codes, kind) / 1e6 for kind in KINDS]
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in found)} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
