"""benchmarks/gpu.sh and what it runs: draws of the host on a device, comparisons, time limits, and every section."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pretend_device import DEVICE, OnDevice, pretended

from benchmarks import gpu, gpu_checks
from benchmarks.gpu import SECTIONS, Run, Section, run_section
from benchmarks.same_draws import HostDraws

ROOT = Path(__file__).resolve().parents[3]


def _section(code: str, seconds: int = 20, **keys: Any) -> Section:
    return Section("made", seconds, lambda run: ["-c", code], **keys)


def test_sections_stay_under_ten_minutes() -> None:
    assert [section.name for section in SECTIONS][:3] == ["checks", "bars-float32", "bars-bf16"]
    assert len(SECTIONS) == 7 and sum(section.seconds for section in SECTIONS) <= gpu.MOST_SECONDS


def test_how_a_section_ends(tmp_path: Path) -> None:
    """Done with rows, failed without, a bar missed where that is no failure, killed at its limit."""
    run = Run(tmp_path, "cpu", quick=False)
    writes = f"open({str(tmp_path / 'made.csv')!r}, 'w').write('a,b\\n# a remark\\n1,2\\n3,4\\n'); print('said'); "
    assert run_section(_section("print('nothing')"), run).verdict == "FAILED"
    done = run_section(_section(writes), run)
    assert (done.verdict, done.rows, done.note, done.is_bad) == ("done", 2, "said", False)
    assert run_section(_section(writes + "raise SystemExit(1)", may_miss=True), run).verdict == "bars missed"
    assert run_section(_section(writes + "raise SystemExit(1)"), run).verdict == "FAILED"
    slow = run_section(_section("import time; time.sleep(60)", seconds=1), run)
    assert slow.verdict == "TOO LONG" and slow.is_bad and 1 <= slow.seconds < 20


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no section chekcs; there are: checks, bars-float32"):
        gpu.main([str(tmp_path), "--only", "chekcs"])
    with pytest.raises(SystemExit, match="no method dart; there are: binary"):
        gpu_checks.main(["--device", "cpu", "--methods", "dart"])
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="there is no CUDA device here; --device cpu --quick"):
            gpu.main([str(tmp_path)])


def test_a_device_draws_what_the_host_draws() -> None:
    """Factories, in place, of a distribution, dropout: the same numbers, on the device where they were asked for."""
    found = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(3)
        with pretended(), HostDraws():
            x = torch.linspace(0.1, 0.9, 6).to(device)
            drawn = [
                torch.rand(4, device=device), torch.empty_like(x).exponential_(), torch.bernoulli(x),
                x.clone().uniform_(), torch._sample_dirichlet(x), torch.dropout(x, 0.5, True), torch.randn_like(x),
            ]  # fmt: skip
            assert all(isinstance(value, OnDevice) == (device is DEVICE) for value in drawn)
            found.append([value.held if isinstance(value, OnDevice) else value for value in drawn])
    torch.manual_seed(3)
    assert torch.equal(found[0][0], torch.rand(4))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_differences_are_relative_and_see_what_is_not_a_number() -> None:
    one, other = [torch.tensor([1.0, -4.0]), torch.zeros(0)], [torch.tensor([1.0, -3.0]), torch.zeros(0)]
    assert gpu_checks.difference(one, other) == 0.25
    assert gpu_checks.difference(one, [torch.tensor([float("nan"), 1.0]), torch.zeros(0)]) == float("inf")


def _on_pretended(monkeypatch: pytest.MonkeyPatch, name: str) -> gpu_checks.Check:
    """Return the check of a method with the pretended device in the place of a GPU."""
    after_steps = gpu_checks.after_steps

    def steps(name: str, device: str, steps: int) -> Any:
        if device == "cpu":
            return after_steps(name, device, steps)
        with pretended():
            weights, alphas, waits = after_steps(name, device, steps)
        return weights, alphas, waits

    monkeypatch.setattr(gpu_checks, "after_steps", steps)
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        return gpu_checks.check_steps(name, DEVICE.type, 2)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


@pytest.mark.parametrize("name", ["gdas", pytest.param("drnas", marks=pytest.mark.slow)])
def test_steps_on_another_device_equal_those_of_the_host(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison that a GPU will be put to, with a device that computes as the host does."""
    check = _on_pretended(monkeypatch, name)
    assert (check.verdict, check.note) == ("equal", "")
    assert check.weights is not None and check.weights < 1e-9
    assert gpu_checks.check_steps(name, "cpu", 1).weights == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(gpu_checks.one_shot_methods()) - {"te_nas", "enas"}))
def test_every_method_on_another_device_equals_the_host(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # te_nas takes long; the parameters of enas's controller are moved to the device and back, which `meta` cannot
    check = _on_pretended(monkeypatch, name)
    assert (check.verdict, check.note) == ("equal", "")
    assert check.weights is not None and check.weights < 1e-8


@pytest.mark.slow
def test_every_black_box_method_trains_a_trial() -> None:
    checks = [gpu_checks.check_trial(name, "cpu") for name in gpu_checks.black_box_methods()]
    assert len(checks) >= 29 and [check.method for check in checks if check.verdict != "trained"] == []


@pytest.mark.slow
def test_the_script_runs_every_section(tmp_path: Path) -> None:
    """All of it on the CPU with tiny sizes: each section leaves rows, and the summary says so."""
    command = ["bash", "benchmarks/gpu.sh", str(tmp_path), "--device", "cpu", "--quick"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    with (tmp_path / "summary.csv").open(encoding="utf-8") as file:
        rows = {row["section"]: row for row in csv.DictReader(file)}
    assert list(rows) == [section.name for section in SECTIONS]
    assert all(int(row["rows"]) > 0 and row["verdict"] in ("done", "bars missed") for row in rows.values())
    assert "7 sections" in done.stdout and "0 to look at" in done.stdout
