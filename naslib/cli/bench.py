"""`naslib bench`: build a table of trainings of any space, merge parts, measure latencies, say what is in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from naslib.config.executor_options import add_executor_options, check_executor
from naslib.config.parser import CommandParser
from naslib.config.run_folder import check_makeable
from naslib.config.seeds import parse_seeds
from naslib.errors import ConfigError, did_you_mean

_EPILOG = """\
A config is one of a search that trains: its data set, search space, search_space_args, the section `search` (batch
size, rates, train_portion ...) and search.evaluator_args (epochs) are the protocol of the table.

examples:
  naslib bench build digits_table.yaml --architectures 20 --seeds 1,2 --out mine.npz
  naslib bench build digits_table.yaml --architectures all --workers 2 --shard 1/4 --out part1.npz
  naslib bench build digits_table.yaml --executor ray --executor-args '{address: auto}' --workers 64 --out mine.npz
  naslib bench merge whole.npz part1.npz part2.npz
  naslib bench merge so_far.npz mine.build
  naslib bench latency mine.npz
  naslib bench info mine.npz
"""
# What of a config a table is made by; the rest is where and on what
_CONFIG_KEYS = ("dataset", "dataset_args", "search_space", "search_space_args", "task", "task_args", "seed")
_SEARCH_KEYS = (
    *("batch_size", "train_portion", "learning_rate", "learning_rate_min", "momentum", "nesterov", "weight_decay"),
    *("grad_clip", "scheduler", "scheduler_args", "warmup_epochs", "loss_criteria", "label_smoothing", "amp"),
    *("cutout", "cutout_length", "cutout_prob", "evaluator", "evaluator_args"),
)


def main(words: Sequence[str]) -> int:
    """Run one of the four commands.

    Raises:
        NASLibError: If it cannot; the message says what to do.
    """
    actions: dict[str, Callable[[Sequence[str]], int]] = {
        "build": _build,
        "merge": _merge,
        "latency": _latency,
        "info": _info,
    }
    if not words:
        raise ConfigError(f"naslib bench needs a command: {', '.join(actions)} (see --help)")
    if words[0].startswith("-"):
        parser = _parser("", "Make and look at benchmarks of any search space: " + ", ".join(actions))
        parser.add_argument("command", choices=tuple(actions), metavar="COMMAND", help=f"one of {', '.join(actions)}")
        parser.parse_args(list(words))
    if words[0] not in actions:
        hint = did_you_mean(words[0], actions)
        raise ConfigError(f"naslib bench has no command {words[0]!r}{hint} (it has: {', '.join(actions)})")
    return actions[words[0]](list(words[1:]))


def _parser(action: str, description: str) -> CommandParser:
    return CommandParser(prog=f"naslib bench {action}".strip(), description=description, epilog=_EPILOG)


def _build(words: Sequence[str]) -> int:
    parser = _parser("build", "Train architectures of a space and write one table of what came out.")
    add = parser.add_argument
    add("config", help="a config, as for `naslib --config`")
    add("--out", required=True, metavar="FILE.npz", help="the table; trainings are kept in FILE.build beside it")
    add("--architectures", default="all", metavar="N", help="how many, drawn at random, or all (default)")
    add("--seeds", default="1", metavar="1,2", help="each architecture is trained with each, also 1-3 (default: 1)")
    add("--order-seed", type=int, default=0, help="of the random order of architectures (default: 0)")
    add("--shard", default="1/1", metavar="I/N", help="train every N-th architecture, from the I-th (default: 1/1)")
    add("--workers", type=int, help="trainings at a time (default: search.workers of the config)")
    add("--threads", type=int, default=1, help="threads of each (default: 1)")
    add_executor_options(parser, "process, ray or serial", "search.executor of the config, else process")
    add("--retry-failed", action="store_true", help="train anew what has failed before")
    add("--write-now", action="store_true", help="train nothing: write the table of what is trained")
    add("overrides", nargs="*", metavar="key=value", help="overrides of config keys")
    given = parser.parse_intermixed_args(list(words))
    args = check_executor(given.executor, given.executor_args)
    count = _count(given.architectures)
    seeds = parse_seeds(given.seeds)
    shard = _shard(given.shard)
    check_makeable(Path(given.out).absolute().parent, "--out")
    from naslib.benchmarks.results import save_results  # torch, for a command that can begin
    from naslib.evaluators.table_builder import build_folder, build_table, collect
    from naslib.utils.log import setup_logger

    setup_logger(None)
    config = _config(given.config, given.overrides)
    where = _where(config.search, given.executor, given.workers, args)
    evaluator, protocol = _evaluator(config, given.threads)
    if given.write_now:
        results = collect(build_folder(given.out), evaluator)
        save_results(results, given.out)
    else:
        results = build_table(
            evaluator, given.out, name=evaluator.training.space.get_type(), dataset=protocol["dataset"],
            architectures=count, seeds=seeds, order_seed=given.order_seed, shard=shard,
            threads=given.threads, about={"config": protocol}, retry_failed=given.retry_failed, **where,
        )  # fmt: skip
    sys.stdout.write(f"{given.out}: {len(results.codes):,} architectures, {len(results.trained):,} of them trained\n")
    return 0


def _config(source: Any, overrides: Sequence[str]) -> Any:
    """Return the config of what is trained."""
    from naslib.config.loader import load_config

    from .door import schema_extensions

    config = load_config(source, list(overrides), extensions=schema_extensions())
    if config.search.get("evaluator") not in (None, "train"):
        raise ConfigError(f"search.evaluator is {config.search.evaluator!r}: a table is built by training (train)")
    config.search["evaluator"] = "train"
    return config


def _where(search: Any, executor: str | None, workers: int | None, args: Any) -> dict[str, Any]:
    """Return where the trainings are made: as options say, else as the section `search` does."""
    name = executor if executor is not None else search.get("executor")
    count = workers if workers is not None else int(search.get("workers", 1))
    if args is None:
        args = dict(search.get("executor_args") or {}) if executor in (None, search.get("executor")) else {}
    if name == "serial" and count > 1:
        raise ConfigError(f"--workers {count} needs --executor process; serial trains one after the other")
    return {"executor": name, "workers": count, "executor_args": args}


def _evaluator(config: Any, threads: int) -> tuple[Any, dict[str, Any]]:
    """Return what trains as a config says, and the part of the config that decides what comes out."""
    from naslib.defaults._trials import build_evaluator
    from naslib.evaluators import TrainEvaluator
    from naslib.evaluators.recorded import RecordedTraining
    from naslib.optimizers.discrete.base import DiscreteOptimizer
    from naslib.utils.seeding import set_seed

    from .builders import build_trainer

    set_seed(config.seed)
    trainer = build_trainer(config)
    optimizer = trainer.optimizer
    if not isinstance(optimizer, DiscreteOptimizer):
        raise ConfigError(f"optimizer: {config.optimizer} trains no single architectures; name random_search")
    loaders, layout = trainer._loaders(trainer.build_search_dataloaders, None), trainer._channels_last()
    training = build_evaluator(optimizer, config, lambda name: loaders, lambda: trainer.task, trainer.device, layout)
    if not isinstance(training, TrainEvaluator):
        raise ConfigError(f"a table is built by training (train), not by {type(training).__name__}")
    clock = "cpu" if threads == 1 and trainer.device.type == "cpu" else "wall"
    plain = {key: config.get(key) for key in _CONFIG_KEYS}
    plain["search"] = {key: config.search.get(key) for key in _SEARCH_KEYS}
    return RecordedTraining(training, loaders[2], clock), plain


def _merge(words: Sequence[str]) -> int:
    parser = _parser("merge", "Write one table of several parts: tables, or folders of builds that need not be over.")
    parser.add_argument("out", metavar="OUT.npz", help="the table to write")
    parser.add_argument("parts", nargs="+", metavar="PART", help="a table, or the folder FILE.build of a build")
    parser.add_argument("--data", metavar="DIR", help="where the data set of a build is, as `data` of a config")
    given = parser.parse_args(list(words))
    from naslib.benchmarks.results import load_results, merged, save_results
    from naslib.utils.log import setup_logger

    setup_logger(None)
    folders = [Path(part) for part in given.parts]
    results = merged([_folder(part, given.data) if part.is_dir() else load_results(part) for part in folders])
    save_results(results, given.out)
    sys.stdout.write(f"{given.out}: {len(results.codes):,} architectures, {len(results.trained):,} of them trained\n")
    return 0


def _folder(folder: Path, data: str | None) -> Any:
    """Return the results of the folder of a build."""
    from naslib.evaluators.table_builder import collect
    from naslib.history.load import load

    protocol = load(folder).about.get("protocol", {})
    return collect(folder, _again(protocol, str(folder), data))


def _again(protocol: dict[str, Any], what: str, data: str | None) -> Any:
    """Return what trains as the protocol of a table says."""
    config = protocol.get("config")
    if config is None:
        raise ConfigError(
            f"{what} was built by a program, not from a config: call naslib.evaluators.table_builder.collect(folder, "
            "evaluator) or naslib.evaluators.latency.measure_latencies(results, evaluator, path) there"
        )
    where = {} if data is None else {"data": data}
    full = _config({**config, **where, "optimizer": "random_search"}, [])
    evaluator, _ = _evaluator(full, int(protocol.get("threads", 1)))
    return evaluator


def _latency(words: Sequence[str]) -> int:
    parser = _parser("latency", "Measure the latency of every architecture that was trained, into the table.")
    parser.add_argument("table", metavar="FILE.npz", help="a table of `naslib bench build`")
    parser.add_argument("--repeats", type=int, default=30, help="forwards, of which the fastest counts (default: 30)")
    parser.add_argument("--anew", action="store_true", help="measure also those that have been measured")
    parser.add_argument("--data", metavar="DIR", help="where the data set is, as `data` of a config")
    given = parser.parse_args(list(words))
    from naslib.benchmarks.results import load_results
    from naslib.evaluators.latency import measure_latencies
    from naslib.utils.log import setup_logger

    setup_logger(None)
    results = load_results(given.table)
    evaluator = _again(results.about, given.table, given.data)
    measured = measure_latencies(results, evaluator, given.table, repeats=given.repeats, anew=given.anew)
    sys.stdout.write(f"{given.table}: {measured:,} latencies measured\n")
    return 0


def _info(words: Sequence[str]) -> int:
    parser = _parser("info", "Say what a table of `naslib bench build` holds.")
    parser.add_argument("table", metavar="FILE.npz", help="the table")
    given = parser.parse_args(list(words))
    from naslib.benchmarks.results import load_results
    from naslib.benchmarks.results_info import describe_results

    sys.stdout.write(describe_results(load_results(given.table)) + "\n")
    return 0


def _count(word: str) -> int | None:
    return None if word == "all" else _number(word, "--architectures", "a number or all")


def _shard(word: str) -> tuple[int, int]:
    """Return `(i, n)` with i from 0 of `I/N` with I from 1."""
    first, slash, second = word.partition("/")
    if not slash:
        raise ConfigError(f"--shard is I/N, such as 1/4, not {word!r}")
    return _number(first, "--shard", "I/N, such as 1/4") - 1, _number(second, "--shard", "I/N, such as 1/4")


def _number(word: str, option: str, expected: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise ConfigError(f"{option} is {expected}, not {word!r}") from None
