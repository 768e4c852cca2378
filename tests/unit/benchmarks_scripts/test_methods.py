"""The comparison of all weight-sharing methods: who is in it, what is drawn, and the table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import methods, subjects
from benchmarks.harness import Memory, Timings
from benchmarks.methods import Cost, SeededSteps, file_name, markdown, memory_ratio, rows_of
from benchmarks.run import BARS, WRITING, chosen
from benchmarks.settings import Options
from naslib.errors import ConfigError
from naslib.optimizers import OPTIMIZERS, OneShotOptimizer

SMOKE = Options(smoke=True)


def test_every_registered_method_is_a_subject_once_on_both_spaces():
    names = subjects.one_shot_methods()
    kinds = [OPTIMIZERS.get(name) for name in names]
    registered = {OPTIMIZERS.get(name) for name in OPTIMIZERS.names()}
    assert len(names) >= 2 and {"darts", "gdas"} <= set(names)
    assert len(set(kinds)) == len(kinds) and set(kinds) == {k for k in registered if issubclass(k, OneShotOptimizer)}
    assert all(f"{space}:{name}" in subjects.SUBJECTS for space in methods.TITLES for name in names)
    assert BARS["methods"] == "methods" and "methods" in WRITING
    assert chosen("methods", "cpu") == ["methods"] and chosen("", "cpu") == [*BARS][:-2]


def test_a_subject_is_past_the_warm_up_and_is_seeded():
    setting = SMOKE.setting()
    subject = subjects.SUBJECTS["nb201:gdas"](setting)
    late, first = (OPTIMIZERS.get("gdas")(epochs=subjects.EPOCHS) for _ in range(2))
    late.new_epoch(subjects.MEASURED_EPOCH)
    first.new_epoch(0)
    assert subject.owner.tau == late.tau != first.tau

    def after_steps(noise: int) -> list[torch.Tensor]:
        steps = SeededSteps(subjects.SUBJECTS["nb201:gdas"](setting))
        for _ in range(2):
            torch.rand(noise)  # something else has drawn in between
            steps()
        return [alpha.detach() for alpha in steps.subject.owner.architectural_weights]

    assert all(torch.equal(a, b) for a, b in zip(after_steps(1), after_steps(5), strict=True))


@pytest.mark.slow
def test_a_smoke_run_gives_rows_and_writes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    probed: list[tuple[str, int]] = []

    def probe(name: str, setting: object, *, calls: int) -> Memory:
        probed.append((name, calls))
        return Memory(1.0, 4.0 if name.endswith("darts") else 1.0, "VmHWM")

    monkeypatch.setattr(methods, "peak_memory", probe)
    rows = {row.name: row for row in methods.measure(SMOKE, tmp_path, ["darts", "gdas"])}
    assert probed == [(f"{space}:{name}", 1) for space in ("darts", "nb201") for name in ("darts", "gdas")]
    for title in ("DARTS space", "NAS-Bench-201"):
        assert rows[f"{title}, gdas: time / darts"].value > 0
        assert rows[f"{title}, gdas: memory / darts"].value == 0.25
        assert f"{title}, darts: time / darts" not in rows
    text = (tmp_path / "methods-smoke.md").read_text(encoding="utf-8")
    assert "mean nothing" in text and "\n| `gdas` | 0." in text


def test_the_table_and_what_a_method_refuses():
    timings = Timings({"darts": [2.0, 4.0, 3.0], "gdas": [1.0, 1.0, 0.3]})
    costs = []
    for space in methods.TITLES:
        costs.append(Cost(space, "darts", timings, Memory(5.0, 200.0, "VmHWM")))
        costs.append(Cost(space, "gdas", timings, Memory(5.0, 50.0, "VmHWM")))
        costs.append(Cost(space, "x", problem="no such thing here"))
    assert costs[1].time_ratio == 0.25  # the median of .5, .25 and .1
    assert memory_ratio(costs[1], costs[0]) == 0.25 and memory_ratio(costs[2], costs[0]) is None
    lines = markdown(costs, Options().setting(), Options()).splitlines()
    assert "DARTS space (8 cells, C=16 B=16, 32x32)" in lines[0] and "NAS-Bench-201 (N=5" in lines[0]
    assert "| `darts` | 3000 ms | 200 MB | 3000 ms | 200 MB |" in lines
    assert "| `gdas` | 0.25 | 0.25 | 0.25 | 0.25 |" in lines and "| `x` | - | - | - | - |" in lines
    assert "* `x` on DARTS space: no such thing here" in lines
    (row,) = rows_of(costs[2], costs[0], Options().setting())
    assert row.verdict == "pending" and row.note == "no such thing here"
    assert [file_name(o) for o in (Options(), SMOKE, Options(device="cuda:0", dtype="bf16"))] == [
        "methods.md",
        "methods-smoke.md",
        "methods-cuda-bf16.md",
    ]


def test_a_method_that_refuses_a_space_stops_nobody(monkeypatch: pytest.MonkeyPatch):
    def refuse(setting: object) -> subjects.Subject:
        raise ConfigError(["not on this space", "nor that"])

    monkeypatch.setitem(subjects.SUBJECTS, "nb201:refusing", refuse)
    found = methods.time_chunk("nb201", ["refusing"], SMOKE.setting(), SMOKE)
    assert found["refusing"] == "not on this space" and isinstance(found["darts"], Timings)
