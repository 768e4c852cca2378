"""Early termination: trainings of trials that will not become the best are stopped."""

from .part import EarlyTermination as EarlyTermination
