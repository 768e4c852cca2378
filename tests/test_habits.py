"""Habits of the tests themselves."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent
_CLOCKS = {"perf_counter", "perf_counter_ns", "process_time", "time_ns", "monotonic_ns", "thread_time"}


def test_no_test_reads_a_stopwatch():
    """An assertion on seconds fails on a busy machine: speed belongs to the benchmarks, counted calls to the tests."""
    paths = sorted(TESTS.rglob("*.py"))
    assert len(paths) >= 100
    found = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_clock = isinstance(node, ast.Attribute) and node.attr in _CLOCKS
            if is_clock or (isinstance(node, ast.Name) and node.id in _CLOCKS):
                found.append(f"{path.relative_to(TESTS)}:{node.lineno}")
    assert found == []
