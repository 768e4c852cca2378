"""methods: time and peak memory of a search step of every weight-sharing method, beside first-order DARTS.

`python -m benchmarks.methods --space nb201 --quick` measures one space alone and writes the table only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from naslib.errors import NASLibError

from . import subjects
from .harness import Memory, Timings, interleave, peak_memory
from .records import RESULTS, Row, environment, pending, ratio_row, seconds_row
from .settings import Options, Setting

BASELINE = "darts"
TITLES = {"darts": "DARTS space", "nb201": "NAS-Bench-201"}
# Methods measured in one process beside the baseline: machines drift, and all networks of a chunk are in memory
CHUNK = 4


@dataclass(frozen=True)
class Cost:
    """What a step of one method takes on one space.

    Attributes:
        space: Key of `TITLES`.
        method: Registered name.
        timings: Of the method and of the baseline, in the same rounds; None where it could not be run.
        memory: Peak of its steps; None where it was not measured.
        problem: Why it could not be run.
    """

    space: str
    method: str
    timings: Timings | None = None
    memory: Memory | None = None
    problem: str = ""

    @property
    def time_ratio(self) -> float | None:
        """Time of a step over the baseline's."""
        return None if self.timings is None else self.timings.ratio(self.method, BASELINE)


class SeededSteps:
    """Take one step at each call, with the next of a fixed sequence of seeds.

    What a method draws differs from step to step, but neither from run to run nor with what is measured beside it.
    """

    def __init__(self, subject: subjects.Subject) -> None:
        self.subject = subject
        self.n_taken = 0

    def __call__(self) -> None:
        torch.manual_seed(self.n_taken)
        self.n_taken += 1
        self.subject.step()


def measure(
    options: Options,
    folder: Path = RESULTS,
    methods: Sequence[str] | None = None,
    spaces: Sequence[str] = tuple(TITLES),
) -> list[Row]:
    """Return the rows of all methods on the spaces, and write them as a table to `methods*.md`.

    Args:
        options: Of the command line.
        folder: Where to put the table.
        methods: Registered names; all weight-sharing methods if None.
        spaces: Keys of `TITLES`.
    """
    setting = options.setting(**({"cells": 4, "cells_per_stage": 1} if options.quick else {}))
    names = [name for name in methods or subjects.one_shot_methods() if name != BASELINE]
    costs = [cost for space in spaces for cost in measure_space(space, names, setting, options)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file_name(options)).write_text(markdown(costs, setting, options), encoding="utf-8")
    baselines = {cost.space: cost for cost in costs if cost.method == BASELINE}
    return [row for cost in costs for row in rows_of(cost, baselines[cost.space], setting)]


def measure_space(space: str, names: Sequence[str], setting: Setting, options: Options) -> list[Cost]:
    """Return the costs of the baseline and of the methods on one space."""
    timed: dict[str, Timings | str] = {}
    for begin in range(0, max(1, len(names)), CHUNK):
        timed |= time_chunk(space, names[begin : begin + CHUNK], setting, options)
    # one process each, some seconds: a smoke run shows it for the baseline and one more
    probed = [BASELINE, *names][: 2 if options.smoke else None]
    steps = n_steps(options)
    costs = []
    for name in (BASELINE, *names):
        found = timed[name]
        if isinstance(found, str):
            costs.append(Cost(space, name, problem=found))
            continue
        memory = peak_memory(f"{space}:{name}", setting, calls=steps) if name in probed else None
        costs.append(Cost(space, name, found, memory))
    return costs


def time_chunk(space: str, names: Sequence[str], setting: Setting, options: Options) -> dict[str, Timings | str]:
    """Time some methods and the baseline in turns; where a method refuses the space, return what it says."""
    steps: dict[str, SeededSteps] = {}
    problems: dict[str, str] = {}
    for name in (BASELINE, *names):
        try:
            steps[name] = SeededSteps(subjects.SUBJECTS[f"{space}:{name}"](setting))
        except NASLibError as error:
            problems[name] = str(error).splitlines()[0]
    timings = interleave(
        steps, rounds=options.n_rounds(3, 2), device=options.device, calls=dict.fromkeys(steps, n_steps(options))
    )
    return problems | dict.fromkeys(steps, timings)


def n_steps(options: Options) -> int:
    """Return over how many steps a time is averaged: what is drawn differs."""
    return 1 if options.smoke else 2 if options.quick else 4


def rows_of(cost: Cost, baseline: Cost, setting: Setting) -> Iterator[Row]:
    """Return the rows of one method on one space."""
    title = f"{TITLES[cost.space]}, {cost.method}"
    if cost.timings is None:
        yield pending("methods", title, cost.problem)
        return
    row = seconds_row("methods", cost.method, cost.timings, note=sizes(cost.space, setting))
    yield Row(row.bar, f"{title}: step", row.value, row.unit, row.low, row.high, row.rounds, note=row.note)
    if cost.method != BASELINE:
        yield ratio_row("methods", f"{title}: time / {BASELINE}", cost.timings, (cost.method, BASELINE))
    if cost.memory is None:
        return
    yield Row("methods", f"{title}: peak above the model", cost.memory.extra, "MB", note=cost.memory.method)
    share = memory_ratio(cost, baseline)
    if cost.method != BASELINE and share is not None:
        yield Row("methods", f"{title}: memory / {BASELINE}", share, "x")


def memory_ratio(cost: Cost, baseline: Cost) -> float | None:
    """Return the peak over the baseline's, None where one is missing."""
    if cost.memory is None or baseline.memory is None or not baseline.memory.extra:
        return None
    return cost.memory.extra / baseline.memory.extra


def sizes(space: str, setting: Setting) -> str:
    """Return the sizes in words."""
    depth = f"{setting.cells} cells" if space == "darts" else f"N={setting.cells_per_stage}"
    return f"{depth}, C={setting.channels} B={setting.batch}, {setting.image}x{setting.image}"


def file_name(options: Options) -> str:
    """Return the name of the Markdown file: `methods.md` for measurements on the CPU in float32."""
    kind = torch.device(options.device).type
    words = {kind: kind != "cpu", "bf16": options.dtype == "bf16", "smoke": options.smoke}
    return "-".join(["methods", *(word for word, is_said in words.items() if is_said)]) + ".md"


def markdown(costs: Sequence[Cost], setting: Setting, options: Options) -> str:
    """Return the table: per space, time and memory over the baseline's, whose own figures are in its row."""
    facts = environment(options)
    by_place = {(cost.space, cost.method): cost for cost in costs}
    spaces = list(dict.fromkeys(cost.space for cost in costs))
    heads = [f"{TITLES[space]}: {what}" for space in spaces for what in ("time", "memory")]
    places = " and ".join(f"{TITLES[space]} ({sizes(space, setting)})" for space in spaces)
    effort = f"effort `{facts['effort']}`" + (": tiny sizes, the figures mean nothing" if options.smoke else "")
    lines = [
        f"Time of a search step, and its peak memory above the model, over those of first-order DARTS: {places};",
        f"{facts['device']}, {facts['dtype']}, {facts['threads']} threads, torch {facts['torch']}, {facts['cpu']}, "
        f"commit {facts['commit']}, {facts['date'][:10]}, {effort}.",
        "",
        "| method | " + " | ".join(heads) + " |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for name in dict.fromkeys(cost.method for cost in costs):
        cells = [cell for space in spaces for cell in _cells(by_place[space, name], by_place[space, BASELINE])]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    problems = [f"`{c.method}` on {TITLES[c.space]}: {c.problem}" for c in costs if c.problem]
    return "\n".join([*lines, "", *(f"* {problem}" for problem in problems)]).rstrip() + "\n"


def _cells(cost: Cost, baseline: Cost) -> tuple[str, str]:
    if cost.method == BASELINE and cost.timings is not None:
        memory = f"{cost.memory.extra:.0f} MB" if cost.memory is not None else "-"
        return f"{1e3 * cost.timings.median(BASELINE):.0f} ms", memory
    ratios = (cost.time_ratio, memory_ratio(cost, baseline))
    time, memory = (f"{ratio:.2f}" if ratio is not None else "-" for ratio in ratios)
    return time, memory


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the methods on some spaces and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods", description=__doc__)
    parser.add_argument("--space", nargs="+", choices=list(TITLES), default=list(TITLES), help="default: both")
    parser.add_argument("--quick", action="store_true", help="smaller networks and fewer rounds")
    given = parser.parse_args(argv)
    measure(Options(quick=given.quick), spaces=given.space)
    return 0


if __name__ == "__main__":
    sys.exit(main())
