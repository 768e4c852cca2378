"""The subcommands of `naslib`: their names, what they do, and the modules that are imported when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

# name: the module with `main(words) -> exit status`; what it does, in a few words
SUBCOMMANDS: dict[str, tuple[str, str]] = {
    "data": ("naslib.cli.data", "tables and data sets: what is here, and official files in compact form"),
    "bench": ("naslib.cli.bench", "build | merge | latency | info: a benchmark of any space"),
    "correlate": ("naslib.cli.correlate", "predictors and zero-cost proxies against a benchmark"),
    "compare": ("naslib.cli.compare", "several methods over several seeds, with curves and a table of ranks"),
    "export": ("naslib.cli.export", "the network of a run as files that need no naslib"),
    "list": ("naslib.cli.listing", "what there is: optimizers, spaces, data sets, tasks ..."),
}


def subcommand(name: str) -> Callable[[Sequence[str]], int]:
    """Return the function that runs a subcommand with the words after its name.

    It returns the exit status, and raises errors of naslib, which the command line says.
    """
    main: Callable[[Sequence[str]], int] = importlib.import_module(SUBCOMMANDS[name][0]).main
    return main


def overview() -> str:
    """Return the lines that name the subcommands in `naslib --help`."""
    width = max(map(len, SUBCOMMANDS))
    return "\n".join(f"  naslib {name:{width}}  {what}" for name, (_, what) in SUBCOMMANDS.items())
