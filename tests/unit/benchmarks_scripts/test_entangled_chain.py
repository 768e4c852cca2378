"""The entangled chain: that everything that is compared runs."""

from __future__ import annotations

import pytest

from benchmarks import entangled_chain
from benchmarks.entangled_chain import ENTANGLED, ONE_PATH, PLAIN, measure


@pytest.mark.slow
def test_three_steps_are_compared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    timings = measure(1, batch=2, side=8, widths=(8,), n_cells=(2,), strides=(1,), stem_channels=8, head_channels=8)
    assert {name: len(seconds) for name, seconds in timings.seconds.items()} == {ENTANGLED: 1, ONE_PATH: 1, PLAIN: 1}
    timings.seconds = {ENTANGLED: [1.2], ONE_PATH: [1.0], PLAIN: [4.0]}
    monkeypatch.setattr(entangled_chain, "measure", lambda rounds: timings)
    assert entangled_chain.main(["--rounds", "1"]) == 0
    assert "| entangled | 1200 | 1.20 |" in capsys.readouterr().out
    timings.seconds[ENTANGLED] = [1.6]
    assert entangled_chain.main([]) == 1
