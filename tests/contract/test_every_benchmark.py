"""Every benchmark whose file is here answers one architecture and many alike, or says what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from naslib.benchmarks import get_dataset_api
from naslib.benchmarks.hwgpt import HWGPTBench
from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.registry.catalogue import BENCHMARKS
from naslib.search_spaces.core.query_metrics import Metric
from tests.support.data_files import data_folders

GROUPS = (Metric.RAW, Metric.ALL, Metric.HP)
# One name for each class; the table that comes with naslib is beside them
NAMES = [*{BENCHMARKS.place(name): name for name in sorted(BENCHMARKS.names(), reverse=True)}.values()]
DIGITS = "nasbench201 on digits"
# Benchmarks whose files are none of those beside the checkout, but are converted from official ones
CONVERTED = {"nasbench301", "nasbench301:trained", "asr", "nats_size", "transbench101_macro"}
# Classes, of which each asks of each data set for each metric and figure
N_CLASSES, N_HERE = 36, 31


def table_of(name: str) -> Any:
    """Return the benchmark of a name, as it is found."""
    if name == DIGITS:
        return get_dataset_api("nasbench201", "digits")
    space, _, kind = name.partition(":")
    for folder in data_folders():
        try:
            return get_dataset_api(space, None, folder, kind or "accuracy")
        except BenchmarkDataMissing:
            continue
    pytest.skip(f"the file of {name} is not here")


def some_codes(table: Any, known: Sequence[Any] | None) -> list[Any]:
    """Return three architectures that have an answer."""
    if known is not None:
        return [known[0], known[len(known) // 2], known[-1]]
    if isinstance(table, HWGPTBench):
        least, most = table.scale.depth[0], table.scale.depth[-1]
        rest = (0, 0) * (least - 1) + (-1, -1) * (most - least)
        return [(embed, 0, 0, 1, 2, *rest) for embed in range(3)]
    if hasattr(table, "code_of"):
        return [table.code_of(number) for number in (0, 5, 9)]
    return [tuple(code) for code in table.codes(table.datasets[0])[:3].tolist()]


def asked_of(table: Any) -> list[tuple[Any, str]]:
    """Return all that a table may be asked for, with the data set."""
    metrics = [*table.figures, *(metric for metric in Metric if metric not in GROUPS)]
    return [(metric, dataset) for dataset in table.datasets for metric in metrics]


def test_the_product_is_as_large_as_it_says() -> None:
    assert len(NAMES) == N_CLASSES and len(CONVERTED) == N_CLASSES - N_HERE and set(NAMES) >= CONVERTED


@pytest.mark.parametrize("name", [*NAMES, DIGITS])
def test_one_and_many_have_the_same_answer(name: str) -> None:
    table, answered = table_of(name), 0
    for metric, dataset in asked_of(table):
        try:
            known = table.known_codes(metric, dataset)
        except BenchmarkError:
            assert not table.has(metric, dataset), f"{metric} on {dataset} has no architecture"
            continue
        if not table.has(metric, dataset) and known is None:
            with pytest.raises(BenchmarkError, match=r"has|only|there is no|which device"):
                table.query(some_codes(table, None)[0], metric, dataset)
            continue
        answered += 1
        codes = some_codes(table, known)
        one_by_one = [table.query(code, metric, dataset) for code in codes]
        assert all(isinstance(value, float) and np.isfinite(value) for value in one_by_one)
        for many in (codes, tuple(codes), np.array(codes), [list(code) for code in codes]):
            found = table.query_batch(many, metric, dataset)
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, one_by_one, rtol=1e-12, err_msg=f"{metric} on {dataset}")
        assert table.query_batch([], metric, dataset).shape == (0,)
        assert table.knows(dataset.upper()) and table.knows(dataset)
        assert isinstance(table.seeds(metric, dataset), tuple)
    assert answered >= len(table.datasets)


@pytest.mark.parametrize("name", [*NAMES, DIGITS])
def test_what_there_is_not_is_an_error(name: str) -> None:
    table, refused = table_of(name), 0
    for metric, dataset in asked_of(table):
        if not table.has(metric, dataset):
            continue
        code = some_codes(table, table.known_codes(metric, dataset))[0]
        for epoch in (0, -7, 100_000):
            assert not table.has(metric, dataset, epoch)
            with pytest.raises(BenchmarkError):
                table.query(code, metric, dataset, epoch)
            with pytest.raises(BenchmarkError):
                table.query_batch([code], metric, dataset, epoch)
        for other in ((), (99,) * len(code), (*code, 0), "x"):
            with pytest.raises((ArchitectureError, BenchmarkError)):
                table.query(other, metric, dataset)
            with pytest.raises((ArchitectureError, BenchmarkError)):
                table.query_batch([other], metric, dataset)
        assert not table.has(metric, "no such set") and not table.knows("no such set")
        with pytest.raises(BenchmarkError, match="no data set 'no such set'"):
            table.query(code, metric, "no such set")
        try:
            curve = table.query(code, metric, dataset, full_lc=True)
        except BenchmarkError:
            curve = [1.0]
        assert isinstance(curve, list) and np.isfinite(curve).all()
        refused += 1
    assert refused >= 1
    assert not table.has("no_such_metric", table.datasets[0])
    with pytest.raises(BenchmarkError, match="unknown metric"):
        table.query(code, "no_such_metric", table.datasets[0])


@pytest.mark.parametrize("name", [*NAMES, DIGITS])
def test_a_group_is_of_a_data_set_and_an_epoch_that_there_are(name: str) -> None:
    table = table_of(name)
    known = next(
        (table.known_codes(m, d) for m, d in asked_of(table) if table.has(m, d)),
        None,
    )
    code, dataset = some_codes(table, known)[0], table.datasets[0]
    there = [group for group in GROUPS if table.has(group, dataset)]
    assert Metric.RAW in there
    for group in GROUPS:
        with pytest.raises(BenchmarkError):
            table.query_batch([code], group, dataset)
        if group not in there:
            with pytest.raises(BenchmarkError):
                table.query(code, group, dataset)
            continue
        assert isinstance(table.query(code, group, dataset), dict)
        for where, epoch in ((dataset, 0), (dataset, -7), (dataset, 100_000), ("no such set", -1)):
            assert not table.has(group, where, epoch), f"{group} on {where} at {epoch}"
            with pytest.raises(BenchmarkError):
                table.query(code, group, where, epoch)
