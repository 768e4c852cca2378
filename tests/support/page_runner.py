"""Pages of the docs run as programs, each in a process of its own, without loading torch anew for every one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import sys
import traceback
import warnings
from pathlib import Path

# What a page imports is still its own affair: these only make that quick, and nothing of naslib is among them
_LOADED_BEFORE = ["torch", "torchvision", "numpy", "scipy.stats", "networkx", "matplotlib.pyplot"]
_SECONDS = 300


def run_page(folder: Path, arguments: list[str]) -> tuple[int, str]:
    """Run `page.py` of a folder there, with the words of a command line; return its exit status and what it printed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED_BEFORE)
    process = context.Process(target=_run, args=(str(folder), arguments))
    process.start()
    process.join(_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    status = -9 if process.exitcode is None else process.exitcode
    return status, (folder / "printed.txt").read_text(encoding="utf-8")


def _run(folder: str, arguments: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.environ["OMP_NUM_THREADS"] = "1"
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = ["page.py", *arguments]
    with Path("printed.txt").open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)  # processes that the page starts print there, too
        os.dup2(file.fileno(), 2)
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            try:
                runpy.run_path("page.py", run_name="__main__")
            except SystemExit as end:
                file.flush()
                os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
            except BaseException:
                traceback.print_exc()
                file.flush()
                os._exit(1)
