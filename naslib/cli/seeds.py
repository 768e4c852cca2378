"""`--seeds 1-5`: one config over several seeds, in processes of their own, with a table of them all."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from naslib.config.cli import CommandLine
from naslib.config.config import Config
from naslib.config.executor_options import RUN_EXECUTORS, check_executor
from naslib.config.reference_point import check_reference
from naslib.config.run_folder import describe_state, free_name, holds_run
from naslib.config.seeds import parse_seeds
from naslib.config.yaml_reader import read_yaml
from naslib.errors import ConfigError, NASLibError, RunFolderError
from naslib.utils.files import to_jsonable
from naslib.utils.lock import check_unlocked
from naslib.utils.text import differences, listed

from .door import read_config
from .quiet_run import INTERRUPTED, QuietRun, do_quietly
from .ray_runs import check_not_nested, runs_on_ray
from .seed_lines import SeedLines
from .workers import Stopped, in_processes, threads_each

# Seconds to wait for the processes of a command that was killed: they end a moment after it
_PATIENCE = 5.0
# Places of a config that a run settles by its data where nobody has given them, and their keys
_SETTLED = {f"config.{key}": key for key in ("search.cutout_length", "evaluation.cutout_length")}


class SeedPlan(NamedTuple):
    """What is to be done with one seed.

    Attributes:
        seed: The seed.
        command: Its command line.
        folder: Its run folder.
        state: What is there: `"new"`, `"unfinished"`, or `"finished"` with this very config.
    """

    seed: int
    command: CommandLine
    folder: Path
    state: str


def run_seeds(
    config: str | Path | Mapping[str, Any] | None,
    seeds: str | Sequence[int],
    *,
    overrides: Sequence[str] = (),
    jobs: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    executor: str | None = None,
    executor_args: Mapping[str, Any] | None = None,
    reference: Sequence[float | None] | None = None,
) -> Any:
    """Run one config with several seeds, each in its usual folder, and return what they came to.

    The same as `naslib --config FILE --seeds ... --jobs ...`: progress goes to stderr, `seeds.json`, `seeds.csv` and
    `seeds.md` to the folder above those of the seeds. A seed that fails is in `failed` of what is returned; the others
    go on. Runs have processes of their own, so a script calls this below `if __name__ == "__main__":`.

    Args:
        config: A YAML file, or the name of a shipped one; a config, or a mapping of its keys. Its own seed is not used.
        seeds: Such as `"1-5"` or `[1, 2, 3]`.
        overrides: `key=value` words.
        jobs: Runs at a time; each has its share of the cores.
        resume: Keep the seeds that are finished, go on with those that are not, begin those that have not begun.
        overwrite: Move what is there to `<seed>.1` and begin anew.
        executor: `"process"`, which is the default, or `"ray"`.
        executor_args: What else Ray is told; see `naslib.utils.ray_options.RayOptions`.
        reference: Of a search for several objectives: what hypervolumes are above, a value per objective in its unit,
            None for the worst of all fronts with 5 % slack.

    Returns:
        A `naslib.comparison.seeds.SeedsResult`: `mean`, `std`, `scores`, `failed`, `runs`, `table()`.

    Raises:
        ConfigError: If anything is wrong with config, seeds or jobs.
        RunFolderError: If a seed's folder holds a run and neither `resume` nor `overwrite` was asked for.
        KeyboardInterrupt: After Ctrl-C; what was being done is saved.
    """
    chosen = parse_seeds(seeds if isinstance(seeds, str) else ",".join(map(str, seeds)))
    if isinstance(config, Config) and vars(config).get("_save") is not None:
        raise ConfigError("config.save names one folder, and every seed has its own: set config.out_dir instead")
    command = CommandLine(
        config_file=config if config is None or isinstance(config, Mapping) else str(config),  # type: ignore[arg-type]
        resume=resume, overwrite=overwrite, overrides=tuple(overrides), seeds=tuple(chosen), jobs=jobs,
        executor=executor, executor_args=executor_args,
        reference=None if reference is None else tuple(reference),
    )  # fmt: skip
    command.check()
    check_executor(executor, executor_args, RUN_EXECUTORS)
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # a process that is just being started
        raise ConfigError(
            'run_seeds starts processes, which import the script: call it below if __name__ == "__main__"'
        )
    return _carry_out(command, plan_seeds(command))


def main_seeds(command: CommandLine) -> int:
    """Do what a command line with `--seeds` says, and print the table.

    Returns:
        0; 1 if a seed failed.

    Raises:
        NASLibError: If nothing could begin; the message says why.
        Stopped: After a signal; what was being done is saved.
    """
    plans = plan_seeds(command)
    if command.dry_run:
        sys.stdout.write(_dry_run(command, plans))
        return 0
    result = _carry_out(command, plans)
    sys.stdout.write(f"\n{result.table()}\n{result.folder}: {', '.join(path.name for path in result.files())}\n")
    return 1 if result.failed else 0


def plan_seeds(command: CommandLine) -> list[SeedPlan]:
    """Return what is to be done with each seed, once it is clear that all can begin; nothing is written.

    Raises:
        ConfigError: If the config cannot be used; lists all problems.
        RunFolderError: If folders hold runs, and it was not said what is to become of them, or are at work.
        CheckpointError: If `--eval-only` finds a seed that was not searched.
    """
    plans: list[SeedPlan] = []
    for seed in command.seeds or ():
        with _without_warnings() if plans else nullcontext():  # what there is to say of the config is said once
            plans.append(_plan(command, seed))
    taken = [plan for plan in plans if plan.state != "new"]
    if command.dry_run:
        return plans
    for plan in plans:
        _wait_unlocked(plan.folder)
    if taken and not (command.resume or command.eval_only or command.overwrite):
        raise RunFolderError(_refusal(taken))
    return plans


@contextmanager
def _without_warnings() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _plan(command: CommandLine, seed: int) -> SeedPlan:
    one = dataclasses.replace(command, seeds=None, jobs=None, seed=seed, resume=False, reference=None)
    one = dataclasses.replace(one, executor=None, executor_args=None)
    config = read_config(dataclasses.replace(one, dry_run=True))  # it looks at no folder, but for --eval-only
    check_not_nested(command.executor, config)
    check_reference(command.reference, config)
    folder = Path(config.save)
    state = "new"
    if holds_run(folder):
        state = "finished" if is_done(config) else "unfinished"
    return SeedPlan(seed, dataclasses.replace(one, dry_run=False, overwrite=command.overwrite), folder, state)


def is_done(config: Config) -> bool:
    """Say whether a run folder holds the end of a run of this very config.

    A config that asks for something else (a longer search, say) than the one that is written there is to be run:
    whether that can be is found out by the run.

    Args:
        config: The config; its `save` is the folder.
    """
    folder = Path(config.save)
    if describe_state(folder) != "finished":
        return False
    try:
        echoed, _ = read_yaml(folder / "config.yaml")
    except ConfigError:
        return False
    others = differences(to_jsonable(echoed), to_jsonable(config), "config")
    return all(place in _SETTLED and _SETTLED[place] not in config.given for place, *_ in others)


def _wait_unlocked(folder: Path) -> None:
    """Wait a moment for a process that ends because the command that had started it was killed.

    Raises:
        RunFolderError: If another process works there all the same.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return check_unlocked(folder)
        except RunFolderError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.1)


def _refusal(taken: Sequence[SeedPlan]) -> str:
    there = listed([f"{plan.folder} ({describe_state(plan.folder)})" for plan in taken])
    return (
        f"{'these folders hold runs' if len(taken) > 1 else 'this folder holds a run'} already: {there}. --resume "
        "keeps the seeds that are finished, goes on with those that are not and begins the others; --overwrite starts "
        f"all anew (moves them to {free_name(taken[0].folder)} ...); other --seeds or out_dir=PATH run elsewhere"
    )


def _carry_out(command: CommandLine, plans: Sequence[SeedPlan]) -> Any:
    """Do the runs that are to be done; write and return what all came to.

    Raises:
        NASLibError: If all refuse to begin for the same reason.
        Stopped: After a signal, when what was being done is saved.
    """
    from naslib.comparison.seeds import read_seeds

    to_do = [plan for plan in plans if command.eval_only or command.overwrite or plan.state != "finished"]
    works = [QuietRun(plan.command, plan.folder, not command.overwrite) for plan in to_do]
    lines = SeedLines([plan.seed for plan in to_do], len(plans), [plan.folder / "log.log" for plan in to_do])
    troubles: dict[int, str] = {}
    open_seeds = {plan.seed for plan in to_do}
    lines.say_kept([plan.seed for plan in plans if plan not in to_do])
    jobs, args = command.jobs or 1, command.executor_args
    running = runs_on_ray(works, jobs, args) if command.executor == "ray" else in_processes(do_quietly, works, jobs)
    try:
        with closing(running) as events, lines:
            for kind, place, result in events:
                if kind == "begun":
                    lines.begin(place)
                elif kind == "waiting":
                    lines.refresh()
                else:
                    seed = to_do[place].seed
                    if result != INTERRUPTED:
                        open_seeds.discard(seed)
                        if result:
                            troubles[seed] = _explained(kind, result, to_do[place].folder)
                    lines.end(place, result if result == INTERRUPTED else troubles.get(seed, ""))
    except Stopped as error:
        error.args = (f"{error}; {_left(open_seeds)}",)
        raise
    _raise_refusal(plans, to_do, troubles)
    folders = {plan.seed: plan.folder for plan in plans}
    result = read_seeds(folders, troubles, plans[0].folder.parent, command.reference)
    result.write()
    return result


def _left(seeds: set[int]) -> str:
    return f"seeds not finished: {listed(map(str, sorted(seeds)))}; go on with --resume" if seeds else "all had ended"


def _explained(kind: str, message: str, folder: Path) -> str:
    """Return what went wrong; of an error that naslib does not know, where the rest of it is."""
    return f"{message} (see {folder / 'log.log'})" if kind == "crashed" else message


def _raise_refusal(plans: Sequence[SeedPlan], to_do: Sequence[SeedPlan], troubles: Mapping[int, str]) -> None:
    """Raise where no seed could begin, all for one reason: that is bad input, and not a table of failures.

    Raises:
        NASLibError: With the reason.
    """
    same = len(troubles) == len(plans) and len(set(troubles.values())) == 1
    if same and all(plan.state == "new" and not holds_run(plan.folder) for plan in to_do):
        raise NASLibError(next(iter(troubles.values())))


def _dry_run(command: CommandLine, plans: Sequence[SeedPlan]) -> str:
    """Check what can be checked with the first seed, and return what would be done with each."""
    from .pipeline import run

    run(dataclasses.replace(plans[0].command, dry_run=True))
    jobs = min(command.jobs or 1, len(plans))
    where = "on Ray" if command.executor == "ray" else f"{threads_each(jobs)} threads at most for each"
    lines = [f"seeds          {len(plans)}, {jobs} at a time, {where}"]
    lines += [f"  seed {plan.seed:<8} {plan.folder}: {_would(command)(plan.state)}" for plan in plans]
    return "\n".join(lines) + "\n"


def _would(command: CommandLine) -> Callable[[str], str]:
    def words(state: str) -> str:
        if state == "new":
            return "begins"
        if command.overwrite:
            return f"{state}; is moved away and begins anew"
        if command.eval_only:
            return "is evaluated"
        kept = "finished; is kept" if state == "finished" else "unfinished; goes on"
        return kept if command.resume else f"{state}; a run needs --resume or --overwrite"

    return words
