"""`naslib data`: which tables and data sets are here, and a benchmark's official file in compact form."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from naslib.benchmarks.sources import DataSource
from naslib.config.parser import CommandParser
from naslib.errors import ConfigError
from naslib.utils.bar import Progress, Said
from naslib.utils.locations import data_directories, table_directories

_EPILOG = """\
examples:
  naslib data list                                    every table and data set: here or missing, whence, licence
  naslib data list --data DIR --missing               what is not in DIR
  naslib data convert nats-tss NATS-tss-v1_0-3ffb9-simple data      writes data/nb201.npz
  naslib data convert nasbench101 nasbench_full.tfrecord data/nb101.npz
"""


def main(words: Sequence[str]) -> int:
    """Run `naslib data list` or `naslib data convert`.

    Raises:
        ConfigError: For words that are none of it, an unknown format, or an output that is there already.
        BenchmarkError: For an official file that cannot be read.
    """
    parser = CommandParser(prog="naslib data", description="Tables of benchmarks, and data sets.", epilog=_EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | convert")
    listed = commands.add_parser("list", description="Show every table and data set, and where it comes from.")
    listed.add_argument("--data", help="the data directory; else NASLIB_DATA and ./data are looked at")
    listed.add_argument("--missing", action="store_true", help="only what is not here")
    converted = commands.add_parser(
        "convert",
        description="Write the compact file of a benchmark from its official file or folder.",
        epilog=_formats_text(),
    )
    converted.add_argument("format", metavar="FORMAT", help="one of those below")
    converted.add_argument("input", metavar="IN", help="the official file or folder")
    converted.add_argument("output", metavar="OUT", help="the .npz file to write, or a folder for it")
    args = parser.parse_args(list(words))
    if args.command == "list":
        if args.data is not None and not Path(args.data).expanduser().is_dir():
            raise ConfigError(f"--data: there is no folder {args.data}")
        sys.stdout.write("\n".join(_list(args.data, args.missing)) + "\n")
        return 0
    return _convert(args.format, args.input, args.output)


def _formats_text() -> str:
    from naslib.benchmarks.official import FORMATS

    width = max(map(len, FORMATS))
    lines = [f"  {name:{width}}  {form.output}: {' or '.join(form.names)}" for name, form in FORMATS.items()]
    return "formats, what each writes, and what it reads:\n" + "\n".join(lines)


def _list(data_dir: str | os.PathLike[str] | None, missing: bool) -> list[str]:
    """Return the lines of `naslib data list`."""
    from naslib.benchmarks.sources import BENCHMARK_FILES, DATA_SETS, benchmarks_of

    folders, of_tables = data_directories(data_dir), table_directories(data_dir)
    lines = [f"looked in {', '.join(map(str, folders))}; for tables not in the last", "", "tables of benchmarks"]
    for source in BENCHMARK_FILES:
        lines += _about(f"{' or '.join(source.files)} ({', '.join(benchmarks_of(source))})", source, of_tables, missing)
    lines += [] if missing else _own_tables(of_tables)
    lines += ["", "data sets"]
    for name, source in DATA_SETS.items():
        title = f"{name} ({' or '.join(source.files)})" if source.files else name
        lines += _about(title, source, folders, missing)
    return lines


def _about(title: str, source: DataSource, folders: list[Path], missing: bool) -> list[str]:
    """Return the lines about one file or data set; none of what is here, where only the missing is asked for."""
    found, official = source.find(folders), source.find_official(folders)
    if missing and (found or official or not source.files):
        return []
    state = "missing"
    if not source.files:
        state = "comes with naslib's libraries"
    elif found:
        state = f"here: {found}"
    elif official:
        state = f"here as the official {official}, which is converted when it is opened"
    lines = [f"  {title}: {state}", f"      {source.holds}", f"      from {source.origin}; licence: {source.licence}"]
    if not found:
        inputs = [(form, official or form.names[0]) for form in source.formats]
        lines += [f"      naslib data convert {form.name} {given} {form.output}" for form, given in inputs]
    return lines


def _own_tables(folders: Sequence[Path]) -> list[str]:
    """Return the lines on the tables that `naslib bench build` has made; one comes with naslib."""
    from naslib.benchmarks.own import own_tables
    from naslib.benchmarks.trained import TrainedTable

    lines = ["", "tables of one's own (naslib bench build)"]
    for path in own_tables(folders):
        table = TrainedTable(path)
        seeds = ", ".join(map(str, table.results.seeds))
        lines.append(f"  {path.name}: {path}")
        what = f"{table.name} on {table.datasets[0]}, {table.epochs} epochs, seeds {seeds}"
        lines.append(f"      {len(table):,} architectures of {what}")
    return lines


def _convert(name: str, given: str, output: str) -> int:
    from naslib.benchmarks.official import FORMATS, convert

    path = Path(given).expanduser()
    with Progress("convert", None, unit="byte") as progress:
        written = convert(name, path, Path(output).expanduser(), _told(progress))
    sys.stdout.write(f"{written}: {written.stat().st_size / 1e6:.1f} MB\n")
    if name.lower() == "naslib-nb201":
        sys.stdout.write(
            "note: NASLib's accuracies are of the images held out from its training; VAL_ACCURACY and TEST_ACCURACY "
            "are one number, as in NASLib\n"
        )
    benchmark = FORMATS[name.lower()].benchmark
    if benchmark:
        space, _, kind = benchmark.partition(":")
        words = f"{space!r}, data_dir={str(written)!r}" + (f", kind={kind!r}" if kind else "")
        sys.stdout.write(f"get_dataset_api({words}) opens it\n")
    return 0


def _told(progress: Progress) -> Callable[[int, int], None]:
    """Return what takes how much has been read: on a terminal it moves a bar, elsewhere every tenth is a line."""
    terminal, tenths = sys.stderr.isatty(), -1

    def tell(done: int, total: int) -> None:
        nonlocal tenths
        share = done / total if total else 1.0
        progress.done, progress.total = done, total
        if terminal and progress.due():
            progress.show(lambda: Said("", (f"{share:.1%} of {total:,}", f"{share:.0%}")))
        elif not terminal and int(10 * share) > tenths:
            tenths = int(10 * share)
            sys.stderr.write(f"{share:.0%} of {total:,}\n")

    return tell
