"""Every kind of loader that torch or a data library yields: a search, its retraining and test, and a resumption."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from torchvision import transforms
from training_runs import config_for, differences, load

from naslib.defaults.trainer import Trainer
from naslib.errors import DataError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces.core.graph import Graph
from naslib.training.checkpoint import get_last_checkpoint
from naslib.utils.seeding import set_seed

N, BATCH, SIZE, CLASSES = 24, 8, 6, 3
Pair = namedtuple("Pair", ["image", "label"])


def _data(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(N, 1, SIZE, SIZE, generator=generator)
    return (x * 255).round() / 255, torch.arange(N) % CLASSES


def _batches(seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    x, y = _data(seed)
    return list(zip(x.split(BATCH), y.split(BATCH), strict=True))


class Rows(Dataset):
    """A map-style data set whose items a function makes of an image and its label."""

    def __init__(self, seed: int, item: Callable[[torch.Tensor, int], Any]) -> None:
        self.x, self.y, self.item = *_data(seed), item

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> Any:
        return self.item(self.x[index], int(self.y[index]))


class Stream(IterableDataset):
    """An iterable data set without a length."""

    def __init__(self, seed: int) -> None:
        self.x, self.y = _data(seed)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        return iter([(x, int(y)) for x, y in zip(self.x, self.y, strict=True)])


class Factory:
    """A generator begun anew for each epoch."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Iterator[Any]:
        yield from _batches(self.seed)


class Pictures(Dataset):
    """A torchvision-like data set of PIL images with a transform."""

    def __init__(self, seed: int) -> None:
        self.x, self.y = _data(seed)
        self.transform = transforms.Compose([transforms.ToTensor()])

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray((self.x[index, 0] * 255).round().to(torch.uint8).numpy())
        return self.transform(picture), int(self.y[index])


def _as(kind: Callable[[torch.Tensor, torch.Tensor], Any]) -> Callable[[int], Iterable[Any]]:
    return lambda seed: [kind(x, y) for x, y in _batches(seed)]


def _rows(item: Callable[[torch.Tensor, int], Any], **options: Any) -> Callable[[int], Iterable[Any]]:
    return lambda seed: DataLoader(Rows(seed, item), BATCH, **options)


def _named(x: torch.Tensor, y: int) -> dict[str, Any]:
    return {"pixel_values": x, "labels": y}


def _collate_lists(items: list[Any]) -> tuple[list[torch.Tensor], list[int]]:
    return [x for x, _ in items], [y for _, y in items]


KINDS: dict[str, Callable[[int], Iterable[Any]]] = {
    "list of tuples": _batches,
    "tuple of lists": lambda seed: tuple([x, y] for x, y in _batches(seed)),
    "TensorDataset": lambda seed: DataLoader(TensorDataset(*_data(seed)), BATCH),
    "map-style": _rows(lambda x, y: (x, y)),
    "items with a third entry": _rows(lambda x, y: (x, y, {"path": "a.png"})),
    "items that are dicts": _rows(_named),
    "pinned": _rows(lambda x, y: (x, y), pin_memory=torch.cuda.is_available()),
    "workers": _rows(lambda x, y: (x, y), num_workers=1),
    "no collation of batches": lambda seed: DataLoader(_batches(seed), batch_size=None),
    "batches of lists": _rows(lambda x, y: (x, y), collate_fn=_collate_lists),
    "iterable": lambda seed: DataLoader(Stream(seed), BATCH),
    "factory": Factory,
    "pictures": lambda seed: DataLoader(Pictures(seed), BATCH),
    "namedtuples": _as(Pair),
    "items that are namedtuples": _rows(Pair),
    "Hugging Face": _as(lambda x, y: {"image": x, "label": y, "id": list(range(len(y)))}),
    "arrays": _as(lambda x, y: (x.numpy(), y.numpy())),
    "double precision": _as(lambda x, y: (x.numpy().astype(np.float64), y.numpy())),
    "int32 labels": _as(lambda x, y: (x, y.int())),
    "int16 arrays": _as(lambda x, y: (x.numpy(), y.numpy().astype(np.int16))),
    "lists of numbers": _as(lambda x, y: (x.tolist(), y.tolist())),
    "reversed arrays": _as(lambda x, y: (x.numpy()[::-1], y.numpy()[::-1])),
}  # fmt: skip


def _space() -> Graph:
    graph = Graph(name="macro", scope="all")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edge(1, 2, op=torch.nn.Conv2d(1, 4, 3, padding=1))
    graph.add_edge(2, 3, op=[torch.nn.Conv2d(4, 4, 1), torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.Identity()])
    pool = torch.nn.AdaptiveAvgPool2d(1)
    graph.add_edge(3, 4, op=torch.nn.Sequential(pool, torch.nn.Flatten(), torch.nn.Linear(4, CLASSES)))
    return graph


def _trainer(folder: Path, kind: Any, epochs: int = 2, others: Any = None) -> Trainer:
    set_seed(0)
    config = config_for(folder, epochs=epochs, checkpoint_steps=2)
    config.evaluation["drop_path_prob"] = 0.0  # random, and a DataLoader draws a number each time it begins
    optimizer = DARTSOptimizer(learning_rate=0.1, arch_learning_rate=0.05)
    optimizer.adapt_search_space(_space(), config.dataset)
    others = others or kind
    return Trainer(optimizer, config, train_loader=kind(0), valid_loader=others(1), test_loader=others(2))


class Stop(Exception):
    """Ends a search like a crash."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a search on plain lists of tensors finds, and its retraining and test."""
    folder = tmp_path_factory.mktemp("reference")
    trainer = _trainer(folder, _batches)
    trainer.search()
    set_seed(1)
    accuracy = trainer.evaluate()
    states = {name: load(folder / name / "model_final.pth")["model"] for name in ("search", "eval")}
    return {"accuracy": accuracy, "one_shot": trainer.evaluate_oneshot(), **states}


def _stopping(epoch: int) -> None:
    if epoch == 0:
        raise Stop


@pytest.mark.parametrize("name", KINDS)
def test_the_same_batches_in_another_wrapping_are_the_same_run(tmp_path: Path, name: str, reference: dict[str, Any]):
    first = _trainer(tmp_path, KINDS[name])
    with pytest.raises(Stop):
        first.search(after_epoch=_stopping)
    trainer = _trainer(tmp_path, KINDS[name])
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    if name == "reversed arrays":  # another order of the images of a batch: the same loss up to rounding
        assert trainer.search_trajectory.train_acc and 0 <= trainer.evaluate() <= 100
        return
    assert differences(load(tmp_path / "search" / "model_final.pth")["model"], reference["search"]) == []
    set_seed(1)
    assert trainer.evaluate() == reference["accuracy"]
    assert differences(load(tmp_path / "eval" / "model_final.pth")["model"], reference["eval"]) == []
    assert trainer.evaluate_oneshot() == reference["one_shot"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (_as(lambda x, y: x), "expected a pair"),
        (_as(lambda x, y: (x,)), "expected a pair"),
        (_as(lambda x, y: None), "expected a pair"),
        (_as(lambda x, y: {"foo": x, "bar": y}), "keys 'foo', 'bar'"),
        (_as(lambda x, y: (["a.png"] * len(y), y)), "expected a tensor or an array of numbers"),
        (_as(lambda x, y: ([x[0], x[1, :, :3]], y[:2])), "items of a batch must have one shape"),
        (_as(lambda x, y: (x, y[:-1])), "8"),
    ],
)
@pytest.mark.parametrize("phase", ["search", "retraining"])
def test_a_batch_that_cannot_be_understood_is_one_clear_error(tmp_path: Path, kind, said: str, phase: str):
    trainer = _trainer(tmp_path, kind, epochs=1, others=_batches)
    with pytest.raises(DataError) as error:
        trainer.search() if phase == "search" else trainer.evaluate(best_arch=_found())
    assert said in str(error.value) and "training" in str(error.value)
    assert not list((tmp_path / "search").glob("*.pth")) and not list((tmp_path / "eval").glob("*.pth"))


def _found() -> Graph:
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(_space())
    return optimizer.get_final_architecture()
