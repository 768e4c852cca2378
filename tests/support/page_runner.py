"""Pages of the docs run as programs, each in a process of its own, without loading torch anew for every one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import sys
import traceback
import warnings
from pathlib import Path

# What a page imports is still its own affair: these only make that quick. Nothing of naslib is among them, nor
# matplotlib.pyplot, which a page that imports matplotlib alone would find there (scipy loads its own when asked)
_LOADED_BEFORE = ["torch", "torchvision", "numpy", "scipy.stats", "networkx", "matplotlib"]
_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 300


def run_page(
    folder: Path, arguments: list[str], seconds: float = _SECONDS, script: Path | None = None
) -> tuple[int, str]:
    """Run `page.py` of a folder there, with the words of a command line; return its exit status and what it printed.

    A script of another place is run in that folder all the same.
    After so many seconds it is killed, with all processes that it has started; its status is then -9.
    """
    printed = folder / "printed.txt"
    printed.touch()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED_BEFORE)
    process = context.Process(target=_run, args=(str(folder), str(script or folder / "page.py"), arguments))
    process.start()
    process.join(seconds)
    if process.is_alive() and process.pid is not None:
        with contextlib.suppress(ProcessLookupError):  # it has not made its group yet
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.join()
    status = -signal.SIGKILL if process.exitcode is None else process.exitcode
    return status, printed.read_text(encoding="utf-8")


def _run(folder: str, script: str, arguments: list[str]) -> None:
    os.setsid()
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT), "PYTHONWARNINGS": "ignore"}
    os.chdir(folder)
    tests = str(_ROOT / "tests")
    sys.path[:] = [str(Path(script).parent), *(place for place in sys.path if not place.startswith(tests))]
    sys.argv = [Path(script).name, *arguments]
    # Line by line, so that a page that is killed has left what it printed
    with Path("printed.txt").open("w", encoding="utf-8", buffering=1) as file:
        os.dup2(file.fileno(), 1)  # processes that the page starts print there, too
        os.dup2(file.fileno(), 2)
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            try:
                runpy.run_path(script, run_name="__main__")
            except SystemExit as end:
                if end.code is not None and not isinstance(end.code, int):
                    print(end.code)
                file.flush()
                os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
            except BaseException:
                traceback.print_exc()
                file.flush()
                os._exit(1)
