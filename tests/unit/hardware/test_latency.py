"""How long one input takes: what is run how often, by a clock of the test."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from naslib.hardware import latency


@pytest.mark.parametrize(("seconds", "warm", "runs"), [(0.001, 5, 50), (0.1, 5, 18), (1.0, 3, 5)])
def test_the_median_of_as_many_runs_as_fit(
    seconds: float, warm: int, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, batches = [0.0], []

    def run(x: Tensor) -> None:
        batches.append(tuple(x.shape))
        now[0] += seconds * (3 if len(batches) == warm + 1 else 1)  # which the median leaves out

    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])
    found = latency.measure_latency(run, torch.zeros(4, 3, 2))
    assert found.milliseconds == pytest.approx(1000 * seconds)
    assert abs(found.runs - runs) <= (seconds == 0.1) and len(batches) == warm + found.runs
    assert set(batches) == {(1, 3, 2)} and found.threads == torch.get_num_threads()
