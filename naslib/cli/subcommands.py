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
    "predict": ("naslib.cli.predict", "what the trained network of a run says of files"),
    "report": ("naslib.cli.report", "one page on a run, or on several: what was found, curves, sizes, cost, checklist"),
    "list": ("naslib.cli.listing", "what there is: optimizers, spaces, data sets, tasks ..."),
    "draw": ("naslib.cli.draw", "a picture of a space, an architecture, a run, or a module of your own"),
    "completion": ("naslib.cli.completion", "a script that lets bash, zsh or fish complete naslib's words"),
}
# Under what they stand in the help; one that is not named here stands with the last
GROUPS: dict[str, tuple[str, ...]] = {
    "before a search": ("list", "data", "draw"),
    "after a search": ("report", "predict", "export"),
    "methods against each other": ("compare", "bench", "correlate"),
    "the command itself": ("help", "completion"),
}
HELP = ("help", "the help of a command: naslib help list")


def subcommand(name: str) -> Callable[[Sequence[str]], int]:
    """Return the function that runs a subcommand with the words after its name.

    It returns the exit status, and raises errors of naslib, which the command line says.
    """
    main: Callable[[Sequence[str]], int] = importlib.import_module(SUBCOMMANDS[name][0]).main
    return main


def grouped() -> dict[str, list[str]]:
    """Return the names of the subcommands, and `help`, by the groups of the help."""
    names = [*SUBCOMMANDS, HELP[0]]
    found = {title: [name for name in members if name in names] for title, members in GROUPS.items()}
    placed = {name for members in found.values() for name in members}
    found[list(GROUPS)[-1]] += [name for name in names if name not in placed]
    return {title: members for title, members in found.items() if members}


def overview() -> str:
    """Return the lines that name the subcommands in `naslib --help`."""
    width = max(map(len, SUBCOMMANDS))
    lines = []
    for title, names in grouped().items():
        lines.append(f"  {title}")
        for name in names:
            what = HELP[1] if name == HELP[0] else SUBCOMMANDS[name][1]
            lines.append(f"    naslib {name:{width}}  {what}")
    return "\n".join(lines)
