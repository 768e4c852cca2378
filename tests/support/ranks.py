"""A pair of real processes that are joined by gloo, to which tests send functions."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


class Ranks:
    """Processes that run what they are sent, all of them the same, until they are closed.

    Args:
        folder: Where they meet: a folder of their own.
        world: How many there are.
    """

    def __init__(self, folder: Path, world: int = 2) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes = []
        self._processes = []
        for rank in range(world):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, rank, world, str(folder / "meeting")), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def run(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Return what a function gives on each rank; it is importable, and so is what it is given.

        Raises:
            AssertionError: With the traceback of a rank where it raised.
        """
        for pipe in self._pipes:
            pipe.send((function, args))
        answers = []
        for pipe in self._pipes:
            if not pipe.poll(120):
                self.close()
                raise AssertionError("a rank does not answer")
            answers.append(pipe.recv())
        for number, (is_right, answer) in enumerate(answers):
            assert is_right, f"rank {number}: {answer}"
        return [answer for _, answer in answers]

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.join()
        for pipe in self._pipes:
            pipe.close()


def _serve(pipe: Any, rank: int, world: int, meeting: str) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(meeting, world)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timedelta(seconds=60))
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            break
        try:
            answer = (True, function(*args))
        except BaseException:
            answer = (False, traceback.format_exc())
        pipe.send(answer)
