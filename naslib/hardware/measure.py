"""The command that measures a latency table: `python -m naslib.hardware.measure --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from naslib.config.yaml_reader import parse_value
from naslib.errors import NASLibError
from naslib.search_spaces.registry import SEARCH_SPACES, get_search_space

from .builder import CLOCKS, measure_table

_EPILOG = """\
The table is for one machine, one search space of one size, and one shape of inputs. A search reads it so:

  search:
    parts:
      latency: {table: table.json, loss: add_linear, reference: 5.0}

where reference is the latency you want in ms. Leave the machine alone while it measures.

examples:
  python -m naslib.hardware.measure --search-space nasbench201 --output table.json
  python -m naslib.hardware.measure --search-space nasbench301 --space-args "{cells: 3, nodes: 2, channels: 16}" \\
      --input 1x8x8 --threads 1 --output digits.json
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m naslib.hardware.measure",
        description="Measure the latency of every candidate operation of a search space on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--search-space", required=True, help=f"one of {', '.join(SEARCH_SPACES.names())}")
    add("--output", required=True, help="JSON file to write")
    add("--space-args", default="{}", help='size of the space as in a config: "{channels: 16, n_classes: 10}"')
    add("--input", default="3x32x32", help="channels x height x width of one input (default: %(default)s)")
    add("--batch", type=int, default=1, help="inputs at once (default: %(default)s)")
    add("--repeats", type=int, default=20, help="rounds, of which the median counts (default: %(default)s)")
    add("--threads", type=int, help="threads of torch on the CPU (default: as torch sets them)")
    add("--clock", default="wall", choices=CLOCKS, help="cpu: of this thread alone, where others work, too")
    add("--device", default="cpu", help="cpu, cuda ... (default: %(default)s)")
    return made


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    command = parser()
    given = command.parse_args(args)
    try:
        shape = [int(size) for size in given.input.split("x")]
    except ValueError:
        command.error(f"--input is like 3x32x32, not {given.input!r}")
    try:
        space = get_search_space(given.search_space, **parse_value(given.space_args))
        table = measure_table(
            space, shape, batch=given.batch, repeats=given.repeats, threads=given.threads, device=given.device,
            clock=given.clock,
        )  # fmt: skip
    except (NASLibError, TypeError) as error:
        print(f"{command.prog}: {error}", file=sys.stderr)
        return 2
    table.write(given.output)
    print(
        f"{given.output}: {len(table.entries)} operations, {table.fixed:.3f} ms for the rest ({table.info['device']})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
