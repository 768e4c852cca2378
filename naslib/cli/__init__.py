"""The command `naslib`."""

from .command import main as main
from .door import schema_extensions as schema_extensions
