"""Loaders of a user's own: what randomness they carry goes on bit for bit, or the resumption says that it may not."""

from __future__ import annotations

import functools
import io
import itertools
import logging
import os
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from training_runs import differences, load, small_trainer, tensors

from naslib.training.checkpoint import get_last_checkpoint, serialize
from naslib.training.loaders import BatchCursor
from naslib.training.plain import to_plain
from naslib.utils.generators import set_state, state_of
from naslib.utils.seeding import rng_restore, rng_snapshot, set_seed

CPU, N = torch.device("cpu"), 14
_MODULE_GENERATOR = np.random.default_rng(0)


class Images(Dataset):
    """Numbers as images; `noise` adds what it returns."""

    def __init__(self, noise: Callable[[], float] = lambda: 0.0) -> None:
        self.noise = noise

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int):
        return torch.full((2,), index + self.noise(), dtype=torch.float64), index


class ReadsAModuleVariable(Images):
    def __getitem__(self, index: int):
        def draw() -> float:
            return _MODULE_GENERATOR.random()

        return torch.full((2,), index + draw(), dtype=torch.float64), index


class Shuffled(Sampler[int]):
    """A sampler with a generator of Python or numpy."""

    def __init__(self, rng) -> None:
        self.rng = rng

    def __iter__(self):
        order = list(range(N))
        self.rng.shuffle(order)
        return iter(order)

    def __len__(self) -> int:
        return N


class Batches(Shuffled):
    def __iter__(self):
        order = self.rng.permutation(N).tolist()
        return iter([order[i : i + 4] for i in range(0, N, 4)])

    def __len__(self) -> int:
        return 4


class Stream(IterableDataset):
    """A stream whose order comes from a generator of its own; has no length."""

    def __init__(self, rng) -> None:
        self.rng = rng

    def __iter__(self):
        return ((torch.full((2,), float(i)), int(i)) for i in self.rng.permutation(N))


def _pair(order) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.tensor(list(order))
    return labels.double(), labels


class ByEpoch:
    """A loader that derives its order from a counter of epochs."""

    def __init__(self) -> None:
        self.epoch = 0

    def __iter__(self):
        order = np.random.default_rng(self.epoch).permutation(N)
        self.epoch += 1
        return (_pair(order[i : i + 4]) for i in range(0, N, 4))


class InPlace:
    """A loader that shuffles its list of images again and again."""

    def __init__(self, kind: str) -> None:
        self.items = {"list": list(range(1000, 1000 + N)), "array": np.arange(N), "tensor": torch.arange(N)}[kind]

    def __iter__(self):
        if isinstance(self.items, torch.Tensor):
            self.items[:] = self.items[torch.randperm(N)]
        else:
            (random if isinstance(self.items, list) else np.random).shuffle(self.items)
        return (_pair(list(self.items[i : i + 4])) for i in range(0, N, 4))


class Stateful:
    """A loader with the protocol of torchdata: its state is a position, from which the next iteration goes on.

    Args:
        stays_at_end: Whether a state of the end of an epoch yields nothing before the next epoch begins.
    """

    def __init__(self, stays_at_end: bool) -> None:
        self.stays_at_end = stays_at_end
        self._epoch, self._place, self._loaded = 0, 0, False

    def __iter__(self):
        if not self._loaded and self._place:
            self._epoch, self._place = self._epoch + 1, 0
        if self._loaded and not self.stays_at_end and self._place >= N:
            self._epoch, self._place = self._epoch + 1, 0
        self._loaded = False
        order = np.random.default_rng(self._epoch).permutation(N)
        while self._place < N:
            self._place += 4
            yield _pair(order[self._place - 4 : self._place])

    def state_dict(self):
        return {"epoch": self._epoch, "place": self._place}

    def load_state_dict(self, state) -> None:
        self._epoch, self._place, self._loaded = state["epoch"], state["place"], True


class Pending(Stateful):
    """A stateful loader that takes a loaded state when it is iterated, and knows nothing of it before."""

    _pending = None

    def __iter__(self):
        if self._pending is not None:
            super().load_state_dict(self._pending)
            self._pending = None
        return super().__iter__()

    def load_state_dict(self, state) -> None:
        self._pending = state


class StatefulSampler(Shuffled):
    """A sampler that gives its state itself, in a class that hides its generator."""

    def __init__(self) -> None:
        self._hidden = [np.random.default_rng(3)]

    def __iter__(self):
        return iter(self._hidden[0].permutation(N).tolist())

    def state_dict(self):
        return {"hidden": state_of(self._hidden[0])}

    def load_state_dict(self, state) -> None:
        set_state(self._hidden[0], state["hidden"])


class ClassGenerator(Images):
    rng = random.Random(0)

    def __getitem__(self, index: int):
        return torch.full((2,), index + self.rng.random(), dtype=torch.float64), index


class Slots:
    __slots__ = ("rng",)

    def __init__(self) -> None:
        self.rng = np.random.RandomState(4)

    def __call__(self) -> float:
        return self.rng.rand()


class Forgetful(DataLoader):
    """A loader whose state lacks its generator and has counters of its own."""

    steps = 0

    def __iter__(self):
        self.steps += 1
        return super().__iter__()

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state) -> None:
        self.steps = state["steps"]


def _torch_generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def _closure() -> Callable[[], float]:
    rng = np.random.Generator(np.random.Philox(7))
    return lambda: rng.random()


def _collate(rng: random.Random, items):
    images, labels = zip(*items, strict=True)
    return torch.stack(images) * rng.random(), torch.tensor(labels)


def _reset_shared() -> None:
    """Bring the generators of module and class to where a new process has them."""
    _MODULE_GENERATOR.bit_generator.state = np.random.default_rng(0).bit_generator.state
    ClassGenerator.rng.seed(0)


def _loader(**options) -> DataLoader:
    return DataLoader(options.pop("dataset", Images()), **{"batch_size": 4, **options})


KINDS: dict[str, Callable[[], object]] = {
    "global generator": lambda: _loader(shuffle=True),
    "generator": lambda: _loader(shuffle=True, generator=_torch_generator()),
    "random sampler": lambda: _loader(sampler=RandomSampler(range(N), generator=_torch_generator())),
    "with replacement": lambda: _loader(
        sampler=RandomSampler(range(N), replacement=True, num_samples=40, generator=_torch_generator())
    ),
    "weighted": lambda: _loader(sampler=WeightedRandomSampler([1.0] * N, N, generator=_torch_generator())),
    "subset": lambda: _loader(sampler=SubsetRandomSampler(range(N), generator=_torch_generator())),
    "batch sampler": lambda: DataLoader(
        Images(), batch_sampler=BatchSampler(RandomSampler(range(N), generator=_torch_generator()), 4, True)
    ),
    "numpy batch sampler": lambda: DataLoader(Images(), batch_sampler=Batches(np.random.default_rng(2))),
    "python sampler": lambda: _loader(sampler=Shuffled(random.Random(2))),
    "legacy numpy sampler": lambda: _loader(sampler=Shuffled(np.random.RandomState(2))),
    "Mersenne twister": lambda: _loader(dataset=Images(np.random.Generator(np.random.MT19937(1)).random)),
    "dataset": lambda: _loader(dataset=Images(_Noise(np.random.Generator(np.random.SFC64(1))))),
    "bits": lambda: _loader(dataset=Images(_Noise(np.random.PCG64DXSM(6)))),
    "closure": lambda: _loader(dataset=Images(_closure())),
    "slots": lambda: _loader(dataset=Images(Slots())),
    "collate": lambda: _loader(collate_fn=functools.partial(_collate, random.Random(9))),
    "module variable": lambda: _loader(dataset=ReadsAModuleVariable()),
    "class variable": lambda: _loader(dataset=ClassGenerator()),
    "nested": lambda: _loader(dataset=Images(_Noise({"a": [(np.random.default_rng(3),)]}))),
    "stream": lambda: _loader(dataset=Stream(np.random.default_rng(3))),
    "counter of epochs": ByEpoch,
    "list in place": lambda: InPlace("list"),
    "array in place": lambda: InPlace("array"),
    "tensor in place": lambda: InPlace("tensor"),
    "stateful": lambda: Stateful(False),
    "stateful that stays at the end": lambda: Stateful(True),
    "stateful with a delay": lambda: Pending(True),
    "stateful but for its generator": lambda: Forgetful(
        Images(), batch_size=4, shuffle=True, generator=_torch_generator()
    ),
    "stateful sampler": lambda: _loader(sampler=StatefulSampler()),
}


class _Noise:
    """Draws from whatever holds a generator."""

    def __init__(self, source) -> None:
        self.source = source

    def __call__(self) -> float:
        source = self.source
        while isinstance(source, dict | list | tuple):
            source = source["a"] if isinstance(source, dict) else source[0]
        if isinstance(source, np.random.BitGenerator):
            return source.random_raw() / 2**64
        return source.random()


def _draw() -> torch.Tensor:
    """Draw as a training does between batches."""
    return torch.tensor([float(torch.rand(())), random.random(), np.random.rand()])


def _batches(cursor: BatchCursor, epochs: int, start: tuple[int, int] = (0, 0)) -> Iterator[tuple]:
    """Go through epochs as the loops do; yield (epoch, step, batch and draw), None at the end of an epoch."""
    epoch, step = start
    while epoch < epochs:
        if step == 0:
            cursor.begin(epoch)
        while (batch := cursor.next_in_epoch()) is not None:
            step += 1
            yield epoch, step, (*(part.clone() for part in batch), _draw())
        yield epoch + 1, 0, None
        epoch, step = epoch + 1, 0


def _as_read(state):
    """Return a state after a trip through a file."""
    return torch.load(io.BytesIO(serialize(to_plain(state)).getvalue()), weights_only=True)


def _new_process(make: Callable[[], object], name: str = "training") -> BatchCursor:
    _reset_shared()
    set_seed(99)
    return BatchCursor(make(), CPU, name=name)


def _check_every_place(make: Callable[[], object], epochs: int = 3) -> None:
    """Stop after each batch and each epoch, go on in another process, and compare with the whole."""
    _reset_shared()
    set_seed(11)
    cursor, whole, states = BatchCursor(make(), CPU), [], []
    for epoch, step, batch in _batches(cursor, epochs):
        whole.append(batch)
        states.append(((epoch, step), _as_read({"cursor": cursor.state_dict(), "rng": rng_snapshot()})))
    orders = [batch[1].tolist() for batch in whole if batch is not None]
    per_epoch = whole.index(None)
    assert per_epoch >= 3 and orders[:per_epoch] != orders[per_epoch : 2 * per_epoch]
    for index, (start, state) in enumerate(states):
        resumed = _new_process(make)
        resumed.load_state_dict(state["cursor"])
        rng_restore(state["rng"])
        rest = [batch for *_, batch in _batches(resumed, epochs, start)]
        _compare(whole[index + 1 :], rest, start)


def _compare(expected: list, found: list, start: tuple[int, int]) -> None:
    assert len(expected) == len(found), start
    for a, b in zip(expected, found, strict=True):
        assert (a is None) == (b is None), start
        assert a is None or all(torch.equal(x, y) for x, y in zip(a, b, strict=True)), start


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_bit_for_bit_from_every_place(kind, caplog):
    make = KINDS[kind]
    if kind in ("collate", "module variable", "class variable", "Mersenne twister", "dataset", "bits", "closure",
                "slots", "nested"):  # fmt: skip
        make = _shuffling(make)
    with caplog.at_level(logging.WARNING, "naslib"):
        _check_every_place(make)
    assert not caplog.text


def _shuffling(make: Callable[[], DataLoader]) -> Callable[[], DataLoader]:
    """Return the loader with another order in each epoch, too."""

    def shuffled() -> DataLoader:
        loader = make()
        return DataLoader(loader.dataset, batch_size=4, shuffle=True, collate_fn=loader.collate_fn)

    return shuffled


# what cannot be exact


def _workers(persistent: bool) -> DataLoader:
    noise = functools.partial(torch.rand, ())
    return DataLoader(
        Images(lambda: float(noise())) if not persistent else Images(), batch_size=4, shuffle=True, num_workers=1,
        generator=_torch_generator(), persistent_workers=persistent, multiprocessing_context="fork",
    )  # fmt: skip


def test_worker_processes(caplog):
    with caplog.at_level(logging.WARNING, "naslib"):
        _check_every_place(lambda: _workers(False), epochs=2)
    assert not caplog.text


def test_workers_that_live_through_epochs_keep_the_order_and_say_so(caplog):
    with caplog.at_level(logging.WARNING, "naslib"):
        _check_every_place(lambda: _workers(True), epochs=2)
    assert "the training loader (DataLoader) may go on with other batches" in caplog.text
    assert "persistent_workers" in caplog.text


class Counts:
    """A loader whose order hangs on a number that no name tells of."""

    def __init__(self) -> None:
        self.calls = 0

    def __iter__(self):
        self.calls += 1
        order = np.random.default_rng(self.calls).permutation(N)
        return (_pair(order[i : i + 4]) for i in range(0, N, 4))


class FromTheSystem(Counts):
    def __init__(self) -> None:
        self.rng = random.SystemRandom()

    def __iter__(self):
        order = self.rng.sample(range(N), N)
        return (_pair(order[i : i + 4]) for i in range(0, N, 4))


class Hidden(Counts):
    """A loader whose order comes from nowhere."""

    def __init__(self) -> None:
        self.seed = int.from_bytes(os.urandom(4), "big")

    def __iter__(self):
        order = np.random.default_rng(int.from_bytes(os.urandom(4), "big")).permutation(N)
        return (_pair(order[i : i + 4]) for i in range(0, N, 4))


class Endless(Counts):
    def __init__(self) -> None:
        self.items = itertools.cycle(range(N))

    def __iter__(self):
        return (_pair(list(itertools.islice(self.items, 3))) for _ in range(4))


class Weights(Counts):
    def __init__(self) -> None:
        self.weights = np.ones(N)

    def __iter__(self):
        order = np.random.default_rng(0).choice(N, N, p=self.weights / self.weights.sum())
        self.weights[order[0]] += 1
        return (_pair(order[i : i + 4]) for i in range(0, N, 4))


@pytest.mark.parametrize(
    ("make", "stop", "said"),
    [
        (Counts, (1, 0), "calls has changed"),
        (Counts, (1, 2), "calls has changed"),
        (FromTheSystem, (1, 0), "rng draws from the operating system"),
        (FromTheSystem, (0, 2), "rng draws from the operating system"),
        (Hidden, (0, 2), "other labels than before"),
        (Endless, (1, 0), "items is a cycle"),
        (Weights, (1, 0), "weights has changed"),
        (lambda: (batch for batch in [_pair([1])] * 3), (0, 2), "it is a generator"),
    ],
)
def test_what_cannot_be_exact_is_said(make, stop, said, caplog):
    cursor = BatchCursor(make(), CPU, name="validation")
    for epoch, step, _ in _batches(cursor, 3):
        if (epoch, step) == stop:
            break
    state = _as_read(cursor.state_dict())
    resumed = _new_process(make, "validation")
    with caplog.at_level(logging.WARNING, "naslib"):
        resumed.load_state_dict(state)
        next(_batches(resumed, 3, stop), None)
    assert said in caplog.text and "the validation loader (" in caplog.text
    assert caplog.text.count("may go on with other batches") == 1


def test_a_loader_that_has_changed_since_is_said(caplog):
    cursor = BatchCursor(KINDS["generator"](), CPU)
    cursor.begin(0)
    cursor.next_in_epoch()
    state = cursor.state_dict()
    for make, said in (
        (KINDS["global generator"], "the state of generator, which is not there"),
        (KINDS["python sampler"], "lacks the state of sampler.rng"),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "naslib"):
            other = BatchCursor(make(), CPU)
            other.load_state_dict(state)
            other.next_in_epoch()
        assert said in caplog.text
    del state["now"], state["replay"]["carried"]  # as before loaders were looked through
    caplog.clear()
    with caplog.at_level(logging.WARNING, "naslib"):
        other = BatchCursor(KINDS["generator"](), CPU)
        other.load_state_dict(state)
        other.next_in_epoch()
    assert "earlier version" in caplog.text


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.Generator().manual_seed(3),
        lambda: np.random.default_rng(3),
        lambda: np.random.Generator(np.random.Philox(3)),
        lambda: np.random.MT19937(3),
        lambda: np.random.RandomState(3),
        lambda: random.Random(3),
    ],
)
def test_states_of_generators(make):
    def draw(generator):
        if isinstance(generator, torch.Generator):
            return torch.rand(3, generator=generator).tolist()
        if isinstance(generator, np.random.BitGenerator):
            return generator.random_raw(3).tolist()
        if isinstance(generator, random.Random):
            return [generator.gauss(0, 1) for _ in range(3)]
        return generator.standard_normal(3).tolist()

    generator = make()
    draw(generator)
    state = _as_read({"state": state_of(generator)})["state"]
    expected = draw(generator)
    other = make()
    assert set_state(other, state) and draw(other) == expected
    kinds = [
        torch.Generator(),
        np.random.default_rng(0),
        np.random.SFC64(0),
        np.random.RandomState(0),
        random.Random(0),
    ]
    unlike = [kind for kind in kinds if type(kind) is not type(generator)]
    fitting = [kind for kind in unlike if set_state(kind, state)]
    assert all(isinstance(kind, np.random.Generator | np.random.BitGenerator) for kind in fitting) and len(fitting) <= 1


# in a search and a retraining


class Stop(Exception):
    """Ends a search like a crash."""


def _own() -> dict[str, object]:
    """Return loaders whose randomness is all their own."""
    train = DataLoader(tensors(40, 0), batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(1))
    sampler = WeightedRandomSampler([1.0] * 24, 24, generator=torch.Generator().manual_seed(2))
    valid = DataLoader(tensors(24, 1), batch_size=7, sampler=sampler)
    return {"train_loader": train, "valid_loader": valid, "test_loader": DataLoader(tensors(16, 2), batch_size=8)}


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_search_and_its_retraining(tmp_path, epoch, caplog):
    whole = small_trainer(tmp_path / "a", own=_own())
    whole.search()
    whole.evaluate()

    def stop(finished: int) -> None:
        if finished == epoch:
            raise Stop

    with pytest.raises(Stop):
        small_trainer(tmp_path / "b", own=_own()).search(after_epoch=stop)
    resumed = small_trainer(tmp_path / "b", own=_own(), seed=5)
    with caplog.at_level(logging.WARNING, "naslib"):
        resumed.search(resume_from=get_last_checkpoint(resumed.config))
    assert "other batches" not in caplog.text
    resumed.evaluate()
    for name in ("search", "eval"):
        a, b = (load(tmp_path / run / name / "model_final.pth") for run in "ab")
        assert differences(a, b) == [], name
    again = small_trainer(tmp_path / "b", own=_own(), seed=6)
    again.search(resume_from=get_last_checkpoint(again.config))
    path = tmp_path / "b" / "eval" / "model_final.pth"
    path.unlink()
    again.evaluate(resume_from=str(tmp_path / "b" / "eval" / "model_0000000.pth"))
    a, b = (load(tmp_path / run / "eval" / "model_final.pth") for run in "ab")
    assert differences(a, b) == []
