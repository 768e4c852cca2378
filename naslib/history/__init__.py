"""History: the trials of a black-box search, in memory or in one file that outlives every kill."""

from .base import History as History
from .load import Trials as Trials
from .load import load as load
from .memory import MemoryHistory as MemoryHistory
from .sqlite import FILE_NAME as FILE_NAME
from .sqlite import SqliteHistory as SqliteHistory
from .trial import Objective as Objective
from .trial import Outcome as Outcome
from .trial import State as State
from .trial import Stopping as Stopping
from .trial import Trial as Trial
