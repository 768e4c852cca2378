"""Search once, retrain what was found, and retrain architectures drawn at random likewise, as a table.

    python -m benchmarks.zoo_search --config darts_cell.yaml --random 3 data=DIR

Works with any config that the command `runner.py` takes: the score is that of its task. Every run is a process of its
own; a finished run is kept and not repeated, an unfinished one is resumed. All retrainings share the config's
`evaluation` and its seed, so that they differ in the architecture alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from naslib.cli.builders import build_space
from naslib.cli.door import schema_extensions
from naslib.config.cli import config_from_command_line, parse_cli
from naslib.utils.files import to_jsonable

from .harness import ROOT

# Draws of distinct architectures before it is an error that there are too few
_TRIES = 100


@dataclass(frozen=True)
class Result:
    """What one retraining gave.

    Attributes:
        architecture: `"found"`, or `"random 1"` and so on.
        score: On the test data.
        score_name: Of the task's deciding score.
        maximize: Whether larger is better.
        params_millions: Parameters of the retrained network.
        search_seconds: Time of the search, 0 where there was none.
        evaluation_seconds: Time of the retraining.
        genotype: The architecture.
    """

    architecture: str
    score: float
    score_name: str
    maximize: bool
    params_millions: float
    search_seconds: float
    evaluation_seconds: float
    genotype: str


def draw_architectures(config: str, words: Sequence[str], count: int, seed: int) -> list[Any]:
    """Return genotypes of distinct architectures of a config's space, drawn by its own rule.

    Args:
        config: Name or path of the config.
        words: Overrides.
        count: How many.
        seed: Of the draws.

    Raises:
        RuntimeError: If so many distinct ones are not found.
    """
    loaded = config_from_command_line(parse_cli(["--config", config, *words]), extensions=schema_extensions())
    found: dict[Any, Any] = {}
    for attempt in range(_TRIES):
        if len(found) == count:
            break
        space = build_space(loaded)
        space.sample_random_architecture(rng=1000 * seed + attempt)
        found.setdefault(space.get_hash(), to_jsonable(space.genotype()))
    if len(found) < count:
        raise RuntimeError(f"{len(found)} distinct architectures in {_TRIES} draws from {config}, not {count}")
    return list(found.values())


def run(name: str, place: Path, command: Sequence[str], threads: int) -> Result:
    """Run the command line in a process, or read what it left.

    Args:
        name: For the table.
        place: Folder of this run alone.
        command: Words behind `runner.py`.
        threads: Threads of torch.

    Raises:
        RuntimeError: If the run fails; the message ends with what it wrote.
    """
    if not _finished(place):
        resume = ["--resume"] if list(place.glob("run/**/config.yaml")) else []
        words = [sys.executable, "runner.py", *command, f"out_dir={place / 'run'}", *resume]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    summary = _finished(place)[0]
    return Result(
        name,
        float(summary["score"]),
        str(summary["score_name"]),
        bool(summary["maximize"]),
        float(summary["params_millions"] or 0.0),
        float(summary["search_seconds"] or 0.0),
        float(summary["evaluation_seconds"] or 0.0),
        json.dumps(summary["genotype"]),
    )


def _finished(place: Path) -> list[dict[str, Any]]:
    """Return the summary of the run in a folder where it got to its end (a search alone has no score)."""
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in place.glob("run/**/summary.json")]
    return [summary for summary in summaries if summary.get("score") is not None]


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table, and a line on what was found against the mean of the random ones."""
    name = results[0].score_name
    lines = [f"| architecture | test {name} | parameters, M | search, s | retraining, s |", "|---|---|---|---|---|"]
    for result in results:
        lines.append(
            f"| {result.architecture} | {result.score:.2f} | {result.params_millions:.4f} "
            f"| {result.search_seconds:.0f} | {result.evaluation_seconds:.0f} |"
        )
    drawn = [result.score for result in results[1:]]
    if drawn:
        spread = f" ± {statistics.stdev(drawn):.2f}" if len(drawn) > 1 else ""
        sign = 1 if results[0].maximize else -1
        better = sum(sign * results[0].score > sign * score for score in drawn)
        lines.append(
            f"\nFound: {results[0].score:.2f}; random: {statistics.mean(drawn):.2f}{spread}. "
            f"What was found is better than {better} of {len(drawn)}."
        )
    return "\n".join(lines)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo_search", description=__doc__)
    parser.add_argument("--config", required=True, help="what is searched, and how it is retrained")
    parser.add_argument("--random", type=int, default=3, help="architectures drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the search, the draws and all retrainings")
    parser.add_argument("--out-dir", type=Path, default=Path("run/zoo"), help="run folders; finished ones are kept")
    parser.add_argument("--csv", type=Path, default=None, help="also write every run here")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run")
    parser.add_argument("words", nargs="*", help="overrides for all runs, such as data=DIR search.epochs=2")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the table and write the CSV."""
    options = parse(argv)
    place = options.out_dir.absolute() / Path(options.config).stem
    words = [*options.words, "device=cpu", f"seed={options.seed}"]
    command = ["--config", options.config, *words]
    drawn = draw_architectures(options.config, words, options.random, options.seed)
    results = [run("found", place / "found", command, options.threads)]
    for number, genotype in enumerate(drawn, 1):
        folder = place / f"random-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "architecture.json"
        file.write_text(json.dumps(genotype), encoding="utf-8")
        given = [*command, f"evaluation.genotype={file}"]
        results.append(run(f"random {number}", folder, given, options.threads))
    if options.csv is not None:
        options.csv.parent.mkdir(parents=True, exist_ok=True)
        with options.csv.open("w", newline="", encoding="utf-8") as file_:
            writer = csv.DictWriter(file_, [entry.name for entry in fields(Result)])
            writer.writeheader()
            writer.writerows(asdict(result) for result in results)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
