"""What torchrun tells a process, and what is wrong with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from naslib.errors import ConfigError
from naslib.utils.launch import Launch, launched, launched_rank, seconds_to_wait, speaks_for_all
from naslib.utils.log import setup_logger
from naslib.utils.process_group import join, losing_ranks, may_speak, process_group

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NASLIB_DIST_TIMEOUT", "MASTER_ADDR", "MASTER_PORT")


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def tell(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def test_alone() -> None:
    assert launched() is None and launched_rank() == 0 and speaks_for_all() and may_speak()
    assert not join()
    with process_group(), losing_ranks(lambda: "never asked"):
        pass
    with pytest.raises(ValueError, match="its own"), losing_ranks(lambda: "never asked"):
        raise ValueError("its own")


def test_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, RANK=5, WORLD_SIZE=8, LOCAL_RANK=1, LOCAL_WORLD_SIZE=4)
    assert launched() == Launch(5, 8, 1, 4) and launched_rank() == 5 and not speaks_for_all()
    tell(monkeypatch, RANK=0, WORLD_SIZE=1)
    assert launched() is None  # torchrun --nproc-per-node 1


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"RANK": "x", "WORLD_SIZE": 2}, "RANK=x in the environment must be a whole number from 0 on"),
        ({"RANK": 0, "WORLD_SIZE": "two"}, "WORLD_SIZE=two in the environment must be a whole number from 1 on"),
        ({"RANK": 0, "WORLD_SIZE": 0}, "WORLD_SIZE=0 in the environment must be a whole number from 1 on"),
        ({"RANK": -1, "WORLD_SIZE": 2}, "RANK=-1 in the environment must be a whole number from 0 on"),
        ({"RANK": 2, "WORLD_SIZE": 2}, "RANK=2 and WORLD_SIZE=2: ranks are counted from 0, the last one is 1"),
        ({"WORLD_SIZE": 2}, "the environment has WORLD_SIZE and no RANK: start several processes with torchrun"),
        ({"RANK": 1}, "the environment has RANK and no WORLD_SIZE: start several processes with torchrun"),
        ({"RANK": 0, "WORLD_SIZE": 2, "LOCAL_RANK": "a"}, "LOCAL_RANK=a in the environment must be a whole number"),
    ],
)
def test_an_environment_that_cannot_be(monkeypatch: pytest.MonkeyPatch, told: dict[str, object], said: str) -> None:
    tell(monkeypatch, **told)
    with pytest.raises(ConfigError, match=said):
        launched()
    assert launched_rank() == 0 and speaks_for_all()
    tell(monkeypatch, RANK="x", WORLD_SIZE=2, LOCAL_RANK=1)
    assert not speaks_for_all()  # one per machine says so


def test_where_ranks_meet_is_asked_before_anybody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, RANK=1, WORLD_SIZE=2)
    with pytest.raises(ConfigError, match=r"MASTER_ADDR=\(not set\) and MASTER_PORT=\(not set\) must be a machine and"):
        join()
    tell(monkeypatch, MASTER_ADDR="localhost", MASTER_PORT="70000")
    with pytest.raises(ConfigError, match="MASTER_ADDR=localhost and MASTER_PORT=70000"):
        join()


def test_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seconds_to_wait() == 300
    tell(monkeypatch, NASLIB_DIST_TIMEOUT="2.5")
    assert seconds_to_wait() == 2.5
    for wrong in ("0", "-1", "soon", "inf", "nan"):
        tell(monkeypatch, NASLIB_DIST_TIMEOUT=wrong)
        with pytest.raises(ConfigError, match=f"NASLIB_DIST_TIMEOUT={wrong} must be a number of seconds above 0"):
            seconds_to_wait()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger("naslib")
    level, handlers = found.level, list(found.handlers)
    yield found
    found.setLevel(level)
    found.handlers[:] = handlers


def test_one_rank_logs(monkeypatch: pytest.MonkeyPatch, logger: logging.Logger, tmp_path) -> None:
    tell(monkeypatch, RANK=1, WORLD_SIZE=2)
    setup_logger(tmp_path / "log.log").error("said by rank 0 as well")
    assert not logger.isEnabledFor(logging.CRITICAL) and list(tmp_path.iterdir()) == []
