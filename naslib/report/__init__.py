"""Report: one page that says what a run searched and found, or how several runs compare."""

from .write import write_report as write_report
