"""A language model's batches: what is remembered from one to the next, and what keeps activations small and slow."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.evaluators.batches import on_device
from naslib.tasks import LanguageModelling
from naslib.utils.passage import Memory, Passage, held_memory

CPU = torch.device("cpu")


class Counting(nn.Module):
    """Add one to a state per step; note outputs of which the second half was dropped."""

    def forward(self, tokens: Tensor) -> Tensor:
        memory = held_memory()
        assert memory is not None
        n, t = tokens.shape
        state = memory.before.get("count", torch.zeros(n, 1))
        memory.after["count"] = state + t
        raw = (state + torch.arange(1, t + 1)).unsqueeze(-1)
        memory.note(raw, raw * (raw > 2))
        return torch.zeros(n, t, 3)


def batch_of(task: LanguageModelling, goes_on: bool = True, t: int = 4, share: float = 1.0) -> Passage:
    tokens = torch.zeros(2, t, dtype=torch.int32)
    return task.to_device(Passage((tokens, tokens), goes_on, share), CPU)


def test_a_passage_begins_with_what_the_one_before_left() -> None:
    task, memory, ends = LanguageModelling(), None, []
    for goes_on in (True, True, True):
        batch = batch_of(task, goes_on)
        assert batch[0].dtype == torch.int64
        memory = task.remember(batch, memory)
        for _ in range(2):
            task.forward(Counting(), batch)
        ends.append(memory.after["count"].flatten().tolist())
    assert ends == [[4, 4], [8, 8], [12, 12]]
    assert held_memory() is None


def test_other_batches_begin_at_nothing() -> None:
    task = LanguageModelling()
    before = Memory()
    before.after = {"count": torch.ones(2, 1)}
    batch = batch_of(task, goes_on=False)
    assert task.remember(batch, before) is None and not batch.memory.before
    plain = task.to_device((torch.zeros(2, 4, dtype=torch.int64),) * 2, CPU)
    assert task.remember(plain, before) is None
    task.forward(Counting(), plain)
    assert plain.memory.after["count"].tolist() == [[4], [4]]


def test_weights_are_trained_by_activations_and_their_change_besides() -> None:
    """Raw outputs are 1, 2, 3, 4, after dropout 0, 0, 3, 4; the network is undecided between 3 words."""
    plain = math.log(3)
    for activation, slowness in ((0.0, 0.0), (2.0, 0.0), (0.0, 0.5), (2.0, 0.5)):
        task = LanguageModelling(activation=activation, slowness=slowness)
        batch = batch_of(task)
        outputs = task.forward(Counting(), batch)
        expected = plain + activation * 25 / 4 + slowness * 1.0
        assert float(task.weight_loss(outputs, batch)) == pytest.approx(expected, rel=1e-6)
        assert float(task.loss(outputs, batch)) == pytest.approx(plain, rel=1e-6)
        (perplexity,) = task.summarize([float(v) for v in task.statistics(outputs, batch)])
        assert perplexity == pytest.approx(3, rel=1e-6)
        assert batch.memory.take_notes() == []  # nothing keeps what a forward computed


def test_what_cannot_be_regularized_is_said() -> None:
    task = LanguageModelling(slowness=1.0)
    batch = batch_of(task)
    outputs = task.forward(lambda tokens: torch.zeros(*tokens.shape, 3), batch)
    with pytest.raises(ConfigError, match="the network has none that notes them"):
        task.weight_loss(outputs, batch)
    with pytest.raises(ConfigError, match=r"activation and slowness must be 0 or more, not -1\.0 and 0"):
        LanguageModelling(activation=-1.0)


def test_the_rate_follows_the_length() -> None:
    task = LanguageModelling()
    assert task.rate_share(batch_of(task, share=0.4)) == 0.4
    assert task.rate_share((torch.zeros(1, 2), torch.zeros(1, 2))) == 1.0


def test_passages_travel_between_processes_and_are_copied() -> None:
    task = LanguageModelling()
    batch = batch_of(task, share=0.5)
    batch.memory.before = {"count": torch.ones(2, 1, requires_grad=True) * 2}
    batch.memory.before = {"count": batch.memory.before["count"].detach()}
    for again in (pickle.loads(pickle.dumps(batch)), copy.deepcopy(batch)):
        assert isinstance(again, Passage) and again.goes_on and again.share == 0.5
        assert torch.equal(again[0], batch[0]) and torch.equal(again.memory.before["count"], torch.full((2, 1), 2.0))


def test_trials_go_on_as_well() -> None:
    class Loader:
        def batches(self, epoch: int, start: int = 0):
            for _ in range(start, 3):
                tokens = torch.zeros(2, 4, dtype=torch.int64)
                yield Passage((tokens, tokens), goes_on=True)

    task, begins = LanguageModelling(), []
    for batch in on_device(Loader(), "training", 0, task, CPU, channels_last=False):
        begins.append(float(batch.memory.before.get("count", torch.zeros(1, 1))[0, 0]))
        task.forward(Counting(), batch)
    assert begins == [0.0, 4.0, 8.0]
