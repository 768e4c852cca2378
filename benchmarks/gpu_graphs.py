"""Steps as they are, from CUDA graphs, and compiled: `python -m benchmarks.gpu_graphs --device cuda`.

A step of DARTS, a mixture, as it is and with `search.cuda_graph`; forward and backward of a mixture and of one sampled
path, as they are and by `torch.compile`, with the sample drawn outside.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from . import subjects
from .harness import Timings, interleave
from .row_files import append
from .settings import Options, Setting

SUBJECTS: dict[str, Callable[..., subjects.Subject]] = {"mixture": subjects.darts, "path": subjects.darts_gdas}


@dataclass(frozen=True)
class Figure:
    """One way to compute beside the plain one.

    Attributes:
        what: `"step"` or `"forward and backward"`, and of what.
        way: `"cuda graph"` or `"compiled"`.
        dtype: `"float32"` or `"bf16"`.
        plain: Milliseconds of the plain way, median of the rounds.
        other: Those of this one.
        speed_up: Median of the rounds' ratios.
        difference: Largest difference of a gradient or weight from the plain way, relative to the largest entry.
        prepared: Seconds that compiling or the first capture took.
    """

    what: str
    way: str
    dtype: str
    plain: float
    other: float
    speed_up: float
    difference: float
    prepared: float


def figure(what: str, way: str, dtype: str, timings: Timings, difference: float, prepared: float) -> Figure:
    """Return the figure of timings of `"plain"` and `"other"`."""
    plain, other = (1e3 * timings.median(name) for name in ("plain", "other"))
    return Figure(what, way, dtype, plain, other, timings.ratio("plain", "other"), difference, prepared)


def gap(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Return the largest difference of tensors of one shape, relative to the largest entry of all."""
    scale = max(float(one.abs().max()) for one in first)
    return max(float((one - other).abs().max()) for one, other in zip(first, second, strict=True)) / max(scale, 1e-30)


def captured(setting: Setting, rounds: int, dtype: str) -> Figure:
    """Compare steps of DARTS with and without `cuda_graph`, and the weights after some of them."""
    plain, other = subjects.darts(setting), subjects.darts(setting, cuda_graph=True)
    begun = time.perf_counter()
    other.step()
    torch.cuda.synchronize()
    prepared = time.perf_counter() - begun
    plain.step()
    for _ in range(2):
        plain.step()
        other.step()
    difference = gap([p.detach() for p in plain.owner.weights], [p.detach() for p in other.owner.weights])
    timings = interleave({"plain": plain.step, "other": other.step}, rounds=rounds, device=setting.device)
    return figure("step of a mixture", "cuda graph", dtype, timings, difference, prepared)


def compiled(kind: str, setting: Setting, rounds: int, dtype: str, backend: str) -> Figure:
    """Compare forward and backward of a mixture or of a path with the same compiled as one graph."""
    subject = SUBJECTS[kind](setting)
    graph = subject.owner.graph
    sample = subject.owner.sample().detached()
    weights = [weight for weight in graph.parameters() if weight.requires_grad]
    network = torch.compile(graph, fullgraph=True, backend=backend)

    def run(forward: Any) -> list[Tensor]:
        images, labels = subject.train
        with subject.owner.assigned(sample), subject.owner.fixed_architecture():
            with torch.autocast(images.device.type, torch.bfloat16, enabled=setting.amp):
                loss = F.cross_entropy(forward(images), labels)
            found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [gradient for gradient in found if gradient is not None]

    begun = time.perf_counter()
    ours = run(network)
    prepared = time.perf_counter() - begun
    difference = gap(run(graph), ours)
    calls: dict[str, Callable[[], object]] = {"plain": lambda: run(graph), "other": lambda: run(network)}
    timings = interleave(calls, rounds=rounds, device=setting.device)
    return figure(f"forward and backward of a {kind}", "compiled", dtype, timings, difference, prepared)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and keep the rows; return 1 if the gradients of a way are others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_graphs", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu, which captures nothing")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bf16"), help="bf16 is autocast")
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    parser.add_argument("--cells", type=int, default=8, help="cells of what is compiled, which takes long")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round: shows that it runs")
    parser.add_argument("--csv", type=Path, help="a file for the rows, made anew")
    given = parser.parse_args(arguments)
    options = Options(quick=True, smoke=given.quick, device=given.device, dtype=given.dtype)
    setting, rounds = options.setting(), options.n_rounds(9, 7)
    found: list[Figure] = []
    if given.csv is not None:
        given.csv.unlink(missing_ok=True)

    def keep(row: Figure) -> None:
        found.append(row)
        print(describe(row), flush=True)
        if given.csv is not None:  # now: compiling the next may take longer than there is time
            append(given.csv, [field.name for field in fields(Figure)], [astuple(row)])

    if torch.device(given.device).type == "cuda":
        keep(captured(setting, rounds, given.dtype))
    else:
        print("steps are captured on CUDA devices alone: left out", flush=True)
    for kind in ("path", "mixture"):
        keep(compiled(kind, options.setting(cells=given.cells), rounds, given.dtype, given.backend))
    bound = 0.1 if given.dtype == "bf16" else 1e-2  # float32 kernels in another order, through ReLU and max pooling
    return 1 if any(not row.difference <= bound for row in found) else 0


def describe(row: Figure) -> str:
    """Return a figure in one line."""
    return (
        f"{row.what}, {row.way}, {row.dtype}: {row.plain:.2f} ms -> {row.other:.2f} ms ({row.speed_up:.2f}x), "
        f"largest difference {row.difference:.1e}, prepared in {row.prepared:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
