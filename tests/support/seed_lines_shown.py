"""A program whose lines about three seeds a test looks at in a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

from naslib.cli.seed_lines import SeedLines

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    logs = [folder / f"{number}.log" for number in range(3)]
    for number, log in enumerate(logs):
        long = "and a lot more than a line of a terminal can hold " * 3
        log.write_text(f"[11/30 18:22:05 INFO a] search epoch {number}/3, {long}\n", encoding="utf-8")
    with SeedLines([1, 2, 3], 4, logs) as lines:
        lines.say_kept([9])
        lines.begin(0)
        lines.begin(1)
        lines.refresh()
        lines.end(0, "the loss is NaN\nin step 3")
        lines.begin(2)
        lines.refresh()
