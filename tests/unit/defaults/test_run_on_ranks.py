"""What is asked of a config before a run is shared out, and what is said when a rank is lost."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training_runs import small_trainer

from naslib.config.loader import load_config
from naslib.defaults import _ranks
from naslib.defaults._ranks import check_ranks
from naslib.errors import ConfigError
from naslib.training import environment
from naslib.training.environment import resolve_device
from naslib.utils import distributed
from naslib.utils.process_group import is_loss

STEPS = SimpleNamespace(using_step_function=True, dataset_api=None)
TRIALS = SimpleNamespace(using_step_function=False, dataset_api=None)


def config(search: int = 64, evaluation: int = 96, mode: str = "auto") -> object:
    return load_config({"search": {"batch_size": search}, "evaluation": {"batch_size": evaluation, "mode": mode}})


def problems(world: int, monkeypatch: pytest.MonkeyPatch, *args: object, **kwargs: object) -> list[str]:
    monkeypatch.setattr(_ranks, "world_size", lambda: world)
    try:
        check_ranks(*args, **kwargs)  # type: ignore[arg-type]
    except ConfigError as error:
        return error.problems
    return []


def test_batches_are_shared_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(3, monkeypatch, config(64, 100), STEPS)
    assert [text.partition(" is ")[0] for text in found] == ["search.batch_size=64", "evaluation.batch_size=100"]
    assert [text.rpartition("set it to ")[2] for text in found] == ["63 or 66", "99 or 102"]
    assert problems(3, monkeypatch, config(63, 96), STEPS) == problems(1, monkeypatch, config(65, 97), STEPS) == []
    assert problems(128, monkeypatch, config(64, 128), STEPS)[0].endswith("set it to 128")


def test_only_what_is_used_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(2, monkeypatch, config(64, 97, "query"), STEPS) == []
    table = SimpleNamespace(using_step_function=True, dataset_api=object())
    assert problems(2, monkeypatch, config(64, 97), table) == []
    assert len(problems(2, monkeypatch, config(64, 97, "retrain"), table)) == 1
    assert problems(2, monkeypatch, config(65), STEPS, searches=False) == []
    assert problems(2, monkeypatch, config(65, 97), STEPS, own_loaders=True) == []


def test_a_script_that_only_evaluates_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path)
    trainer._own_loaders = None
    trainer.config.evaluation.batch_size = 100
    monkeypatch.setattr(_ranks, "world_size", lambda: 3)
    with pytest.raises(ConfigError, match=r"evaluation\.batch_size=100 is .* 3 ranks .* set it to 99 or 102"):
        trainer.evaluate()


def test_trials_are_not_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    (said,) = problems(4, monkeypatch, config(65), TRIALS)
    assert said.startswith("SimpleNamespace evaluates one architecture after the other") and "search.workers=4" in said
    assert problems(4, monkeypatch, config(), TRIALS, searches=False) == []


@pytest.mark.parametrize(("gpus", "local", "name"), [(4, 4, "auto"), (4, 2, "cuda")])
def test_each_rank_has_a_gpu(monkeypatch: pytest.MonkeyPatch, gpus: int, local: int, name: str) -> None:
    _machine(monkeypatch, gpus, local)
    assert resolve_device(name) == torch.device("cuda", 1) and resolve_device("cpu") == torch.device("cpu")


def test_more_ranks_than_gpus_and_one_gpu_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, 2, 4)
    for name in ("auto", "cuda"):
        with pytest.raises(ConfigError, match="4 ranks were started on this machine, which has 2 GPUs: start --nproc-"):
            resolve_device(name)
    with pytest.raises(ConfigError, match="device='cuda:1' is one GPU, and there are 4 ranks"):
        resolve_device("cuda:1")


def _machine(monkeypatch: pytest.MonkeyPatch, gpus: int, local: int) -> None:
    monkeypatch.setattr(environment.torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(environment.torch.cuda, "device_count", lambda: gpus)
    for key, value in {"RANK": 1, "WORLD_SIZE": local, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": local}.items():
        monkeypatch.setenv(key, str(value))


def test_what_is_said_of_the_last_checkpoint(tmp_path: Path) -> None:
    assert _ranks._how_to_go_on(tmp_path) == (
        f"No checkpoint was written yet in {tmp_path} (as this rank sees it): start again"
    )


def test_errors_of_a_lost_rank_are_told_from_others() -> None:
    lost = "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4242"
    assert is_loss(RuntimeError(lost)) and is_loss(torch.distributed.DistNetworkError("x"))
    assert not is_loss(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) and not is_loss(ValueError(lost))
    assert not is_loss(ConfigError(lost))


def test_tensors_of_a_gpu_are_exchanged_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed.torch.cuda, "current_device", lambda: 3)
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 3)
    for backend, of_cpu, of_gpu in (("gloo", cpu, cpu), ("nccl", gpu, gpu), ("cpu:gloo,cuda:nccl", cpu, gpu)):
        monkeypatch.setattr(distributed.dist, "get_backend", lambda told=backend: told)
        assert (distributed._device(cpu), distributed._device(gpu)) == (of_cpu, of_gpu)
