"""The measurements of transfer and of few-shot networks: their tables, and what the recorded searches show."""

from __future__ import annotations

import numpy as np

from benchmarks import few_shot, transfer


def test_the_share_and_its_interval_are_of_the_same_seeds():
    share, low, high = transfer.interval([10, 20, 30], [20, 40, 60])
    assert (share, low, high) == (0.5, 0.5, 0.5)  # half with every seed
    share, low, high = transfer.interval([10, 50], [50, 50])
    assert share == 0.6 and low < 0.6 < high


def test_a_controller_that_is_taken_along_needs_at_most_half_of_the_trials():
    rows = transfer.read()
    for dataset in transfer.DATASETS:
        needed = {
            m: {r.seed: r.needed for r in rows if (r.dataset, r.method) == (dataset, m)} for m in transfer.METHODS
        }
        scratch, taken = needed["from scratch"], needed["transfer"]
        assert list(scratch) == list(taken) and len(taken) >= 20
        _, _, high = transfer.interval(list(taken.values()), list(scratch.values()))
        assert high < 0.5, dataset


def test_the_tables_have_a_line_for_each_network():
    rows = [few_shot.Row(m, s, 5, 6, 60.0 + s + k, 1.0) for k, m in enumerate(few_shot.METHODS) for s in range(3)]
    lines = few_shot.table(rows).splitlines()[2:]
    assert [line.split("|")[2].strip() for line in lines] == list(few_shot.METHODS)
    error = 2 * np.std([60.0, 61.0, 62.0], ddof=1) / 3**0.5
    assert f"61.00 ± {error:.2f}" in lines[0] and "-1.00 ± 0.00" in lines[1] and "-2.00 ± 0.00" in lines[2]
    assert len(transfer.table().splitlines()) == 2 + 9
