"""`naslib report`: one page on a run, or on several beside each other."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence

from naslib.config.parser import CommandParser
from naslib.config.reference_point import HELP, parse_reference

_EPILOG = """\
examples:
  naslib report run/nasbench301/digits/darts/1               leaves report.html in that folder
  naslib report run/                                         all runs below, beside each other: report.html here
  naslib report run/a run/b --out compared.html --open       two of them, shown in the browser

The page is one file that asks no other for anything. docs/reading_a_report.md says how to judge what is on it.
"""


def main(words: Sequence[str]) -> int:
    """Write the page and say where it is.

    Returns:
        0.

    Raises:
        ConfigError: For anything wrong with the command line.
        RunFolderError: If there is no run, or the file is there and no page of ours.
    """
    parser = CommandParser(
        prog="naslib report", description="Write one HTML page on a run, or on several.", epilog=_EPILOG
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, or folders with runs below")
    parser.add_argument(
        "--out", metavar="FILE", help="where the page goes (default report.html in the run's folder; of several, here)"
    )
    parser.add_argument(
        "--no-measure", action="store_true", help="do not measure the layers of the trained network here"
    )
    parser.add_argument("--reference", metavar="85,null", help=HELP)
    parser.add_argument("--open", action="store_true", help="show the page in the browser")
    asked = parser.parse_intermixed_args(list(words))
    from naslib.report.write import write_report  # seconds of imports

    reference = parse_reference(asked.reference)
    path = write_report(asked.runs, asked.out, measure=not asked.no_measure, reference=reference)
    sys.stdout.write(f"{path}\n")
    if asked.open and not webbrowser.open(path.resolve().as_uri()):
        sys.stderr.write("no browser could be started: open the file yourself\n")
    return 0
