"""Search, retrain and test: `python runner.py --config darts.yaml` (`--help` shows more)."""

from __future__ import annotations

import sys

from naslib.cli import main

if __name__ == "__main__":
    sys.exit(main())
