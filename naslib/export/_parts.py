"""The parts of a network as they are written down: constructor calls, and classes that are made of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ._folding import is_plain

# Numbers that stand for a width: equal ones are one argument
_WIDTHS = ("channels", "features", "width", "hidden", "shape", "groups", "size_of", "dim")


@dataclass
class Const:
    """A plain value; `hint` is what it would be called as an argument."""

    value: Any
    hint: str

    @property
    def category(self) -> str:
        """Constants of one category that are always equal are one argument."""
        return "channels" if any(word in self.hint for word in _WIDTHS) or self.hint.startswith("c_") else self.hint

    def skeleton(self) -> Any:
        """Return what it is whatever its value."""
        return "." if is_plain(self.value) else repr(self.value)

    def leaves(self) -> list[Const]:
        """Return what may differ between parts of one skeleton."""
        return [self]


@dataclass
class Fixed:
    """An expression without anything that could differ: a function, a dtype."""

    tree: ast.expr

    def skeleton(self) -> Any:
        """Return the text."""
        return ast.dump(self.tree)

    def leaves(self) -> list[Const]:
        """Return nothing."""
        return []


@dataclass
class Argument:
    """An argument of a constructor of torch's; not written where it is the default."""

    name: str
    value: Const | ModuleSource
    default: Any = None
    positional: bool = False


@dataclass
class OwnTensor:
    """A parameter or buffer of a class of ours.

    Attributes:
        tensor: What it is now.
        sizes: Its shape.
        kind: `"parameter"` or `"buffer"`.
        drawn: Whether the class draws its values itself.
    """

    tensor: Tensor
    sizes: list[Const]
    kind: str
    drawn: bool = False

    def skeleton(self) -> Any:
        """Return all but the sizes."""
        return (self.kind, str(self.tensor.dtype), len(self.sizes), self.drawn)

    def leaves(self) -> list[Const]:
        """Return the sizes."""
        return self.sizes


@dataclass
class ModuleSource:
    """A module, as the expression that makes it."""

    module: nn.Module | None

    def skeleton(self) -> Any:
        """Return what it is whatever the constants in it."""
        raise NotImplementedError

    def leaves(self) -> list[Const]:
        """Return the constants in it, in order."""
        raise NotImplementedError

    def children(self) -> Iterator[tuple[str, ModuleSource]]:
        """Yield the parts of it that are modules, with their names in it."""
        return iter(())

    def key(self) -> Any:
        """Return what equal parts have in common."""
        return (self.skeleton(), tuple(repr(leaf.value) for leaf in self.leaves()))


@dataclass
class Torch(ModuleSource):
    """A layer of torch's: `nn.Conv2d(16, 32, 3, padding=1)`."""

    kind: str
    arguments: list[Argument]

    def skeleton(self) -> Any:
        """Return the kind, and what it is made of."""
        return (self.kind, tuple((argument.name, argument.value.skeleton()) for argument in self.arguments))

    def leaves(self) -> list[Const]:
        """Return the arguments."""
        return [leaf for argument in self.arguments for leaf in argument.value.leaves()]


@dataclass
class ContainerSource(ModuleSource):
    """A container of torch's: `nn.Sequential(...)`."""

    kind: str
    entries: list[tuple[str, ModuleSource]]

    def skeleton(self) -> Any:
        """Return the kind and the entries."""
        return (self.kind, tuple((key, part.skeleton()) for key, part in self.entries))

    def leaves(self) -> list[Const]:
        """Return those of the entries."""
        return [leaf for _, part in self.entries for leaf in part.leaves()]

    def children(self) -> Iterator[tuple[str, ModuleSource]]:
        """Yield the entries."""
        return iter(self.entries)


@dataclass
class Parameters(ModuleSource):
    """A list of parameters."""

    entries: list[OwnTensor]

    def skeleton(self) -> Any:
        """Return the entries without their sizes."""
        return ("nn.ParameterList", tuple(entry.skeleton() for entry in self.entries))

    def leaves(self) -> list[Const]:
        """Return the sizes."""
        return [leaf for entry in self.entries for leaf in entry.leaves()]


@dataclass
class Block(ModuleSource):
    """A module of a class that is written down.

    Attributes:
        name: What the class would be called.
        doc: Its docstring.
        base: What it derives from: a layer or a container of torch's, or None for `nn.Module`.
        items: Attributes, in order.
        methods: Its methods.
        ties: Pairs of dotted names: what the first one names becomes what the second one names.
        preferred: Names of constructor arguments, with their values.
        draws: Whether the constructor ends with `reset_parameters`.
        arguments: Set when the class is made: the constructor's arguments for this one.
        made: Set then: the class.
    """

    name: str
    doc: str
    base: Torch | ContainerSource | None
    items: list[tuple[str, Any]]
    methods: list[ast.FunctionDef]
    ties: list[tuple[str, str]] = field(default_factory=list)
    preferred: dict[str, Any] = field(default_factory=dict)
    draws: bool = False
    arguments: list[Const] | None = None
    made: Any = None
    _skeleton: Any = None

    def skeleton(self) -> Any:
        """Return the class: all but the constants."""
        if self._skeleton is None:
            self._skeleton = (
                self.name,
                None if self.base is None else self.base.skeleton(),
                tuple((name, item.skeleton()) for name, item in self.items),
                tuple(ast.dump(method) for method in self.methods),
                tuple(self.ties),
                self.draws,
            )
        return self._skeleton

    def own_leaves(self) -> list[Const]:
        """Return the constants in its constructor."""
        based = [] if self.base is None else self.base.leaves()
        return based + [leaf for _, item in self.items for leaf in item.leaves()]

    def leaves(self) -> list[Const]:
        """Return the constructor's arguments; before the class is made, all constants."""
        return self.own_leaves() if self.arguments is None else self.arguments

    def children(self) -> Iterator[tuple[str, ModuleSource]]:
        """Yield what its base lists, and its attributes that are modules."""
        if isinstance(self.base, ContainerSource):
            yield from self.base.children()
        for name, item in self.items:
            if isinstance(item, ModuleSource):
                yield name, item


def tensors_of(part: ModuleSource, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield what the state_dict of a written network has, with the tensors of the live one.

    Args:
        part: The network.
        prefix: Of names.
    """
    if isinstance(part, Torch | Parameters) and part.module is not None:
        for name, value in part.module.state_dict(keep_vars=True).items():
            yield prefix + name, value
        return
    if isinstance(part, Block):
        if isinstance(part.base, Torch) and part.module is not None:
            own = {**part.module._parameters, **part.module._buffers}
            absent = part.module._non_persistent_buffers_set
            yield from (
                (prefix + name, value) for name, value in own.items() if value is not None and name not in absent
            )
        else:
            yield from ((prefix + name, item.tensor) for name, item in part.items if isinstance(item, OwnTensor))
    for name, child in part.children():
        yield from tensors_of(child, f"{prefix}{name}.")


def blocks_of(part: ModuleSource) -> Iterator[Block]:
    """Yield all blocks in a part, inner ones first."""
    for _, child in part.children():
        yield from blocks_of(child)
    if isinstance(part, Block):
        yield part


def tie(root: ModuleSource) -> None:
    """Note what stands at several places of a network with the block that holds all of them."""
    seen: dict[int, str] = {}
    holders: dict[str, Block] = {}

    def note(path: str, thing: Any) -> bool:
        first = seen.setdefault(id(thing), path)
        if first != path:
            common = path
            while common not in holders or not (first + ".").startswith(common + "." if common else ""):
                common = common.rpartition(".")[0]
            cut = len(common) + 1 if common else 0
            holders[common].ties.append((path[cut:], first[cut:]))
        return first != path

    def walk(part: ModuleSource, path: str) -> None:
        if isinstance(part, Block):
            holders[path] = part
        stateless = isinstance(part, Torch) and part.module is not None and not part.module.state_dict()
        if part.module is not None and not stateless and path and note(path, part.module):
            return
        head = f"{path}." if path else ""
        own = {} if part.module is None else part.module._parameters
        shown = (
            own
            if isinstance(part, Torch)
            else {n: i.tensor for n, i in getattr(part, "items", ()) if isinstance(i, OwnTensor)}
        )
        for name, value in shown.items():
            if value is not None:
                note(head + name, value)
        for name, child in part.children():
            walk(child, head + name)

    walk(root, "")
    for block in blocks_of(root):
        block._skeleton = None
