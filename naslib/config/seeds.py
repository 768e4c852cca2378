"""Seeds as a command line writes them."""

from __future__ import annotations

import re

from naslib.errors import ConfigError

# More than anybody has time for: a slip of the finger such as 1-50000
_MOST = 10_000


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that a text names: numbers and stretches, `1-3,7` is 1, 2, 3, 7.

    Raises:
        ConfigError: If it names none, one twice, or is something else.
    """
    seeds: list[int] = []
    for word in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", word)
        if match is None:
            raise ConfigError(f"seeds are numbers and stretches, such as 1-5 or 1,2,7-9; not {text!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ConfigError(f"the stretch of seeds {word.strip()} goes backwards; write {last}-{first}")
        if len(seeds) + last - first >= _MOST:
            raise ConfigError(f"{text!r} names more than {_MOST:,} seeds")
        seeds += range(first, last + 1)
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ConfigError(f"seed {twice[0]} is named twice in {text!r}")
    return seeds
