"""`naslib compare`: several methods over several seeds on one config, at one budget."""

from __future__ import annotations

import argparse
import functools
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from naslib.config.cli import CommandLine
from naslib.config.config import Config
from naslib.config.executor_options import RUN_EXECUTORS, add_executor_options, check_executor
from naslib.config.parser import CommandParser
from naslib.config.reference_point import HELP, check_reference, parse_reference
from naslib.config.seeds import parse_seeds
from naslib.config.trials import evaluates_trials
from naslib.errors import ConfigError, RunFolderError, SearchInterrupted
from naslib.registry.catalogue import OPTIMIZERS
from naslib.utils.bar import Progress, Said
from naslib.utils.files import atomic_write_text
from naslib.utils.lock import RunLock

from .door import read_config, schema_extensions
from .quiet_run import QuietRun, do_quietly
from .ray_runs import check_not_nested, runs_on_ray
from .workers import in_processes

_EPILOG = """\
examples:
  naslib compare random_search.yaml --methods rs,re --seeds 1-5 --evaluations 50 --out compared
  naslib compare random_search.yaml --methods rs,re --seeds 1-20 --budget 12000 data=DIR dataset=cifar10
  naslib compare random_search.yaml --methods rs,re --with re search.population_size=20 --with re search.sample_size=5

Every method has the same data, space, evaluation and budget; it has its own settings. Runs that are there are not
repeated: the same command goes on where one was stopped. What is left in the folder: table.md, runs.csv, curves.csv,
curves.png and .svg, ranks.png and .svg, of several objectives fronts.csv, .png and .svg with hypervolumes in table.md,
and runs/, the folders of all runs.
"""
_ABOUT = "comparison.json"
# More trials than any budget pays for
_ENDLESS = 1_000_000
_BUDGET = ("search.epochs", "search.budget", "search.budget_unit")
_COMMON = ("dataset", "dataset_args", "search_space", "search_space_args", "task", "evaluation")


class Job(NamedTuple):
    """One run of a comparison."""

    method: str
    seed: int
    command: CommandLine
    folder: Path


def main(words: Sequence[str]) -> int:
    """Run a comparison and print its table.

    Returns:
        0, or 2 if a run has failed.

    Raises:
        ConfigError: For anything wrong with the command line or one of its configs.
        RunFolderError: If the folder holds another comparison.
    """
    asked = _parser().parse_intermixed_args(list(words))
    args = check_executor(asked.executor, asked.executor_args, RUN_EXECUTORS)
    seeds, methods = parse_seeds(asked.seeds), _methods(asked.methods)
    out = Path(asked.out or Path("compare") / Path(asked.config).stem)
    jobs = [job for method in methods for job in _jobs(asked, method, seeds, out)]
    configs = {job.method: read_config(job.command) for job in jobs if job.seed == seeds[0]}
    reference = parse_reference(asked.reference)
    for config in configs.values():
        check_reference(reference, config)
        check_not_nested(asked.executor, config)
    about = _protocol(configs, asked)
    with RunLock(out):
        _claim(out / _ABOUT, about)
        failures = _run_all(jobs, asked.jobs or 1, asked.executor, args)
        by = "seconds" if asked.budget else "evaluations"
        sys.stdout.write(_report(jobs, failures, configs, out, by, reference))
    return 2 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="naslib compare", description="Compare methods over seeds, at one budget.", epilog=_EPILOG
    )
    add = parser.add_argument
    add("config", metavar="CONFIG", help="what all runs have in common")
    add("--methods", required=True, metavar="A,B", help="optimizers by name")
    add("--seeds", default="1-5", metavar="1-5", help="seeds: numbers and stretches (default 1-5)")
    add("--budget", type=float, metavar="S", help="seconds of evaluation that each search has, simulated in a table")
    add("--evaluations", type=int, metavar="N", help="evaluations that each search has instead")
    add("--with", nargs=2, action="append", default=[], dest="settings", metavar=("METHOD", "KEY=VALUE"),
        help="a key of the config for one method alone; may be repeated")  # fmt: skip
    add("--jobs", type=int, metavar="N", help="runs at a time, each in a process of its own (default 1)")
    add_executor_options(parser, "process or ray", "process")
    add("--reference", metavar="85,null", help=HELP)
    add("--out", metavar="FOLDER", help="where it is left (default compare/<name of the config>)")
    add("overrides", nargs="*", metavar="key=value", help="overrides of config keys, for all methods")
    return parser


def _methods(text: str) -> list[str]:
    """Return the methods, all known.

    Raises:
        ConfigError: If there are none, or one is twice.
        UnknownNameError: For a name that is no optimizer.
    """
    methods = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not methods or len({OPTIMIZERS.place(name) for name in methods}) < len(methods):
        raise ConfigError(f"--methods names each method once, such as rs,re; not {text!r}")
    return methods


def _jobs(asked: Any, method: str, seeds: Sequence[int], out: Path) -> Iterator[Job]:
    """Yield the runs of a method.

    Raises:
        ConfigError: For a budget that is none.
    """
    if asked.budget is not None and asked.evaluations is not None:
        raise ConfigError("give --budget (seconds) or --evaluations, not both")
    for name, value in (("--budget", asked.budget), ("--evaluations", asked.evaluations), ("--jobs", asked.jobs)):
        if value is not None and not value > 0:
            raise ConfigError(f"{name} must be above 0, not {value:g}")
    _check_keys(asked)
    words = [*asked.overrides, f"optimizer={method}", f"out_dir={out / 'runs'}"]
    if asked.budget is not None:
        words += [f"search.budget={asked.budget!r}", "search.budget_unit=seconds", f"search.epochs={_ENDLESS}"]
    if asked.evaluations is not None:
        words += [f"search.epochs={asked.evaluations}", "search.budget=null", "search.budget_unit=seconds"]
    words += [setting for name, setting in asked.settings if name.lower() == method]
    for seed in seeds:
        command = CommandLine(config_file=asked.config, seed=seed, overrides=tuple(words), dry_run=True)
        folder = Path(read_config(command).save)
        yield Job(method, seed, command, folder)


def _check_keys(asked: Any) -> None:
    """Raise for a key that an option of this command says, and for one of a method alone that all have in common.

    Raises:
        ConfigError: Naming the key.
    """
    said = {"optimizer": "--methods", "seed": "--seeds", "out_dir": "--out"}
    budget = "--budget" if asked.budget is not None else "--evaluations"
    if asked.budget is not None or asked.evaluations is not None:
        said |= dict.fromkeys(_BUDGET, budget)
    for word in asked.overrides:
        key = word.partition("=")[0].strip()
        if key in said:
            raise ConfigError(f"{key} is what {said[key]} says: leave it out")
    keywords = schema_extensions().optimizers
    for name, setting in asked.settings:
        method, key = name.lower(), setting.partition("=")[0].strip()
        if method not in _methods(asked.methods):
            raise ConfigError(f"--with {name}: no such method in --methods {asked.methods}")
        # epochs are trials, or else those of a supernet, which are a setting like any other
        is_common = not key.startswith("search.") or (
            key in _BUDGET and isinstance(keywords, Mapping) and evaluates_trials(keywords[method])
        )
        if is_common:
            raise ConfigError(f"--with {name} {setting}: all methods have the same {key}; --with is for keys of search")


def _protocol(configs: Mapping[str, Config], asked: Any) -> dict[str, Any]:
    """Return what must be the same for runs to be of one comparison."""
    first = next(iter(configs.values())).to_dict()
    about: dict[str, Any] = {key: first[key] for key in _COMMON if key in first}
    about["search"] = {name: config.to_dict()["search"] for name, config in configs.items()}
    about |= {"budget": asked.budget, "evaluations": asked.evaluations}
    about |= {"with": [list(pair) for pair in asked.settings], "overrides": asked.overrides}
    plain: dict[str, Any] = json.loads(json.dumps(about, default=str))
    return plain


def _claim(path: Path, about: Mapping[str, Any]) -> None:
    """Write what a comparison is about, or hold it against what is there.

    Methods and seeds may be added; what all runs have in common may not change.

    Raises:
        RunFolderError: If the folder holds another comparison.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(path, json.dumps(about, indent=2) + "\n")
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    pairs = {key: (before.get(key), about[key]) for key in about if key != "search"}
    for method, now in about["search"].items():
        then = before["search"].get(method, now)
        pairs |= {f"search.{key} of {method}": (then.get(key), now.get(key)) for key in {**then, **now}}
    different = [f"{name}: {then!r} there, {now!r} now" for name, (then, now) in pairs.items() if then != now]
    if different:
        said = "; ".join(different[:3])
        raise RunFolderError(f"{path.parent} holds a comparison of something else ({said}): choose another --out")
    merged = {**before, "search": {**before["search"], **about["search"]}}
    atomic_write_text(path, json.dumps(merged, indent=2) + "\n")


def _run_all(
    jobs: Sequence[Job], workers: int, executor: str | None = None, args: Mapping[str, Any] | None = None
) -> dict[tuple[str, int], str]:
    """Do the runs that are not there yet, and return what went wrong with which."""
    from naslib.comparison.runs import is_finished

    open_jobs = [job for job in jobs if not is_finished(job.folder)]
    failures: dict[tuple[str, int], str] = {}
    works = [QuietRun(job.command, job.folder) for job in open_jobs]
    running = runs_on_ray(works, workers, args) if executor == "ray" else in_processes(do_quietly, works, workers)
    with (
        closing(running) as events,
        Progress("compare", len(jobs), len(jobs) - len(open_jobs), unit="run", say=_say) as progress,
    ):
        try:
            for kind, place, trouble in events:
                if kind in ("begun", "waiting"):
                    continue
                job = open_jobs[place]
                if trouble:
                    failures[job.method, job.seed] = trouble
                progress.done += 1
                progress.show(functools.partial(_last, job, trouble, progress.done, len(jobs), len(failures)))
        except KeyboardInterrupt as error:
            kept = "what is done is kept; the same command goes on with the rest"
            stopped = SearchInterrupted(f"{str(error) or 'stopped'}; {kept}")
            stopped.__dict__["signum"] = getattr(error, "signum", signal.SIGINT)
            raise stopped from None
    return failures


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _last(job: Job, trouble: str, done: int, total: int, failed: int) -> Said:
    """Return what is said once a run is over: which, and its score."""
    score = "failed" if trouble else _score_in_words(job.folder)
    losses = f", {failed} failed" if failed else ""
    name = f"{job.method} {job.seed}"
    return Said(
        log=f"{name}: {score}{losses}",
        terminal=(
            f"run {done}/{total}, last {name}: {score}{losses}",
            f"{done}/{total} {name}: {score}{losses}",
            f"{done}/{total} {score}",
        ),
    )


def _score_in_words(folder: Path) -> str:
    """Return the score of a run that is over, `test_accuracy 94.37 %`."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    value = summary.get("score")
    number = "-" if value is None else f"{value:.4g}"
    return f"{summary.get('score_name')} {number} {summary.get('score_unit') or ''}".rstrip()


def _report(
    jobs: Sequence[Job],
    failures: Mapping[tuple[str, int], str],
    configs: Mapping[str, Config],
    out: Path,
    by: str,
    reference: Sequence[float | None] | None = None,
) -> str:
    """Write tables and pictures of all runs that have ended, and return what to print."""
    from naslib.comparison import Comparison, read_run
    from naslib.comparison.front_pictures import draw_fronts
    from naslib.comparison.fronts import volume_table, write_fronts
    from naslib.comparison.report import draw, draw_rank_diagram, markdown_table, write_curves, write_runs

    results = [read_run(job.folder, job.method) for job in jobs if (job.method, job.seed) not in failures]
    lines = [f"failed: {method}, seed {seed}: {text}" for (method, seed), text in failures.items()]
    seeds = [{run.seed for run in results if run.method == method} for method in configs]
    common = sorted(set.intersection(*seeds)) if seeds else []
    if not common:
        return "\n".join([*lines, f"no seed has a result of every method; the runs are in {out / 'runs'}"]) + "\n"
    chosen = [run for run in results if run.seed in common]
    scores = {name: [run.score for run in chosen if run.method == name] for name in configs}
    score, maximize = _score_of(chosen[0].folder)
    comparison = Comparison(scores, maximize)
    fronts = _fronts(chosen, reference)
    table = markdown_table(comparison, chosen, score)
    if fronts is not None:
        table = f"{table}\n{volume_table(fronts)}"
    atomic_write_text(out / "table.md", table)
    write_runs(results, out / "runs.csv", fronts)
    found = _curves(chosen, by)
    spent = {"seconds": "seconds of evaluation", "evaluations": "evaluations"}[by]
    write_curves(found, out / "curves.csv")
    objective = next((run.objective for run in chosen if run.objective), None)
    value = f"{objective.name} {f'({objective.unit})' if objective.unit else ''}".strip() if objective else ""
    pictures = draw(comparison, found, value, spent, out, "curves") + draw_rank_diagram(comparison, out)
    tested = _tested(found, configs) if all(run.is_queried for run in chosen) else {}
    if fronts is not None:
        pictures += draw_fronts(fronts, write_fronts(fronts, out / "fronts.csv").with_suffix(""))
    if tested:
        write_curves(tested, out / "curves_test.csv")
        pictures += draw(comparison, tested, "TEST_ACCURACY (%)", spent, out, "curves_test")
    drawn = ", ".join(path.name for path in pictures if path.suffix == ".png") or "no curves"
    return "\n".join([*lines, table, f"{out}: table.md, runs.csv, curves.csv, {drawn}"]) + "\n"


def _fronts(results: Sequence[Any], reference: Sequence[float | None] | None) -> Any:
    """Return the fronts of runs that searched for the same several objectives; None of others."""
    from naslib.comparison.fronts import fronts_of

    trials: dict[str, dict[int, Any]] = {}
    for run in results:
        if run.objective is not None:
            trials.setdefault(run.method, {})[run.seed] = run.trials
    return fronts_of(trials, reference)


def _score_of(folder: Path) -> tuple[str, bool]:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    unit = summary.get("score_unit") or ""
    return f"{summary['score_name']}{f' ({unit})' if unit else ''}", bool(summary["maximize"])


def _curves(results: Sequence[Any], by: str) -> dict[str, dict[int, Any]]:
    """Return the curve of each run that has trials, by method and seed."""
    from naslib.comparison import anytime

    found: dict[str, dict[int, Any]] = {}
    for run in results:
        if run.objective is not None:
            found.setdefault(run.method, {})[run.seed] = anytime(run.trials, run.objective, by)
    return found


def _tested(curves: Mapping[str, Mapping[int, Any]], configs: Mapping[str, Config]) -> dict[str, dict[int, Any]]:
    """Return the test accuracies of the best architectures so far, of the methods that a table has told the values."""
    found = {}
    for method, by_seed in curves.items():
        test = _test_of(configs[method])
        if test is not None:
            found[method] = {seed: test(curve) for seed, curve in by_seed.items()}
    return found


def _test_of(config: Config) -> Callable[[Any], Any] | None:
    """Return what gives a curve the test accuracies; None where no table answers, or it has none."""
    import numpy as np

    from naslib.benchmarks.lookup import get_dataset_api
    from naslib.search_spaces.core.query_metrics import Metric

    from .builders import build_space, usual_evaluator

    if (config.search.get("evaluator") or usual_evaluator(config)) != "table":
        return None
    table = get_dataset_api(build_space(config).get_type(), config.dataset, config.get("data"))
    if not table.has(Metric.TEST_ACCURACY, config.dataset):
        return None

    def of(curve: Any) -> Any:
        values = [table.query(code, Metric.TEST_ACCURACY, config.dataset) for code in curve.codes]
        return curve._replace(best=np.array(values, dtype=np.float64))

    return of
