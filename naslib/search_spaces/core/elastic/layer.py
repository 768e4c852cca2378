"""What all elastic layers have in common: sizes, two ways of mixing them, and the layer that is left of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from naslib.errors import ArchitectureError, ConfigError, GraphError, did_you_mean

from .in_force import Mixture, Point, Sizes
from .weights import Axes, mixed, padded, sliced

Mix = Literal["weights", "outputs"]
# Parameters that were extracted already, by what they are slices of: layers that share a weight share it afterwards
Extracted = dict[Any, Any]


def checked_mix(mix: str) -> Mix:
    """Return a way of mixing, or raise `ConfigError`."""
    if mix not in get_args(Mix):
        raise ConfigError(f"mix is 'weights' or 'outputs', not {mix!r}{did_you_mean(str(mix), get_args(Mix))}")
    return mix  # type: ignore[return-value]


class Extractable(nn.Module):
    """Base of modules of which `extract` keeps a part."""

    def extract(self, extracted: Extracted | None = None) -> nn.Module:
        """Return a plain module with what runs now; see `naslib.search_spaces.core.elastic.extract`."""
        raise NotImplementedError(f"{type(self).__name__} does not define extract(extracted)")

    def count(self, counter: Counter) -> None:
        """Tell a counter which parameters `extract` keeps."""
        raise NotImplementedError(f"{type(self).__name__} does not define count(counter)")

    def expected(self, counter: Expectation) -> Tensor | float:
        """Return how many parameters `extract` keeps on average, if choices are made with the weights that hold.

        A scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define expected(counter)")


def members(module: nn.Module) -> Iterator[nn.Module | None]:
    """Yield the direct parts of a module; of a graph, parsed or not, what is on its edges and nodes."""
    yield from module._modules.values()
    if hasattr(module, "_modules_in_use"):
        yield from module._modules_in_use()  # type: ignore[operator]
        yield from module._children()  # type: ignore[operator]


class Counter:
    """Count the parameters that `extract` keeps, each once, also where several layers share it.

    Args:
        found: Number of entries by what tells a parameter, or a slice of one, from others; it is filled.
        left: By `id` of a module, what is left of it, None for nothing.

    Attributes:
        found: See there.
    """

    def __init__(self, found: dict[Any, int] | None = None, left: Mapping[int, nn.Module | None] | None = None) -> None:
        self.found: dict[Any, int] = {} if found is None else found
        self._left = left or {}
        self._seen: set[int] = set()

    def again(self) -> Counter:
        """Return a counter of the same parameters that looks at modules once more, for another choice in them."""
        return Counter(self.found, self._left)

    def walk(self, part: nn.Module | None) -> None:
        """Count what is in a module."""
        part = self._left.get(id(part), part)
        if part is None or id(part) in self._seen:
            return
        self._seen.add(id(part))
        if isinstance(part, Extractable):
            part.count(self)
            return
        for parameter in part._parameters.values():
            if parameter is not None:
                self.found[id(parameter)] = parameter.numel()
        for member in members(part):
            self.walk(member)

    @property
    def total(self) -> int:
        """The number of parameters so far."""
        return sum(self.found.values())


class Expectation:
    """Sum up expected numbers of parameters, each module once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def again(self) -> Expectation:
        """Return one that looks at modules once more, for another choice in them."""
        return Expectation()

    def of(self, part: nn.Module | None) -> Tensor | float:
        """Return the expected number of parameters of a module that was not met before.

        A scalar.
        """
        if part is None or id(part) in self._seen:
            return 0.0
        self._seen.add(id(part))
        if isinstance(part, Extractable):
            return part.expected(self)
        own = sum(parameter.numel() for parameter in part._parameters.values() if parameter is not None)
        return sum((self.of(member) for member in members(part)), float(own))


class Elastic(Extractable):
    """Base of layers whose sizes are decisions: one weight of the largest size, of which smaller ones are slices.

    A forward reads the sizes from the assignment that holds (`naslib.search_spaces.core.assignment`). Where that has an
    index for each decision, the slice runs; where it has weights, the sizes are mixed; without one, the largest runs.

    Attributes:
        sizes: The sizes, by name.
        mix: `"weights"` runs once, with the weighted sum of the zero-padded slices; `"outputs"` runs every size and
            sums the zero-padded outputs. They are equal where the layer is linear in its weight.
    """

    # Parameters that are slices: what the length of each axis is, and which axes are sliced in the middle
    SLICES: ClassVar[dict[str, Axes]] = {}
    CENTRED: ClassVar[dict[str, tuple[int, ...]]] = {}
    # Axis of the output, and the dimension of the layer that its length is
    OUTPUT: ClassVar[tuple[int, int]] = (1, 0)
    # Axis of the input, and the dimension of the layer that its length is; None where it does not depend on one
    INPUT: ClassVar[tuple[int, int] | None] = None
    # Where the weighted sum of slices is not one layer, `mix` says nothing
    ALWAYS_OUTPUTS: ClassVar[bool] = False
    # Whether several sizes can run at once; a layer that cannot says so when it is asked to
    MIXES: ClassVar[bool] = True

    sizes: Sizes
    mix: Mix

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer with the sizes in force.

        Tensors of any shape that the operation takes.

        Raises:
            GraphError: If the input has another size than is in force.
            ArchitectureError: If the assignment does not fit the decisions.
        """
        found = self.sizes.in_force()
        if not isinstance(found, Mixture):
            self._check_input(x, found)
            return self.run(x, found)
        self._check_input(x, found.box)
        if self.mix == "outputs" or self.ALWAYS_OUTPUTS:
            return self._mix_outputs(x, found)
        return self.run_mixed(x, found)

    def run(self, x: Tensor, sizes: Point) -> Tensor:
        """Apply the slice of some sizes.

        Tensors of any shape that the operation takes.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define run(x, sizes)")

    def run_mixed(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Apply the weighted sum of slices.

        Tensors of any shape that the operation takes.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define run_mixed(x, mixture)")

    def _mix_outputs(self, x: Tensor, mixture: Mixture) -> Tensor:
        points, weights = mixture.joint()
        axis, dim = self.OUTPUT
        total: Tensor | None = None
        for point, weight in zip(points, weights.unbind(), strict=True):
            narrow = x if self.INPUT is None else x.narrow(self.INPUT[0], 0, point[self.INPUT[1]])
            y = self.run(narrow, point)
            term = padded(y, axis, mixture.box[dim]) * weight.to(y.dtype)
            total = term if total is None else total + term
        if total is None:
            raise GraphError("a mixture needs at least one size")
        return total

    def _check_input(self, x: Tensor, sizes: Point) -> None:
        if self.INPUT is None:
            return
        axis, dim = self.INPUT
        if x.shape[axis] != sizes[dim]:
            raise GraphError(
                f"{type(self).__name__}: the input has size {x.shape[axis]} along axis {axis}, in force is "
                f"{self.sizes.names[dim]} = {sizes[dim]} ({self.sizes.sizes[dim]}); the layer before it must have the "
                "same size, by the same decisions"
            )

    # slices

    def lengths(self, name: str, sizes: Point) -> tuple[int, ...]:
        """Return the shape of the slice of a parameter or buffer."""
        axes = self.SLICES[name]
        return tuple(sizes[axes[i]] if i in axes else n for i, n in enumerate(getattr(self, name).shape))

    def slice_of(self, name: str, sizes: Point) -> Tensor | None:
        """Return the slice of a parameter for some sizes, None where the layer has none of that name, or none of it.

        The slice has the shape of the parameter, with these sizes.
        """
        full = getattr(self, name)
        if full is None or 0 in (lengths := self.lengths(name, sizes)):
            return None
        return sliced(full, lengths, self.CENTRED.get(name, ()))

    def mixed_slices(self, name: str, mixture: Mixture) -> Tensor | None:
        """Return the weighted sum of the zero-padded slices of a parameter, as large as the largest among them.

        It has the shape of the largest slice.
        """
        box = self.slice_of(name, mixture.box)
        return None if box is None else mixed(box, mixture, self.SLICES[name], self.CENTRED.get(name, ()))

    # what is left

    def extract(self, extracted: Extracted | None = None) -> nn.Module:
        """Return a plain layer of the sizes in force, with weights of its own; its output is bit-equal to the slice's.

        Args:
            extracted: What other layers have extracted already; layers that share a weight (tied embeddings) share it
                afterwards, too, where they keep the same slice.

        Raises:
            ArchitectureError: If sizes are mixed: a plain layer has one.
        """
        layer = self.plain(self.point(), {} if extracted is None else extracted)
        layer.train(self.training)
        return layer

    def point(self) -> Point:
        """Return the sizes in force.

        Raises:
            ArchitectureError: If they are mixed.
        """
        found = self.sizes.in_force()
        if isinstance(found, Mixture):
            labels = ", ".join(repr(leaf.label) for leaf in self.sizes.leaves)
            raise ArchitectureError(
                f"{type(self).__name__} has several sizes at once: the assignment has weights for {labels}; give it an "
                "index for each"
            )
        return found

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the plain layer of some sizes."""
        raise NotImplementedError(f"{type(self).__name__} does not define plain(sizes, extracted)")

    def kept(self, name: str, sizes: Point, extracted: Extracted) -> nn.Parameter | None:
        """Return the slice of a parameter as a parameter of its own, None where nothing of it is left."""
        full = getattr(self, name)
        if full is None or 0 in (lengths := self.lengths(name, sizes)):
            return None
        key = (self.source(name), lengths)
        if key not in extracted:
            with torch.no_grad():
                found = self.slice_of(name, sizes)
            extracted[key] = nn.Parameter(found.detach().clone(), full.requires_grad)  # type: ignore[union-attr]
        return extracted[key]

    def parameter_shapes(self, sizes: Point) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """Yield what `extract` keeps at some sizes: of what it is a slice, and its shape."""
        for name in self.SLICES:
            full = getattr(self, name)
            if isinstance(full, nn.Parameter):
                yield self.source(name), self.lengths(name, sizes)

    def count(self, counter: Counter) -> None:
        """Count the slices of the sizes in force, and the modules inside that are kept."""
        sizes = self.point()
        for source, shape in self.parameter_shapes(sizes):
            counter.found[source, shape] = torch.Size(shape).numel()
        for block in self.kept_blocks(sizes):
            counter.walk(block)

    def expected(self, counter: Expectation) -> Tensor | float:
        """Return the mean over the sizes.

        A scalar.
        """
        found = self.sizes.in_force()
        points, weights = found.joint() if isinstance(found, Mixture) else ([found], torch.ones(1))
        blocks = {id(block): counter.of(block) for block in self.kept_blocks(self.sizes.box)}
        total: Tensor | float = 0.0
        for point, weight in zip(points, weights.unbind(), strict=True):
            own = sum(torch.Size(shape).numel() for _, shape in self.parameter_shapes(point))
            total = total + weight * sum((blocks[id(block)] for block in self.kept_blocks(point)), float(own))
        return total

    def kept_blocks(self, sizes: Point) -> Iterator[nn.Module]:
        """Yield the modules inside that `extract` keeps at some sizes."""
        yield from ()

    def source(self, name: str) -> Any:
        """Return what a parameter's slices are told apart by from those of other parameters."""
        return id(getattr(self, name))
