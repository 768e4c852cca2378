"""`naslib predict`: what the trained network of a run says of files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from naslib.config.parser import CommandParser
from naslib.errors import CheckpointError, ConfigError
from naslib.registry.catalogue import TASKS

if TYPE_CHECKING:
    from naslib.prediction.forecast import Forecast

_EPILOG = """\
INPUT is an image file, a folder (searched to any depth), an .npz or .npy file of several inputs (data.npz:x_test names
one of its arrays), a text file for a language model, a .wav file for a network of spoken digits, or - for a list of
paths, one a line, from standard input.

examples:
  naslib predict run/nasbench301/digits/darts/1 picture.png
  naslib predict run/nasbench301/digits/darts/1 pictures/ --top 3
  naslib predict run/nasbench301/digits/darts/1 pictures/ more.npz --format csv --out found.csv
  find pictures -name '*.png' | naslib predict run/nasbench301/digits/darts/1 - --format json

Exit status: 0; 1 where an input could not be read (each is listed, the others are predicted); 2 for bad arguments.
"""
# What says of which run an exported folder is
_MANIFEST = "export.json"


def main(words: Sequence[str]) -> int:
    """Print predictions; return 0, or 1 where an input could not be read.

    Raises:
        ConfigError: For words that are none of it.
        CheckpointError: If the folder holds no trained network, or a damaged one.
    """
    args = _parser().parse_args(list(words))
    for name in ("top", "batch_size"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise ConfigError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    run = run_folder_of(Path(args.run))
    if not args.device.startswith(("auto", "cpu", "cuda", "mps")):
        raise ConfigError(f"--device must be auto, cpu, cuda, cuda:N or mps, got {args.device!r}")
    if args.out is not None and os.path.lexists(args.out) and not _is_empty_folder(Path(args.out)):
        raise ConfigError(f"--out: {args.out} is there already, and nothing is overwritten: remove it, or name another")
    forecast = _forecast(run, args)
    try:
        return _predict(forecast, run, args)
    except BrokenPipeError:  # what reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="naslib predict", description="Print what the trained network of a run says of files.", epilog=_EPILOG
    )
    parser.add_argument("run", metavar="RUN", help="the folder of a run, or one that naslib export has written of it")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="files, folders, or -")
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: table")
    parser.add_argument("--top", type=int, metavar="K", help="the K likeliest classes (or next words); default 1")
    parser.add_argument(
        "--out", metavar="FILE", help="write to a new file instead; of a segmentation a new folder, for masks as PNG"
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="inputs at a time; default 64")
    parser.add_argument("--device", default="auto", metavar="D", help="cpu, cuda, cuda:1 ...; default auto")
    return parser


def run_folder_of(folder: Path) -> Path:
    """Return the run folder that a folder is, or that an exported folder was made of.

    Raises:
        CheckpointError: If it is neither.
    """
    if (folder / "eval").is_dir() or not folder.is_dir():
        if not folder.is_dir():
            raise CheckpointError(f"there is no folder {folder}: RUN is the run folder that the summary of a run names")
        return folder
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        if folder.name == "eval" and (folder / "network.json").is_file():
            return folder.parent
        return folder  # whose network will be missed
    try:
        named = json.loads(manifest.read_text(encoding="utf-8")).get("run")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"cannot read {manifest}: {error}") from error
    # of a run that was moved with the folder in it, the name is an old one
    places = [*([Path(named), folder / named] if isinstance(named, str) else []), folder.parent]
    for place in places:
        if (place / "eval" / "network.json").is_file():
            return place
    raise CheckpointError(
        f"{folder} was exported from {named or 'a network without a run folder'}, which is not there: give the run "
        "folder, or use the exported files as their README.md says"
    )


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _forecast(run: Path, args: Any) -> Forecast:
    """Return what predicts, once it is known that it can."""
    from naslib.prediction.forecast import Forecast
    from naslib.prediction.run_source import source_of
    from naslib.tasks import Segmentation
    from naslib.training.environment import resolve_device
    from naslib.training.export import load_network

    network = load_network(run, resolve_device(args.device))
    masks = None
    if args.out is not None and isinstance(network.task, Segmentation):
        masks = Path(args.out)
    elif args.out is not None and Path(args.out).is_dir():
        raise ConfigError(f"--out: {args.out} is a folder; only a segmentation writes its masks into one")
    source = source_of(run)
    return Forecast(network, source, top=args.top, batch_size=args.batch_size, masks=masks)


def _predict(forecast: Forecast, run: Path, args: Any) -> int:
    from naslib.prediction.items import Failure
    from naslib.prediction.writers import make_writer, printable

    masks = getattr(forecast.answers, "folder", None)
    if masks is not None:
        masks.mkdir(parents=True, exist_ok=True)
    task = type(forecast.network.task)
    head = {"run": str(run), "task": TASKS.name_of(task) or task.__name__, "classes": forecast.network.class_names}
    if forecast.network.class_names is not None and len(forecast.network.class_names) > 1000:
        del head["classes"]  # the words of a language model
    failed = count = 0
    with _output(None if masks is not None else args.out) as file:
        writer = make_writer(args.format, file, forecast.answers, head)
        for told in forecast.run(_inputs(args.inputs)):
            count += 1
            if isinstance(told, Failure):
                failed += 1
                writer.fail(told)
                sys.stderr.write(f"naslib: {printable(told.input)}: {printable(told.reason)}\n")
            else:
                writer.write(told)
        writer.finish()
        file.flush()
    if failed:
        sys.stderr.write(f"naslib: {failed} of {count} inputs could not be predicted\n")
    return 1 if failed else 0


def _inputs(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word != "-":
            yield word
            continue
        for line in sys.stdin:
            if path := line.rstrip("\r\n"):
                yield path


@contextmanager
def _output(path: str | None) -> Iterator[TextIO]:
    """Yield where to write: a file that is there once it is whole, or standard output.

    Raises:
        ConfigError: If there cannot be a file.
    """
    if path is None:
        yield sys.stdout
        return
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        file = temporary.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"--out: cannot write {path}: {error.strerror or error}") from error
    try:
        with file:
            yield file
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
