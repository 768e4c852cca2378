"""`python -m naslib`: the command."""

import sys

from naslib.cli import main

if __name__ == "__main__":
    sys.exit(main())
