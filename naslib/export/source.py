"""A found network as plain PyTorch source, which needs torch alone, and its weights under the names of that source."""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from naslib.errors import ExportError, NASLibError
from naslib.search_spaces.core.batch_norm import evaluation_mode
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.own_module.graph import ModuleSearchSpace
from naslib.training.export import TrainedNetwork
from naslib.utils.text import shorten

from ._blocks import Builder
from ._classes import ClassWriter, make_classes
from ._library import Library
from ._parts import Block, ContainerSource, Torch, tensors_of, tie
from ._printing import module_text

BATCH_SIZES = (1, 3, 8)
_SEED = 0


@dataclass(frozen=True)
class NetworkSource:
    """The source of a network, and its weights.

    Attributes:
        text: A Python module with a class for each kind of block, and one for the network.
        class_name: Of the network.
        names: For each name in the `state_dict` of the written network, the tensor of the live one.
    """

    text: str
    class_name: str
    names: dict[str, Tensor]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the weights, of any shape, as the written network loads them: copies on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.names.items()}

    def build(self) -> nn.Module:
        """Run the source in an empty namespace and return the network with its weights, in evaluation mode.

        Raises:
            ExportError: If the source does not run, or its names are not those of the weights.
        """
        scope: dict[str, Any] = {"__name__": "network"}
        try:
            with torch.random.fork_rng(devices=[]):
                exec(compile(self.text, "network.py", "exec"), scope)
                network: nn.Module = scope[self.class_name]()
            like = next((tensor for tensor in self.names.values() if tensor.is_floating_point()), None)
            network = network if like is None else network.to(like.dtype)
            network.load_state_dict(self.state_dict())
        except Exception as error:
            raise ExportError(
                f"the network cannot be written as source: what was written does not run ({type(error).__name__}: "
                f"{shorten(str(error), 400)})"
            ) from error
        return network.eval()


def network_source(
    network: nn.Module,
    *,
    class_name: str = "Network",
    docstring: str | None = None,
    inputs: Tensor | None = None,
    check: bool = True,
) -> str:
    """Return the source of a network as a Python module that imports torch alone; see `write_source`.

    Inputs are `(n, ...)`.
    """
    return write_source(network, class_name=class_name, docstring=docstring, inputs=inputs, check=check).text


def state_dict_for_source(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a network under the names that they have in the source of `network_source`.

    Args:
        network: The network, as it was given there.

    Returns:
        Tensors of any shape, copies on the CPU; `load_state_dict` of the written network takes them.
    """
    return write_source(network, check=False).state_dict()


def write_source(
    network: nn.Module,
    *,
    class_name: str = "Network",
    docstring: str | None = None,
    inputs: Tensor | None = None,
    check: bool = True,
) -> NetworkSource:
    """Return a network as source and weights.

    The source has a class for each kind of block; blocks that differ in numbers alone are one class with arguments.
    Its outputs in evaluation are those of the network, bit for bit on the CPU. Drop-path and auxiliary heads, which
    only help training, are left out.

    Args:
        network: What `load_network` returns, or any module of which nothing is left to decide.
        class_name: Of the network.
        docstring: Of its class; None describes it.
        inputs: `(n, ...)`: what the network takes, for the comparison; None makes them up from what is known of it.
        check: Whether to run the source and compare its outputs with the network's, for batches of 1, 3 and 8.

    Raises:
        ExportError: If a module cannot be written as source, what is written differs from the network, or no inputs
            are given and none are known.
    """
    live = network.network if isinstance(network, TrainedNetwork) else network
    if not class_name.isidentifier():
        raise ExportError(f"class_name is the name of a class, such as Network, not {class_name!r}")
    if inputs is None:
        inputs = example_inputs(network) if check else _known_inputs(network)
    if any(tensor.device.type != "cpu" for tensor in live.state_dict().values()):
        live = copy.deepcopy(live).cpu()
    products = _products(live, inputs)
    try:
        part, library = _written(live, products, class_name)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"the network cannot be written as source: {type(error).__name__}: {shorten(str(error), 400)}"
        ) from error
    classes = make_classes(part, library, class_name)
    names = dict(tensors_of(part))
    doc = docstring or _describe(live, inputs, names)
    writer = ClassWriter(library)
    trees = [writer.write(made, doc if made.blocks[0] is part else None) for made in classes]
    first = ast.Expr(ast.Constant(f"{doc.strip().splitlines()[0]}"))
    body: list[ast.stmt] = [first, *library.import_statements(), *library.helpers, *trees]
    text = module_text([ast.fix_missing_locations(node) for node in body])
    found = NetworkSource(text, class_name, names)
    if check and inputs is not None:
        _compare(found, live, inputs)
    return found


def _written(live: nn.Module, products: set[int], class_name: str) -> tuple[Block, Library]:
    """Return the parts of a network, and what stands before its classes."""
    asked: dict[int, set[str]] = {}
    known = -1
    while known != sum(map(len, asked.values())):  # what others read of a module is known when all are written
        known = sum(map(len, asked.values()))
        library = Library()
        library.taken.add(class_name)
        part = Builder(library, products, asked).part(live, "the network")
    if not isinstance(part, Block):
        base = part if isinstance(part, ContainerSource | Torch) else None
        part = Block(live, class_name, "", base, [], [])
    tie(part)
    library.taken.discard(class_name)
    return part, library


def example_inputs(network: nn.Module, n: int = max(BATCH_SIZES)) -> Tensor:
    """Return random inputs that a network takes, `(n, ...)`: those of its preprocessing, or of its space.

    Args:
        network: What `load_network` returns, or an architecture of a search space.
        n: How many.

    Raises:
        ExportError: If nothing is known of its inputs.
    """
    found = _known_inputs(network, n)
    if found is None:
        raise ExportError("what this network reads is not known: give inputs=, a tensor of a few of its inputs")
    return found


def _known_inputs(network: nn.Module, n: int = max(BATCH_SIZES)) -> Tensor | None:
    kinds: tuple[str, ...]
    if isinstance(network, TrainedNetwork) and network.preprocess is not None:
        given: dict[str, Any] = network.preprocess.to_dict()
        kinds = ("image",) if "image_size" in given else ("tokens",) if given.get("vocabulary") else ("sequence",)
    else:
        live: Any = network.network if isinstance(network, TrainedNetwork) else network
        names = ("in_channels", "image_size", "vocabulary", "n_classes")
        given = {name: getattr(live, name) for name in names if getattr(live, name, None) is not None}
        kinds = getattr(live, "INPUTS", None) or (("image",) if "in_channels" in given else ())
    generator = torch.Generator().manual_seed(_SEED)
    size = given.get("image_size") or 32
    height, width = (size, size) if isinstance(size, int) else size
    if "tokens" in kinds and (given.get("vocabulary") or not {"image", "sequence"} & set(kinds)):
        words = given.get("vocabulary") or given.get("n_classes")
        return None if not words else torch.randint(int(words), (n, 12), generator=generator)
    if not kinds or "in_channels" not in given:
        return None
    shape = (n, given["in_channels"], 32) if "sequence" in kinds else (n, given["in_channels"], height, width)
    return torch.randn(shape, generator=generator)


class _Convolutions(TorchFunctionMode):
    """Note the weights of the convolutions that torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Note a weight, and call."""
        if func is torch.conv2d and len(args) > 1:
            self.weights.add(id(args[1]))
        return func(*args, **(kwargs or {}))


def _products(network: nn.Module, inputs: Tensor | None) -> set[int]:
    """Return the weights of the 1x1 convolutions with a stride that the network computes as matrix products."""
    strided = {
        id(module.weight)
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and tuple(module.kernel_size) == (1, 1) and tuple(module.stride) != (1, 1)
    }
    if not strided or not isinstance(network, Graph):
        return set()
    if inputs is None:
        return strided
    with evaluation_mode(network), torch.no_grad(), drawing_alike(), _Convolutions() as seen:
        network(inputs)
    return strided - seen.weights


class _AlikeDraws(TorchFunctionMode):
    """Let what is drawn depend on its shape alone, not on what was drawn before."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Begin anew where something is drawn, and call."""
        if any(word in getattr(func, "__name__", "") for word in _DRAWS):
            torch.manual_seed(_SEED)
        return func(*args, **(kwargs or {}))


_DRAWS = ("rand", "dropout", "bernoulli", "normal", "uniform", "exponential", "multinomial")


@contextmanager
def drawing_alike() -> Iterator[None]:
    """Let whatever is drawn be the same each time, and leave the state of the generator as it was."""
    with torch.random.fork_rng(devices=[]), _AlikeDraws():
        torch.manual_seed(_SEED)
        yield


def _outputs(network: nn.Module, inputs: Tensor) -> list[Tensor]:
    with drawing_alike(), torch.no_grad(), evaluation_mode(network):
        outputs = network(inputs)
    return list(_tensors_in(outputs))


def _tensors_in(outputs: Any) -> Iterator[Tensor]:
    """Yield the tensors in what a network returns.

    Raises:
        ExportError: If there is something else in it, which cannot be compared.
    """
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, tuple | list | dict):
        for entry in outputs.values() if isinstance(outputs, dict) else outputs:
            yield from _tensors_in(entry)
    elif outputs is not None:
        raise ExportError(
            f"the network returns a {type(outputs).__name__}; expected tensors, or tuples, lists, dicts of them"
        )


def _compare(source: NetworkSource, network: nn.Module, inputs: Tensor) -> None:
    """Raise `ExportError` unless the written network gives what the live one gives, bit for bit."""
    written = source.build()
    for size in BATCH_SIZES:
        batch = inputs[torch.arange(size) % len(inputs)]
        expected = _outputs(network, batch)
        try:
            found = _outputs(written, batch)
        except Exception as error:
            raise ExportError(
                f"the network cannot be written as source: what was written does not run on a batch of {size} "
                f"({type(error).__name__}: {shorten(str(error), 400)})"
            ) from error
        same = len(found) == len(expected) and all(
            a.shape == b.shape and torch.equal(a.nan_to_num(7.25), b.nan_to_num(7.25))
            for a, b in zip(found, expected, strict=True)
        )
        if not same:
            raise ExportError(
                "the network cannot be written as source: what was written gives other outputs than the network for a "
                f"batch of {size}"
            )


def _describe(network: nn.Module, inputs: Tensor | None, names: dict[str, Tensor]) -> str:
    """Return the docstring of a network: what it is, its genotype, its input, its parameters."""
    space = network.get_type() if isinstance(network, Graph) else type(network).__name__
    of_space = isinstance(network, Graph) and not isinstance(network, ModuleSearchSpace)
    space = type(network.module).__name__ if isinstance(network, ModuleSearchSpace) else space
    lines = [f"A network of the search space {space}." if of_space else f"The network {space}.", ""]
    try:
        genotype = str(network.genotype()) if isinstance(network, Graph) else ""
    except NASLibError:  # of no particular space
        genotype = ""
    if genotype:
        lines.append(f"Genotype: {shorten(genotype, 400)}")
    if inputs is not None:
        kind = "Input" if inputs.is_floating_point() else "Input, numbers of tokens"
        lines.append(f"{kind}: `(n, {', '.join(map(str, inputs.shape[1:]))})`.")
    parameters = {id(tensor): tensor.numel() for tensor in names.values() if isinstance(tensor, nn.Parameter)}
    lines.append(f"Parameters: {sum(parameters.values()):,}.")
    return "\n".join(_wrapped("\n".join(lines)))


def _wrapped(text: str) -> list[str]:
    return [piece for line in text.splitlines() for piece in (textwrap.wrap(line, 110, break_on_hyphens=False) or [""])]
