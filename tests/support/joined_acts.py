"""What tests of joined tasks let ranks do, and one process to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from joined_searches import plain
from small_spaces import ConvSpace, images
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from naslib.errors import NASLibError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_basic import DropPath
from naslib.tasks import Classification, LanguageModelling
from naslib.tasks.joined import joined, passes_over
from naslib.tasks.parts_of_batch import SharedRows
from naslib.training.evaluate import RetrainSettings, RetrainTask
from naslib.training.evaluate import test as measure
from naslib.utils.distributed import LocalRows, means_over_ranks, rank, share_of
from naslib.utils.joined_forward import on_rows
from naslib.utils.passage import Passage, held_memory
from naslib.utils.rows import HeldRows

CPU = torch.device("cpu")


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Return numbers in float64, the same ones everywhere."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def norm_derivatives(n: int, is_shared: bool) -> dict[str, Any]:
    """Return what batch norm gives, and derivatives of a loss of it, on shares of the rows."""
    mine = share_of(n) if is_shared else slice(0, n)
    x = numbers(n, 3, 2, 2)[mine].requires_grad_()
    weight, bias = numbers(3, seed=1).requires_grad_(), numbers(3, seed=2).requires_grad_()
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    rows = HeldRows(mine.start, mine.stop, n, n, True) if is_shared else None

    def loss(scale: Tensor) -> Tensor:
        with on_rows(rows):
            y = F.batch_norm(x.square(), mean, var, scale, bias, True, 0.3, 1e-5)
            return (y.tanh().square() * numbers(n, 3, 2, 2, seed=3)[mine]).sum()

    value = loss(weight)
    of_x, of_weight, of_bias = torch.autograd.grad(value, [x, weight, bias], create_graph=True)
    second = torch.autograd.grad(of_weight.sum(), weight, retain_graph=True)[0]
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(weight.detach().requires_grad_(), numbers(3, seed=4))
        (found,) = torch.autograd.grad(loss(dual), dual)
        tangent = forward_ad.unpack_dual(found).tangent
    return plain({"x": of_x, "weight": of_weight, "bias": of_bias, "mean": mean, "var": var, "tangent": tangent}) | {
        "second": plain(second)
    }


def shared_rows(n: int) -> dict[str, Any]:
    """Return what a batch looks like of which a loader made the rows of this rank."""
    task = joined(Classification())
    x, targets = images(n, dtype=torch.float32)
    mine = share_of(n)
    batch = task.to_device(LocalRows((x[mine], targets[mine]), n), CPU)
    network = nn.Sequential(nn.Flatten(), nn.Linear(128, 3))
    with torch.no_grad():
        network[1].weight.copy_(numbers(3, 128, seed=5))
        network[1].bias.zero_()
    outputs = task.forward(network, batch)
    meter = task.meter()
    meter.update(outputs, batch, task.loss(outputs, batch))
    return {
        "local": len(batch.local[0]) if isinstance(batch, SharedRows) else None,
        "targets": plain(batch[1]),
        "inputs": plain(batch[0]),
        "shape": task.shape_of(batch),
        "measured": (meter.read().loss, meter.read().deciding),
        "wanted": plain(network(x)),
        "outputs": plain(outputs),
    }


class Remembering(nn.Module):
    """A recurrent layer that goes on where it was, and notes its outputs."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.cell = nn.RNNCell(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, t, size)`."""
        memory = held_memory()
        assert memory is not None
        state = memory.before.get("state", x.new_zeros(x.shape[0], x.shape[2]))
        outputs = []
        for word in x.unbind(1):
            state = self.cell(word, state)
            outputs.append(state)
        memory.after["state"] = state.detach()
        joined = torch.stack(outputs, dim=1)
        memory.note(joined, joined * 0.5)
        return joined


def passages() -> list[Any]:
    """Return losses of a recurrent network on texts that go on, and what it remembers."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        task = joined(LanguageModelling(activation=0.5, slowness=0.25))
        embedding, layer, decoder = nn.Embedding(5, 4), Remembering(4), nn.Linear(4, 5)
        network = nn.Sequential(embedding, layer, decoder)
    finally:
        torch.set_default_dtype(torch.float32)
    memory, found = None, []
    for number in range(3):
        tokens = torch.randint(5, (5, 4), generator=torch.Generator().manual_seed(number))
        batch = task.to_device(Passage((tokens[:, :-1], tokens[:, 1:]), True), CPU)
        memory_before = memory
        memory = task.remember(batch, memory_before)
        outputs = task.forward(network, batch)
        loss = task.weight_loss(outputs, batch)
        gradients = means_over_ranks(torch.autograd.grad(loss, list(network.parameters())))
        found.append(plain([outputs, loss, list(gradients), dict(batch.memory.after)]))
    return found


def retrained(keywords: dict[str, Any], n: int, tmp: str) -> dict[str, Any]:
    """Return a network after some steps of retraining, and how it was tested."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        network = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), DropPath(nn.Conv2d(4, 4, 1), 0.4), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
        )  # fmt: skip
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        settings = RetrainSettings(2, grad_clip=0.5, **keywords)
        task = Classification(class_weights=[1.0, 2.0, 5.0]).to(CPU, torch.float64)
        task.criterion.weight = task.criterion.weight.double()
        place = (CPU, False, None, tmp)
        trained = RetrainTask(network, optimizer, None, task, [images(5, seed=9)], settings, *place)
        if keywords.get("accumulate"):
            network[1].eval()
        for step in range(3):
            data = trained.task.to_device(images(n, seed=step), CPU)
            if keywords.get("accumulate"):
                trained._descend(data, step)
            else:
                trained.train_step(data, step)
        read = trained.meters["training"].read()
        tests = measure(network, [images(n, seed=7), images(3, seed=8)], trained.task.plain(), CPU)
        return plain(
            {"state": network.state_dict(), "train": [read.loss, read.deciding], "test": [tests.loss, tests.deciding]}
        )
    finally:
        torch.set_default_dtype(torch.float32)


class TwoEnds(Graph):
    """1 -> 2 -> 4, with an auxiliary sink 3; all nodes have `(n, size)`."""

    def __init__(self) -> None:
        super().__init__()
        self.add_nodes_from(range(1, 5))
        for start, end, size in ((1, 2, 4), (2, 4, 3), (2, 3, 3)):
            self.add_edge(start, end)
            self.edges[start, end].set("op", nn.Linear(4, size))


def with_auxiliary(accumulate: int, n: int, tmp: str) -> list[Any]:
    """Return weights and mean loss of a network with an auxiliary output after each of some steps of retraining."""
    torch.manual_seed(0)
    network = TwoEnds().double()
    network.compile()
    network.parse()
    optimizer = torch.optim.SGD(network.parameters(), 0.5)
    settings = RetrainSettings(2, auxiliary_weight=0.4, accumulate=accumulate)
    task = Classification().to(CPU, torch.float64)
    trained = RetrainTask(network, optimizer, None, task, None, settings, CPU, False, None, Path(tmp))
    found = []
    for step in range(3):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(n, 4, dtype=torch.float64, generator=generator)
        targets = torch.randint(3, (n,), generator=generator)
        targets[: 5 * (step == 1)] = -100  # ignored: the first of two passes over 9 rows weighs nothing
        trained._descend((x, targets), step)
        found.append([plain(list(network.parameters())), trained.meters["training"].read().loss])
    return found


def unsynced_statistics() -> dict[str, Any]:
    """Return running statistics after a step where each rank normalises its own rows."""
    torch.manual_seed(0)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(ConvSpace())
    optimizer.before_training()
    optimizer.graph.double().train()
    optimizer.task.to(CPU, torch.float64)
    optimizer.step(images(), images(seed=1))
    stem = optimizer.graph.edges[1, 2].op
    return {"state": plain(optimizer.graph.state_dict()), "stem": plain(stem.seq[1].running_mean)}


def dropped(n: int, accumulate: int = 1) -> dict[str, Any]:
    """Return what dropout of torch's leaves of a batch, and what is drawn next."""
    task = joined(Classification(), accumulate=accumulate)
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout2d(0.4), nn.Conv2d(3, 4, 1), nn.Dropout(0.3, inplace=True))
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(3)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(0.5)
        x = torch.linspace(1, 2, n * 12).view(n, 3, 2, 2).contiguous(memory_format=layout)
        found.append(task.forward(network, (x, torch.zeros(n))).detach())
        found.append(torch.rand(2))
    return plain({"found": found})


def unequal_draws() -> list[float]:
    """Return what is drawn after a forward of unequal shares that draws by its own means."""
    torch.manual_seed(3)
    joined(Classification()).forward(lambda x: x + torch.rand(x.shape), (torch.ones(7, 2), torch.zeros(7)))
    return torch.rand(2).tolist()


def different_weights() -> str:
    """Return what is said where ranks begin with different weights."""
    torch.manual_seed(rank())
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(ConvSpace())
    optimizer.before_training()
    try:
        optimizer.new_epoch(0)
    except NASLibError as error:
        return str(error)
    return "nothing was raised"


def rows_of_passes(n: int, accumulate: int) -> list[int]:
    """Return how many rows each pass has on this rank."""
    return [len(each.batch[0]) for each in passes_over(joined(Classification(), accumulate=accumulate), images(n))]


def rows_run(n: int, synced: bool) -> list[int]:
    """Return how many rows a network runs on, on this rank."""
    seen: list[int] = []

    def network(x: Tensor) -> Tensor:
        seen.append(len(x))
        return x.flatten(1)

    joined(Classification(), synced).forward(network, images(n))
    return seen
