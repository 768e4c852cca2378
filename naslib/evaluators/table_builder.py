"""build_table: train architectures of a space and write a table of what came out; stopped at any moment, it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from naslib.benchmarks.results import Results, save_results
from naslib.errors import ConfigError, HistoryError, SearchInterrupted, TrialStopped
from naslib.history import FILE_NAME, State, Trial
from naslib.history.load import load
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.training.decisions_record import describe_decisions
from naslib.training.environment import describe_environment
from naslib.training.signals import InterruptGuard
from naslib.utils.bar import Progress, Said
from naslib.utils.files import to_jsonable
from naslib.utils.lock import RunLock
from naslib.utils.log import get_logger
from naslib.utils.text import differences, listed, show

from .building import BuildPlan, functions_of, open_build, plan_build, results_of, run_build
from .executors import Executor
from .named_executors import make_executor
from .recorded import RecordedTraining

logger = get_logger(__name__)

# Of the folder in which a build keeps its trainings, beside the table
SUFFIX = ".build"


def build_folder(out: str | Path) -> Path:
    """Return the folder in which the build of a table keeps its trainings: `mine.build` beside `mine.npz`."""
    return Path(out).with_suffix(SUFFIX)


def build_table(
    evaluator: RecordedTraining,
    out: str | Path,
    *,
    name: str,
    dataset: str,
    architectures: int | None = None,
    seeds: Sequence[int] = (0,),
    order_seed: int = 0,
    shard: tuple[int, int] = (0, 1),
    workers: int = 1,
    threads: int = 1,
    about: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    executor: str | None = None,
    executor_args: Mapping[str, Any] | None = None,
) -> Results:
    """Train architectures of the evaluator's space, write the table, and return it.

    Trainings are kept one by one in `<out without .npz>.build/history.sqlite`. Called again with the same arguments, it
    trains what is not there yet; with more architectures, those.

    Args:
        evaluator: What trains; its `training.space` is the space, its fidelity the epochs.
        out: The table, a `.npz`.
        name: What the space is called when the table is looked for.
        dataset: What the data set is called then.
        architectures: How many; None for all.
        seeds: Each architecture is trained with each of them.
        order_seed: Of the order, in which every beginning is a uniform sample.
        shard: `(i, n)`, i from 0: every n-th architecture, for n builds with tables of their own that are then merged.
        workers: Trainings at a time.
        threads: Of torch in each of these.
        about: What else the protocol says, as plain values.
        retry_failed: Whether trainings that have failed before are tried again.
        executor: `"serial"`, `"process"` or `"ray"`; None for processes where there are several workers. What is
            trained does not depend on it.
        executor_args: What else it is told; see `naslib.utils.ray_options.RayOptions`.

    Raises:
        ConfigError: For arguments that do not fit.
        RunFolderError: If another process builds this table.
        HistoryError: If the trainings there are of another table, or none is complete in the end.
        SearchInterrupted: After Ctrl-C or SIGTERM; what is over is kept, and the table was written with it.
    """
    space, path = evaluator.training.space, Path(out)
    if path.suffix != ".npz":
        raise ConfigError(f"a table is a .npz file, not {path.name!r}")
    if workers < 1 or threads < 1:
        raise ConfigError(f"workers and threads are at least 1, not {workers} and {threads}")
    plan = plan_build(space._codec(), architectures, seeds, evaluator.fidelity, order_seed, shard)
    evaluator.check(plan.codes[0])
    protocol = {**protocol_of(evaluator, plan, name, dataset, order_seed), **(about or {}), "threads": threads}
    with ExitStack() as stack:
        stack.enter_context(RunLock(build_folder(path)))
        environment = describe_environment(torch.device(evaluator.training.how.device), order_seed)
        environment = {key: environment[key] for key in ("naslib", "python", "torch", "device", "cpu", "cpu_kernels")}
        history = open_build(build_folder(path), protocol, environment, evaluator.objectives)
        stack.callback(history.close)
        running = stack.enter_context(_executor(evaluator, executor, workers, threads, executor_args))
        guard = stack.enter_context(InterruptGuard())
        try:
            report = _Report(evaluator, stack.enter_context(Progress("build", None, unit="training")))
            run_build(plan, running, history, lambda: guard.requested, report, retry_failed)
        except TrialStopped:
            if history.count(State.COMPLETE):
                save_results(_collected(build_folder(path), plan.members, evaluator), path)
            error = SearchInterrupted(
                f"stopped; {build_folder(path)} keeps what is trained. The same command goes on with the rest"
            )
            error.__dict__["signum"] = guard.signum
            raise error from None
        results = _collected(build_folder(path), plan.members, evaluator)
    save_results(results, path)
    return results


def collect(folder: str | Path, evaluator: RecordedTraining) -> Results:
    """Return the table of what a build has trained so far, also while it goes on.

    Args:
        folder: Of the build.
        evaluator: As it was built with.

    Raises:
        HistoryError: If there is no complete training, or the evaluator trains something else.
    """
    before = load(Path(folder) / FILE_NAME).about.get("protocol", {})
    now = _networks_of(evaluator)
    found = differences({key: before.get(key) for key in now}, now, "protocol")
    if found:
        phrases = [f"{place} was {show(then)} and is {show(here)} now" for place, then, here in found]
        raise HistoryError(f"{folder} has the trainings of other networks: {listed(phrases, 4)}")
    return _collected(Path(folder), functions_of(evaluator.training.space._codec()), evaluator)


def _collected(
    folder: Path, members: Mapping[tuple[int, ...], tuple[tuple[int, ...], ...]], evaluator: RecordedTraining
) -> Results:
    trials = load(folder / FILE_NAME)
    return results_of(trials, trials.about, members, evaluator.sizes)


def _networks_of(evaluator: RecordedTraining) -> dict[str, Any]:
    """Return what must be the same for networks, and how they are trained, to be those of a table."""
    described = evaluator.describe()
    plain: dict[str, Any] = to_jsonable(
        {
            "space_args": constructor_arguments(evaluator.training.space),
            "decisions": describe_decisions(evaluator.training.space),
            "training": {key: value for key, value in described.items() if key not in ("objectives", "epochs")},
        }
    )
    return plain


def protocol_of(
    evaluator: RecordedTraining, plan: BuildPlan, name: str, dataset: str, order_seed: int
) -> dict[str, Any]:
    """Return what must be the same for trainings to be of one table."""
    training = evaluator.training
    score = training.task.scores[0]
    sizes = {part: _images(batches) for part, batches in (("train", training.train), ("valid", training.valid))}
    protocol = {
        "space": name,
        **_networks_of(evaluator),
        "dataset": dataset,
        "images": {**sizes, "test": _images(evaluator.tests)},
        "score": {"name": score.name, "maximize": score.maximize, "unit": score.unit},
        "epochs": plan.epochs,
        "seeds": list(plan.seeds),
        "order_seed": order_seed,
        "functions": plan.functions,
    }
    plain: dict[str, Any] = to_jsonable(protocol)
    return plain


def _images(batches: Any) -> int | None:
    """Return how many examples a loader has, None where it does not say."""
    for entry in (getattr(batches, "indices", None), getattr(batches, "dataset", None)):
        if isinstance(entry, Sized):
            return len(entry)
    return None


@contextmanager
def _executor(
    evaluator: RecordedTraining, name: str | None, workers: int, threads: int, args: Mapping[str, Any] | None
) -> Iterator[Executor]:
    """Yield what runs the trainings; this process, where it is that, is on so many threads meanwhile."""
    with make_executor(evaluator, name, workers, threads, args) as executor:
        if name in ("process", "ray") or workers > 1:
            yield executor
            return
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield executor
        finally:
            torch.set_num_threads(before)


class _Report:
    """Say how far a build is: on a terminal as it goes on, elsewhere now and then and at the end."""

    def __init__(self, evaluator: RecordedTraining, progress: Progress) -> None:
        self._progress, self._score = progress, evaluator.training.task.scores[0]
        self._last: float | None = None
        self._failed = 0

    def __call__(self, trial: Trial, left: int) -> None:
        if trial.state is State.FAILED:
            self._failed += 1
            logger.warning("%s, seed %s, has failed: %s", list(trial.code), trial.seed, trial.user.get("error"))
        elif trial.values:
            self._last = trial.values[0]
        progress = self._progress
        progress.done += 1
        progress.total = progress.done + left
        if progress.due() or not left:
            progress.show(self._describe)

    def _describe(self) -> Said:
        done, total = self._progress.done, self._progress.total
        value = "-" if self._last is None else f"{self._last:.4g}"
        shown = f"{value} {self._score.unit or ''}".rstrip()
        losses = f", {self._failed} failed" if self._failed else ""
        return Said(
            log=f"last {self._score.name} {shown}{losses}",
            terminal=(
                f"training {done}/{total}, last {self._score.name} {shown}{losses}",
                f"training {done}/{total} {value}{losses}",
                f"{done}/{total} {value}",
            ),
        )
