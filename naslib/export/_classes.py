"""Blocks of one kind become one class: what differs between them is an argument of its constructor."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from naslib.search_spaces.core.graph import Graph

from ._folding import is_plain, literal
from ._graphs import name, snake
from ._library import Library
from ._parts import (
    Argument,
    Block,
    Const,
    ContainerSource,
    Fixed,
    ModuleSource,
    OwnTensor,
    Parameters,
    Torch,
    blocks_of,
)

_TIDY = {"in_channels": "c_in", "out_channels": "c_out", "in_features": "n_in", "out_features": "n_out"}


@dataclass
class WrittenClass:
    """A class of the file.

    Attributes:
        blocks: The blocks that are instances of it.
        name: What it is called.
        parameters: Arguments of its constructor.
        of_leaf: For each constant of a block, which argument it is, None where it never differs.
    """

    blocks: list[Block]
    name: str
    parameters: list[str] = field(default_factory=list)
    of_leaf: list[int | None] = field(default_factory=list)


def make_classes(root: Block, library: Library, class_name: str) -> list[WrittenClass]:
    """Return the classes of a network, each after those that it is made of."""
    groups: dict[Any, WrittenClass] = {}
    for block in blocks_of(root):
        key = block.skeleton() if block is not root else "root"
        groups.setdefault(key, WrittenClass([], "")).blocks.append(block)
    library.taken.add(class_name)
    for made in groups.values():
        first = made.blocks[0]
        made.name = class_name if first is root else library.unused(first.name)
        _find_parameters(made)
        for block in made.blocks:
            block.made = made
    return list(groups.values())


def _find_parameters(made: WrittenClass) -> None:
    leaves = [block.own_leaves() for block in made.blocks]
    columns: dict[Any, int] = {}
    taken = {"self", "nn", "torch", "math", "F", "super"}
    for position in range(len(leaves[0])):
        column = [block[position].value for block in leaves]
        leaf = leaves[0][position]
        if all(_same(value, column[0]) for value in column):
            made.of_leaf.append(None)
            continue
        key = (leaf.category, repr(column))
        if key not in columns:
            columns[key] = len(made.parameters)
            wanted = _wanted_name(made, leaf, column)
            unique, number = wanted, 1
            while unique in taken:
                number += 1
                unique = f"{wanted}_{number}"
            taken.add(unique)
            made.parameters.append(unique)
        made.of_leaf.append(columns[key])
    for block, own in zip(made.blocks, leaves, strict=True):
        found: list[Const] = []
        for number, parameter in enumerate(made.parameters):
            found.append(Const(own[made.of_leaf.index(number)].value, parameter))
        block.arguments = found


def _type_of(made: WrittenClass, number: int) -> ast.expr | None:
    """Return the type of an argument of a constructor, None where it has several."""
    kinds = {type(block.arguments[number].value) for block in made.blocks if block.arguments}
    return name(kinds.pop().__name__) if len(kinds) == 1 and kinds <= {int, float, bool, str} else None


def _same(first: Any, second: Any) -> bool:
    return type(first) is type(second) and repr(first) == repr(second)


def _wanted_name(made: WrittenClass, leaf: Const, column: list[Any]) -> str:
    """Return the name of an argument: that of the module's own constructor where it says so, or of the layer's."""
    hint = _TIDY.get(leaf.hint, leaf.hint)
    for key in made.blocks[0].preferred:
        values = [block.preferred.get(key) for block in made.blocks]
        alike = Const(None, key).category == leaf.category or (leaf.category == "channels" and key.startswith("c"))
        if alike and all(_same(a, b) for a, b in zip(values, column, strict=True)):
            return key
    if isinstance(made.blocks[0].module, Graph) and leaf.category == "channels":
        return "channels"
    return snake(hint) if hint.isidentifier() else "value"


class ClassWriter:
    """Write the classes as trees.

    Args:
        library: What stands before them.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._leaf = 0
        self._made = WrittenClass([], "")

    def write(self, made: WrittenClass, doc: str | None = None) -> ast.ClassDef:
        """Return the tree of a class."""
        block = made.blocks[0]
        self.library.imports.add("torch.nn")
        self._leaf, self._made = 0, made
        body = self._constructor_body(block)
        base = _dotted("nn.Module" if block.base is None else block.base.kind)
        members: list[ast.stmt] = [ast.Expr(ast.Constant(doc or block.doc))]
        if len(body) > 1 or block.base is not None or made.parameters:
            arguments = [ast.arg("self"), *(ast.arg(p, _type_of(made, n)) for n, p in enumerate(made.parameters))]
            given = ast.arguments([], arguments, None, [], [], None, [])
            members.append(ast.FunctionDef("__init__", given, body, [], None))
        members += block.methods
        return ast.ClassDef(made.name, [base], [], members, [])

    def _constructor_body(self, block: Block) -> list[ast.stmt]:
        based = self._arguments_of(block.base) if block.base is not None else ([], [])
        start = ast.Call(ast.Attribute(ast.Call(name("super"), [], []), "__init__", ast.Load()), *based)
        body: list[ast.stmt] = [ast.Expr(start)]
        for attribute, item in block.items:
            target = ast.Attribute(name("self"), attribute, ast.Store())
            if isinstance(item, OwnTensor) and item.kind == "buffer":
                call = ast.Call(ast.Attribute(name("self"), "register_buffer", ast.Load()),
                                [ast.Constant(attribute), self._tensor(item)], [])  # fmt: skip
                body.append(ast.Expr(call))
            else:
                body.append(ast.Assign([target], self._item(item)))
        for later, first in block.ties:
            body.append(ast.Assign([_path(later)], _path(first)))
        if block.draws:
            body.append(ast.Expr(ast.Call(_dotted("self.reset_parameters"), [], [])))
        return body

    def _item(self, item: Any) -> ast.expr:
        if isinstance(item, OwnTensor):
            return ast.Call(_dotted("nn.Parameter"), [self._tensor(item)], [])
        if isinstance(item, Fixed):
            return item.tree
        return self._const(item) if isinstance(item, Const) else self.expression(item)

    def _tensor(self, item: OwnTensor) -> ast.expr:
        maker = "torch.empty" if item.drawn else "torch.zeros"
        sizes = [self._const(size) for size in item.sizes] or [ast.Tuple([], ast.Load())]
        dtype = str(item.tensor.dtype)
        keywords = [] if dtype == "torch.float32" else [ast.keyword("dtype", _dotted(dtype))]
        return ast.Call(_dotted(maker), sizes, keywords)

    def _const(self, const: Const) -> ast.expr:
        """Return a constant, or the argument that it is in this class."""
        number = self._made.of_leaf[self._leaf]
        self._leaf += 1
        return literal(const.value) if number is None else name(self._made.parameters[number])

    def _is_default(self, argument: Argument) -> bool:
        """Say whether an argument has its default in all instances of the class; its constant is passed over then."""
        value = argument.value
        if argument.positional or not isinstance(value, Const) or self._made.of_leaf[self._leaf] is not None:
            return False
        same = is_plain(argument.default) and _same(value.value, argument.default)
        self._leaf += same
        return same

    def expression(self, part: ModuleSource) -> ast.expr:
        """Return the expression that makes a part."""
        if isinstance(part, Block):
            keywords = [ast.keyword(const.hint, self._const(const)) for const in part.leaves()]
            if len(keywords) <= 1:
                return ast.Call(name(part.made.name), [keyword.value for keyword in keywords], [])
            return ast.Call(name(part.made.name), [], keywords)
        if isinstance(part, Parameters):
            held: list[ast.expr] = [self._tensor(entry) for entry in part.entries]
            return ast.Call(_dotted("nn.ParameterList"), [ast.List(held, ast.Load())], [])
        if not isinstance(part, Torch | ContainerSource):
            raise TypeError(f"{type(part).__name__} is no part that is called")
        return ast.Call(_dotted(part.kind), *self._arguments_of(part))

    def _arguments_of(self, part: Torch | ContainerSource) -> tuple[list[ast.expr], list[ast.keyword]]:
        if isinstance(part, Torch):
            positional: list[ast.expr] = []
            keywords: list[ast.keyword] = []
            for argument in part.arguments:
                if self._is_default(argument):
                    continue
                value = argument.value
                tree = self._const(value) if isinstance(value, Const) else self.expression(value)
                if argument.positional:
                    positional.append(tree)
                else:
                    keywords.append(ast.keyword(argument.name, tree))
            return positional, keywords
        made = [self.expression(entry) for _, entry in part.entries]
        if part.kind == "nn.ModuleDict":
            keys: list[ast.expr | None] = [ast.Constant(key) for key, _ in part.entries]
            return [ast.Dict(keys, made)], []
        if part.kind == "nn.ModuleList":
            return [_repeated(made) or ast.List(made, ast.Load())], []
        plain = [str(number) for number in range(len(made))] == [key for key, _ in part.entries]
        if not plain:
            return [_named(part, made, self.library)], []
        again = _repeated(made)
        return ([ast.Starred(again, ast.Load())] if again is not None else made), []


def _named(part: ContainerSource, made: list[ast.expr], library: Library) -> ast.expr:
    """Return the argument of an `nn.Sequential` whose entries have names of their own."""
    library.imports.add("collections")
    pairs = [
        ast.Tuple([ast.Constant(key), tree], ast.Load()) for (key, _), tree in zip(part.entries, made, strict=True)
    ]
    return ast.Call(_dotted("collections.OrderedDict"), [ast.List(list(pairs), ast.Load())], [])


def _repeated(made: list[ast.expr]) -> ast.expr | None:
    """Return a comprehension where at least three equal blocks stand in a list."""
    if len(made) < 3 or len({ast.dump(tree) for tree in made}) > 1:
        return None
    count = ast.Call(name("range"), [ast.Constant(len(made))], [])
    loop = ast.comprehension(ast.Name("_", ast.Store()), count, [], 0)
    return ast.ListComp(made[0], [loop])


def _path(dotted: str) -> ast.expr:
    """Return `self.layers[3].weight`."""
    found: ast.expr = name("self")
    for piece in dotted.split("."):
        if piece.isdigit():
            found = ast.Subscript(found, ast.Constant(int(piece)), ast.Load())
        else:
            found = ast.Attribute(found, piece, ast.Load())
    return found


def _dotted(text: str) -> ast.expr:
    first, *rest = text.split(".")
    found: ast.expr = name(first)
    for piece in rest:
        found = ast.Attribute(found, piece, ast.Load())
    return found
