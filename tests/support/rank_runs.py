"""Runs on several ranks: commands in processes of their own, with the environment that torchrun gives them."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
_OF_TORCH = re.compile(r"\[W\d|\[rank\d+\]:\[W|Exception raised from|frame #|<omitting|$")
# What a process that runs are forked from has imported: all that takes time
PRELOADED = [
    *("naslib.cli.pipeline", "sklearn.datasets", "torch.utils.tensorboard", "torch._dynamo"),
    *("matplotlib.backends.backend_agg", "matplotlib.figure"),
]
# Seconds after which a test gives up
PATIENCE = 300


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(rank: int, world: int, port: int, timeout: float = 60) -> dict[str, str]:
    """Return what torchrun would tell a rank."""
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "MASTER_PORT": port}
    told = {name: str(number) for name, number in numbers.items()}
    return {**told, "MASTER_ADDR": "127.0.0.1", "NASLIB_DIST_TIMEOUT": str(timeout)}


def command(words: Sequence[str], told: dict[str, str], output: str, double: bool) -> None:
    """Be a process of the command; what it prints goes to a file."""
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.environ.update(told)
    torch.set_num_threads(1)
    if double:
        torch.set_default_dtype(torch.float64)
    from naslib.cli import main
    from naslib.tasks import Task

    Task.dtype = torch.get_default_dtype()
    sys.exit(main(list(words)))


class Ranks:
    """Start commands on several ranks, in processes forked from one that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)
        self.folder = folder

    def start(
        self,
        words: Sequence[str],
        world: int,
        double: bool = False,
        port: int = 0,
        timeout: float = 60,
        present: Sequence[int] = (),
        act: Callable[..., None] = command,
    ) -> list[BaseProcess]:
        """Start a command on all ranks, or on those that are present; alone without what torchrun tells."""
        found = []
        port = port or free_port()
        for rank in present or range(world):
            told = environment(rank, world, port, timeout) if world > 1 else {}
            output = str(self.folder / f"rank{rank}.txt")
            process = self.context.Process(target=act, args=(list(words), told, output, double))
            process.start()
            found.append(process)
        return found

    def run(self, words: Sequence[str], world: int, double: bool = False) -> list[int | None]:
        """Run a command to its end and return the exit statuses."""
        return end(self.start(words, world, double))

    def printed(self, rank: int) -> str:
        """Return what a rank printed in the last run, without what torch says in C++ of connections that end."""
        text = (self.folder / f"rank{rank}.txt").read_text(encoding="utf-8")
        return "".join(line for line in text.splitlines(keepends=True) if not _OF_TORCH.match(line))


def end(processes: Sequence[BaseProcess]) -> list[int | None]:
    """Wait for processes and return their exit statuses; one that does not end is killed."""
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


def torchrun(words: Sequence[str], *options: str, timeout: float = 60) -> subprocess.Popen[str]:
    """Start runner.py by torchrun."""
    launcher = [sys.executable, "-m", "torch.distributed.run", *options, str(ROOT / "runner.py"), *words]
    told = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NASLIB_DIST_TIMEOUT": str(timeout)}
    return subprocess.Popen(launcher, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def find_run(out: Path) -> Path:
    """Return the only run folder below `out`."""
    (folder,) = {path.parent for path in out.rglob("config.yaml")}
    return folder


class Breaking:
    """A loader that fails at its third batch.

    Args:
        loader: Gives the first two.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return 5

    def __iter__(self) -> Iterator[Any]:
        yield from itertools.islice(self.loader, 2)
        raise OSError("the disk of this machine is gone")


def script(words: Sequence[str], told: dict[str, str], output: str, double: bool) -> None:
    """Be a person's script with loaders of its own, under torchrun: `[case, folder]`; what it prints goes to a file."""
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.environ.update(told)
    torch.set_num_threads(1)
    from torch.utils.data import DataLoader
    from torch.utils.data.distributed import DistributedSampler
    from training_runs import loaders, small_trainer, tensors

    from naslib.errors import NASLibError
    from naslib.optimizers import DARTSOptimizer

    case, folder = words
    rank = int(told.get("RANK", 0))
    own = loaders()
    if case == "shuffled apart":
        generator = torch.Generator().manual_seed(rank)
        own["train_loader"] = DataLoader(tensors(40, 0), batch_size=8, shuffle=True, generator=generator)
    elif case == "other data":
        own["train_loader"] = DataLoader(tensors(40, rank), batch_size=8)
    elif case == "breaks on rank 1" and rank == 1:
        own["train_loader"] = Breaking(own["train_loader"])
    elif case == "sampler":
        sampler: DistributedSampler[int] = DistributedSampler(tensors(40, 0), num_replicas=2, rank=rank)
        own["train_loader"] = DataLoader(tensors(40, 0), batch_size=8, sampler=sampler)
    optimizer = DARTSOptimizer(learning_rate=0.1, arch_learning_rate=0.05, sync_batch_norm=True)
    seed = rank if case == "seeded apart" else 0
    try:
        trainer = small_trainer(Path(folder), seed=seed, optimizer=optimizer, own=own)
        trainer.search()
        torch.save(
            trainer.optimizer.graph.state_dict(), Path(folder).parent / f"rank{rank}-of-{told.get('WORLD_SIZE', 1)}"
        )
        print(f"one-shot {trainer.evaluate_oneshot():.4f}")
    except NASLibError as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(2)
