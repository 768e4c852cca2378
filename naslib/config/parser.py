"""CommandParser: an argument parser whose errors are those of naslib."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from naslib.errors import ConfigError


class CommandParser(argparse.ArgumentParser):
    """An ArgumentParser that raises instead of exiting, keeps the layout of its texts, and takes no abbreviations.

    Args:
        **kwargs: Those of `argparse.ArgumentParser`.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        """Raise the message as a ConfigError."""
        raise ConfigError(f"command line: {message} (see --help)")
