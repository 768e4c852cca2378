"""What each registered search space costs: to build, to adapt, to draw a path of, and what a path costs to run.

    python -m benchmarks.space_costs                    # all spaces as they come, a Markdown table
    python -m benchmarks.space_costs --only fbnet,gpt   # some of them

A path is drawn and set by random search with weight sharing. Its forward takes turns with that of the discrete network
of the same architecture, both in evaluation mode on a few small inputs. A space whose architectures share no weights
has a draw of its code only.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor

from naslib.errors import NASLibError
from naslib.optimizers import DARTSOptimizer, RandomNASOptimizer
from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.batch_norm import evaluation_mode
from naslib.search_spaces.core.graph import Graph

from .harness import interleave

LIMIT = 0.2  # ms, of a draw
N_DRAWS = 200
# Inputs of a forward: images, or positions of a sequence
_SIDE, _LENGTH, _ITEMS = 64, 32, 2


@dataclass(frozen=True)
class Costs:
    """What was measured of a space.

    Attributes:
        space: Its name.
        build: Seconds of the constructor.
        adapt: Seconds of DARTS' `adapt_search_space`; None where the method refuses the space.
        decisions: Number of decisions.
        parameters: Of the supernet, in millions; of the largest where weights are slices of it.
        draw: Milliseconds of a path drawn and set, or of a code drawn, the median of the rounds.
        path: Milliseconds of a forward of the supernet on a path; None where there is none.
        discrete: Milliseconds of the discrete network of that path.
        ratio: The first through the second, the median of the rounds.
        note: Why something is missing.
    """

    space: str
    build: float
    adapt: float | None
    decisions: int
    parameters: float | None
    draw: float
    path: float | None = None
    discrete: float | None = None
    ratio: float | None = None
    note: str = ""

    @property
    def keeps_limit(self) -> bool:
        """Whether a draw is quick enough."""
        return self.draw <= LIMIT


def names_of_spaces() -> list[str]:
    """Return one name of each registered space."""
    by_class = {SEARCH_SPACES.get(name): name for name in sorted(SEARCH_SPACES.names(), reverse=True)}
    return sorted(by_class.values())


def measure(name: str, space: Graph, build: float, rounds: int = 7) -> Costs:
    """Return what a space costs.

    Args:
        name: What the table calls it.
        space: The space.
        build: Seconds that its constructor took.
        rounds: Of the timings that take turns.
    """
    decisions = len(space.decision_space)
    try:
        adapt, parameters = _adapted_by_darts(space)
        note = ""
    except NASLibError as error:
        adapt, parameters, note = None, None, _first_line(error)
    try:
        return _with_paths(Costs(name, build, adapt, decisions, parameters, 0.0, note=note), space, rounds)
    except NASLibError as error:
        stated, rng = space.decision_space, Random(0)
        drawn = interleave(
            {"draw": lambda: stated.random(rng)}, rounds=rounds, warmup=1, calls={"draw": N_DRAWS}, clock="cpu"
        )
        return Costs(
            name, build, adapt, decisions, parameters, 1e3 * drawn.median("draw"), note=note or _first_line(error)
        )


def _adapted_by_darts(space: Graph) -> tuple[float, float]:
    """Return the seconds of adapting, and the millions of parameters of the supernet."""
    optimizer = DARTSOptimizer(epochs=1)
    start = time.perf_counter()
    optimizer.adapt_search_space(space)
    return time.perf_counter() - start, optimizer.get_model_size()


def _with_paths(costs: Costs, space: Graph, rounds: int) -> Costs:
    optimizer = RandomNASOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    x = example_input(space)
    draw = {"draw": optimizer.prepare_step}
    drawn = interleave(draw, rounds=rounds, warmup=1, calls={"draw": N_DRAWS}, clock="cpu")
    code = optimizer.path
    assert code is not None
    discrete = optimizer.discretized(optimizer.scores_of(code))
    with torch.no_grad(), evaluation_mode(optimizer.graph), evaluation_mode(discrete):
        calls: dict[str, Callable[[], Any]] = {"path": lambda: optimizer.graph(x), "discrete": lambda: discrete(x)}
        forwards = interleave(calls, rounds=rounds, warmup=1)
    return Costs(
        costs.space,
        costs.build,
        costs.adapt,
        costs.decisions,
        costs.parameters,
        1e3 * drawn.median("draw"),
        1e3 * forwards.median("path"),
        1e3 * forwards.median("discrete"),
        forwards.ratio("path", "discrete"),
        costs.note,
    )


def example_input(space: Graph) -> Tensor:
    """Return a few small inputs of the kind that a space reads."""
    kinds = space.INPUTS or ("image",)
    generator = torch.Generator().manual_seed(0)
    channels = int(getattr(space, "in_channels", 3))
    if "image" in kinds:
        side = getattr(space, "image_size", None) or _SIDE
        height, width = (side, side) if isinstance(side, int) else side
        return torch.rand(_ITEMS, channels, height, width, generator=generator)
    if "sequence" in kinds:
        return torch.rand(_ITEMS, channels, _LENGTH, generator=generator)
    tokens = int(getattr(space, "vocabulary", 0) or getattr(space, "n_classes", 2))
    return torch.randint(tokens, (_ITEMS, _LENGTH), generator=generator)


def table(measured: Sequence[Costs]) -> str:
    """Return a Markdown table."""
    head = (
        "space",
        "build s",
        "adapt s",
        "decisions",
        "parameters M",
        "draw ms",
        "path ms",
        "discrete ms",
        "ratio",
        "",
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for costs in measured:
        mark = "" if costs.keeps_limit else f" (over {LIMIT})"
        cells = [
            f"`{costs.space}`",
            f"{costs.build:.2f}",
            _number(costs.adapt, 2),
            str(costs.decisions),
            _number(costs.parameters, 2),
            f"{costs.draw:.3f}{mark}",
            _number(costs.path, 1),
            _number(costs.discrete, 1),
            _number(costs.ratio, 2),
            costs.note,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120].replace("|", "/")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where a draw is slower than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of spaces, separated by commas")
    parser.add_argument("--rounds", type=int, default=7, help="of the timings that take turns")
    given = parser.parse_args(arguments)
    names = given.only.split(",") if given.only else names_of_spaces()
    print(f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads\n", flush=True)
    measured = []
    for name in names:
        torch.manual_seed(0)
        start = time.perf_counter()
        space = SEARCH_SPACES.build(name)
        measured.append(measure(name, space, time.perf_counter() - start, given.rounds))
        print(table(measured).splitlines()[-1] if len(measured) > 1 else table(measured), flush=True)
    return 0 if all(costs.keeps_limit for costs in measured) else 1


if __name__ == "__main__":
    raise SystemExit(main())
