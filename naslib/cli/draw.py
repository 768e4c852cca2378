"""`naslib draw`: pictures of a space, an architecture, a run, or a module of a person's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from naslib.config.parser import CommandParser
from naslib.errors import ConfigError, did_you_mean

_FORMATS = ("svg", "png", "dot")
_WHAT = ("space", "architecture", "supernet")
_EPILOG = """\
TARGET is the name of a search space, an architecture (in a spelling of its space, or a file with one), a run folder,
a config, or module.py:Class, a module of your own in which choices are marked.

examples:
  naslib draw nasbench201                               its cell and its decisions, one file for each
  naslib draw nasbench301 --cell normal_cell --out normal.png search_space_args.nodes=2
  naslib draw nasbench201 --what architecture --seed 3  an architecture drawn at random
  naslib draw '|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|'
  naslib draw resnet_dag --what supernet --format dot   text for graphviz
  naslib draw run/nasbench301/digits/darts/1            what a run has found

One drawing is written to the file of --out. Of several, each has its own name behind that: cells.svg becomes
cells_normal_cell.svg, cells_reduction_cell.svg; --cell NAME writes one of them alone. Cells and networks are laid out
by graphviz where its program `dot` is installed, else by naslib; chains and tables have a layout of their own.
"""


def main(words: Sequence[str]) -> int:
    """Write drawings, and print the names of their files.

    Raises:
        NASLibError: If there is nothing to draw by that name; the message says what there is.
    """
    asked = _parser().parse_intermixed_args(list(words))
    kind, out = _format(asked.format, asked.out)
    from naslib.training.drawings import graphviz, write_drawing  # torch, for a command that can begin

    from .targets import find_target

    target = find_target(asked.target, asked.overrides)
    drawings = _drawings(target, asked.what, asked.seed)
    if asked.cell is not None:
        drawings = [_chosen(drawings, asked.cell)]
    program = None if asked.layout == "own" else graphviz()
    if asked.layout == "graphviz" and program is None:
        raise ConfigError("--layout graphviz needs the program `dot` of graphviz, which is not installed; leave it out")
    out = Path(f"{target.name}.{kind}") if out is None else out
    if target.note:
        sys.stderr.write(f"naslib: {target.note}\n")
    for drawing in drawings:
        path = out if len(drawings) == 1 else out.with_name(f"{out.stem}_{drawing.name}{out.suffix}")
        try:
            write_drawing(drawing, path, kind, program)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
        sys.stdout.write(f"{path}\n")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(prog="naslib draw", description="Draw what is searched, or what was found.", epilog=_EPILOG)
    add = parser.add_argument
    add("target", metavar="TARGET", help="what to draw, see below")
    add("--out", metavar="FILE", help="the file (default: TARGET.svg here)")
    add("--format", choices=_FORMATS, help="svg, png, or dot (default: the ending of --out, else svg)")
    add("--what", choices=_WHAT, help="the space, an architecture, or the network around the cells "
        "(default: the architecture of a run or a genotype, else the space)")  # fmt: skip
    add("--cell", metavar="NAME", help="one of the drawings alone: normal_cell, chain, decisions ...")
    add("--layout", choices=("graphviz", "own"), help="who lays out cells (default: graphviz where it is installed)")
    add("--seed", type=int, default=0, metavar="N", help="of a random architecture of a space (default: 0)")
    add("overrides", nargs="*", metavar="key=value", help="search_space=NAME, search_space_args.KEY=VALUE")
    return parser


def _format(given: str | None, out: str | None) -> tuple[str, Path | None]:
    """Return the format, and the file with its ending.

    Raises:
        ConfigError: If the file has an ending of something else.
    """
    if out is None:
        return given or "svg", None
    path = Path(out).expanduser()
    if path.is_dir():
        raise ConfigError(f"--out {out} is a folder: name the file in it")
    ending = {"gv": "dot"}.get(path.suffix[1:].lower(), path.suffix[1:].lower())
    if not ending:
        return given or "svg", path.with_name(f"{path.name}.{given or 'svg'}")
    if ending not in _FORMATS:
        near = did_you_mean(ending, _FORMATS)
        raise ConfigError(f"--out ends in .svg, .png, .dot or .gv, not in {path.suffix}{near}")
    if given is not None and given != ending:
        raise ConfigError(f"--format {given} contradicts --out {out}: leave one of them out")
    return ending, path


def _drawings(target: Any, what: str | None, seed: int) -> list[Any]:
    """Return the drawings of what is asked for.

    Raises:
        ConfigError: If there is none.
    """
    from naslib.training.drawings import drawings_of_architecture, drawings_of_space, drawings_of_supernet

    what = what or ("space" if target.architecture is None else "architecture")
    if what == "supernet":
        found = drawings_of_supernet(target.space)
    elif what == "space":
        found = drawings_of_space(target.space)
    else:
        architecture = target.architecture
        if architecture is None:
            architecture = target.space
            architecture.sample_random_architecture(rng=seed)
            architecture.prepare_evaluation()
            architecture.parse()
        found = drawings_of_architecture(architecture)
    if not found:
        why = f": {target.space.NO_SUPERNET}" if what == "supernet" and target.space.NO_SUPERNET else ""
        raise ConfigError(f"{target.name}: there is no picture of its {what}{why}")
    return found


def _chosen(drawings: Sequence[Any], name: str) -> Any:
    """Return one of the drawings by its name, with or without `cell`.

    Raises:
        ConfigError: If there is none of that name.
    """
    for drawing in drawings:
        if name in (drawing.name, drawing.name.removesuffix("_cell"), drawing.name.removeprefix("cell_")):
            return drawing
    names = [drawing.name for drawing in drawings]
    raise ConfigError(f"--cell: there is no {name!r}{did_you_mean(name, names)} (there is: {', '.join(names)})")
