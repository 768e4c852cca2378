"""Subject: what a proxy looks at, a network and one batch, and the few things that proxies ask of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from naslib.errors import DataError, PredictorError
from naslib.tasks import Task
from naslib.utils.passage import Passage

from .untouched import seeded_aside, set_modes, untouched

LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
_RECTIFIERS = (nn.ReLU, nn.Hardtanh, nn.LeakyReLU, nn.PReLU, nn.RReLU)  # ReLU6 is a Hardtanh
_SMOOTH = (nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.ELU, nn.CELU, nn.SELU, nn.Softplus)
_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)


class Subject:
    """A network and one batch of a task, for a proxy to look at.

    Nothing is dropped (dropout and drop-path are in evaluation mode), and batch norm normalises by the batch, as in the
    authors' codes, whose networks are in training mode.

    Args:
        network: The network; whoever makes a Subject keeps it from harm (`observed`).
        task: What learning means.
        batches: What `Task.to_device` returned, at least one.
        generator: Of what a proxy draws, on the CPU.

    Attributes:
        device: Where the network is.
        dtype: What it computes in.
    """

    def __init__(self, network: nn.Module, task: Task, batches: Sequence[Any], generator: torch.Generator) -> None:
        self.network, self.task, self.batches, self.generator = network, task, tuple(batches), generator
        self.device, self.dtype = place_of(network, task)
        self._handles: list[Any] = []

    # the batch

    def _pair(self) -> tuple[Tensor, Tensor]:
        batch = self.batches[0]
        if isinstance(batch, tuple) and len(batch) == 2 and all(isinstance(item, Tensor) for item in batch):
            return batch[0], batch[1]
        raise PredictorError(
            f"the batches of the task {type(self.task).__name__} are no pairs of tensors (inputs, targets), which this "
            "proxy takes"
        )

    def inputs(self) -> Tensor:
        """Return a copy of the inputs of the first batch, `(n, ...)`.

        Raises:
            PredictorError: If the batch of a task of one's own is no pair.
        """
        return self._pair()[0].detach().clone()

    def targets(self) -> Tensor:
        """Return the targets of the first batch, `(n, ...)`."""
        return self._pair()[1]

    def differentiable_inputs(self, proxy: str) -> Tensor:
        """Return a copy of the inputs of the first batch that takes gradients, `(n, ...)`.

        Args:
            proxy: Who asks, for the message.

        Raises:
            PredictorError: If they are tokens.
        """
        inputs = self.inputs()
        if not inputs.is_floating_point():
            raise PredictorError(
                f"{proxy} differentiates by the inputs, and those of {type(self.task).__name__} are tokens "
                f"({inputs.dtype}); proxies of weights (snip, synflow, grad_norm) take any"
            )
        return inputs.requires_grad_(True)

    def class_targets(self, proxy: str) -> Tensor:
        """Return one class per input, `(n,)` int64.

        Raises:
            PredictorError: If the task has other targets.
        """
        targets = self.targets()
        if targets.dim() != 1 or targets.is_floating_point():
            raise PredictorError(
                f"{proxy} needs one class per input; the targets of {type(self.task).__name__} are "
                f"{tuple(targets.shape)} of {targets.dtype}"
            )
        return targets

    def noise(self, like: Tensor) -> Tensor:
        """Return standard normal numbers like a tensor `(*)`, in its shape and type, from the proxy's own generator."""
        drawn = torch.randn(like.shape, generator=self.generator, dtype=torch.float64)
        return drawn.to(device=like.device, dtype=like.dtype)

    # forwards

    def outputs(self, inputs: Tensor | None = None) -> Tensor:
        """Return the outputs of the network, `(n, ...)`; the inputs are those of the first batch if None.

        Raises:
            PredictorError: If one input meets batch norm, or the network returns no tensor.
        """
        found = self._forward(self.batches[0] if inputs is None else self._with_inputs(inputs))
        if isinstance(found, tuple | list) and found:
            found = found[0]
        if not isinstance(found, Tensor):
            raise PredictorError(f"the network returns a {type(found).__name__}, not a tensor of outputs")
        return found

    def loss(self, batch: Any = None) -> Tensor:
        """Return the task's loss of a batch, a scalar; of the first one if None."""
        batch = self.batches[0] if batch is None else batch
        return self.task.loss(self._forward(batch), batch)

    def _with_inputs(self, inputs: Tensor) -> Any:
        _, targets = self._pair()
        pair = (inputs, targets)
        return Passage(pair) if isinstance(self.batches[0], Passage) else pair

    def _forward(self, batch: Any) -> Any:
        tensor = batch[0] if isinstance(batch, tuple) else None
        if isinstance(tensor, Tensor):
            if len(tensor) < 2 and any(m.training for m in self.network.modules() if isinstance(m, _BatchNorm)):
                raise PredictorError("batch norm normalises by the batch, which must have at least two inputs, not one")
            if isinstance(batch, Passage):
                batch = Passage((tensor.clone(), *batch[1:]), memory=copy.deepcopy(batch.memory))
            else:
                batch = (tensor.clone(), *batch[1:])
        return self.task.forward(self.network, batch)

    # weights and their gradients

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the trained weights of two or more dimensions, by name, without embeddings of tokens.

        In a convolutional network these are the weights of convolutions and linear layers, no biases or norms.

        Raises:
            PredictorError: If there are none.
        """
        tables = {id(m.weight) for m in self.network.modules() if isinstance(m, nn.Embedding)}
        found = {
            name: parameter
            for name, parameter in self.network.named_parameters()
            if parameter.dim() > 1 and parameter.requires_grad and id(parameter) not in tables
        }
        if not found:
            raise PredictorError("the network has no weights that are trained (of two dimensions or more)")
        return found

    def gradients(self, loss: Tensor, *, graph: bool = False) -> dict[str, Tensor]:
        """Return the gradient of a scalar with respect to each weight; zeros where it does not depend on it.

        Args:
            loss: The scalar.
            graph: Whether the gradients can be differentiated in turn.
        """
        weights = self.weights()
        if not loss.requires_grad:
            return {name: torch.zeros_like(weight) for name, weight in weights.items()}
        found = torch.autograd.grad(loss, list(weights.values()), create_graph=graph, allow_unused=True)
        pairs = zip(weights.items(), found, strict=True)
        return {name: torch.zeros_like(weight) if grad is None else grad for (name, weight), grad in pairs}

    # modules

    def norms(self) -> list[_BatchNorm]:
        """Return the batch norms."""
        return [module for module in self.network.modules() if isinstance(module, _BatchNorm)]

    def activations(self, proxy: str) -> list[nn.Module]:
        """Return the rectifiers of the network; where it has none, its smooth activations (GELU, SiLU ...).

        Args:
            proxy: Who asks, for the message.

        Raises:
            PredictorError: If there are neither.
        """
        modules = list(self.network.modules())
        for kinds in (_RECTIFIERS, _SMOOTH):
            found: list[nn.Module] = [module for module in modules if isinstance(module, kinds) and _gates(module)]
            if found:
                return found
        raise PredictorError(
            f"{proxy} reads which units are active, and the network has no module such as nn.ReLU or nn.GELU "
            "(functions such as F.relu are not seen)"
        )

    def watch(self, modules: Sequence[nn.Module], see: Callable[..., Any], *, before: bool = False) -> None:
        """Call `see(module, inputs, output)`, or `see(module, inputs)` before the forward; ends with the Subject."""
        for module in modules:
            register = module.register_forward_pre_hook if before else module.register_forward_hook
            self._handles.append(register(see))

    def unwatch(self) -> None:
        """End all watching."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def signs(self, proxy: str, inputs: Tensor | None = None) -> list[Tensor]:
        """Return, for each activation in the order of execution, which units are active, `(n, units)` bool.

        Args:
            proxy: Who asks, for the message.
            inputs: `(n, ...)`; those of the first batch if None.

        Raises:
            PredictorError: If the network has no activations.
        """
        found: list[Tensor] = []
        self.watch(self.activations(proxy), lambda _, given: found.append((given[0] > 0).flatten(1)), before=True)
        with torch.no_grad():
            self.outputs(inputs)
        self.unwatch()
        if not found:
            raise PredictorError(f"{proxy} reads which units are active, and no activation of the network ran")
        return found

    def features(self, inputs: Tensor) -> Tensor:
        """Return what enters the global pool; where there is none, the last linear layer; else the outputs.

        Args:
            inputs: `(n, ...)`.
        """
        seen: dict[str, Tensor] = {}
        pools = [m for m in self.network.modules() if isinstance(m, _POOLS) and _is_one(m.output_size)]
        linear = [m for m in self.network.modules() if isinstance(m, nn.Linear)]
        self.watch(pools, lambda _, given: seen.update(pool=given[0].clone()), before=True)
        self.watch(linear, lambda _, given: seen.update(linear=given[0].clone()), before=True)
        outputs = self.outputs(inputs)
        self.unwatch()
        return seen.get("pool", seen.get("linear", outputs))


def place_of(network: nn.Module, task: Task) -> tuple[torch.device, torch.dtype]:
    """Return device and floating type of a network, by its first parameter; where it has none, the task's type."""
    first = next((p for p in network.parameters() if p.is_floating_point()), None)
    return (torch.device("cpu"), task.dtype) if first is None else (first.device, first.dtype)


@contextmanager
def observed(network: nn.Module, task: Task, batch: Any, seed: int) -> Iterator[Subject]:
    """Yield a Subject; the network, the global generators and the batch are untouched on leaving.

    Args:
        network: The network.
        task: What learning means.
        batch: What a loader yields, or a list of such batches.
        seed: Of everything that is drawn.

    Raises:
        DataError: If the batch does not fit the task.
    """
    device, dtype = place_of(network, task)
    own = copy.copy(task.plain())
    own.dtype = dtype
    if isinstance(getattr(own, "criterion", None), nn.Module):  # a copy of it: it may hold weights of classes
        own.criterion = copy.deepcopy(cast("nn.Module", own.criterion)).to(device, dtype)
    batches = [own.to_device(one, device) for one in split_batches(batch)]
    problems = [problem for one in batches for problem in own.batch_problems(one)]
    if problems:
        raise DataError(f"the batch does not fit the task {type(task).__name__}: {'; '.join(problems)}")
    generator = torch.Generator().manual_seed(seed % 2**63)
    autocast = torch.autocast(device.type, enabled=False)
    with seeded_aside(seed, device), untouched(network), torch.inference_mode(False), torch.enable_grad(), autocast:
        set_modes(network)
        subject = Subject(network, own, batches, generator)
        try:
            yield subject
        finally:
            subject.unwatch()


def split_batches(batch: Any) -> list[Any]:
    """Return the batches of a list of batches; a batch by itself is the only one.

    A list or tuple without a tensor or array in it is a list of batches; `[inputs, targets]` is one batch.

    Raises:
        DataError: If there is none.
    """
    if isinstance(batch, list | tuple) and not isinstance(batch, Passage):
        if not batch:
            raise DataError("a proxy needs a batch, and the list of batches is empty")
        if not any(isinstance(one, Tensor | np.ndarray) for one in batch):
            return list(batch)
    return [batch]


def _gates(module: nn.Module) -> bool:
    """Say whether units are off below zero: of Hardtanh only those that are a rectifier with a ceiling are."""
    return not isinstance(module, nn.Hardtanh) or module.min_val == 0


def _is_one(size: Any) -> bool:
    return all(entry == 1 for entry in size) if isinstance(size, Sequence) else size == 1
