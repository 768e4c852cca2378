"""Metrics: what a task measures, accumulated on the device and read only at log points."""

from naslib.tasks.meter import Meter as Meter
from naslib.tasks.score import Measured as Measured
