"""From the live modules of a network to its parts."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ExportError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import DropPath, Identity, MixedOp
from naslib.search_spaces.core.primitives import Sequential as OpSequence

from ._folding import is_plain, literal
from ._functions import first_paragraph
from ._graphs import GraphWriter, camel, runs_itself
from ._layers import CONTAINERS, layer, torch_base, torch_kind
from ._library import Library
from ._methods import Methods, returned, sole_input
from ._parts import Block, Const, ContainerSource, Fixed, ModuleSource, OwnTensor, Parameters, Torch

_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
STRIDED = "StridedConv1x1"
_STRIDED_SOURCE = f'''
class {STRIDED}(nn.Conv2d):
    """A 1x1 convolution with a stride, computed as a matrix product of the pixels that the stride reaches."""

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.stride
        pixels = x[:, :, ::rows, ::columns]
        y = torch.matmul(self.weight.flatten(1), pixels.flatten(2)).unflatten(2, pixels.shape[2:])
        return y if self.bias is None else y + self.bias.view(-1, 1, 1)
'''


class Builder:
    """Make the parts of a network.

    Args:
        library: What stands before the classes of the file.
        products: Identities of the weights of convolutions that the network computes as matrix products.
        asked: What other modules read of a module beside its forward, by its identity; more is added.
    """

    def __init__(
        self, library: Library, products: Collection[int] = (), asked: dict[int, set[str]] | None = None
    ) -> None:
        self.library = library
        self.products = products
        self.asked = asked if asked is not None else {}

    def part(
        self, module: nn.Module, where: str, in_place: bool = True, of_graph: bool = False, edges: Any = None
    ) -> ModuleSource:
        """Return the part of a module.

        Args:
            module: The module.
            where: Its place, for messages.
            in_place: Whether it may write into its input.
            of_graph: Whether a graph calls it, with one argument for each input.
            edges: The data of the edge that it stands on, or of those that enter its node.

        Raises:
            ExportError: If it cannot be written as source; the message names it.
        """
        if any(getattr(module, hooks) for hooks in _HOOKS) or hasattr(module, "parametrizations"):
            raise ExportError(
                f"{where} ({type(module).__name__}) cannot be written as source: it has hooks or parametrizations; "
                "remove them first (torch.nn.utils.parametrize.remove_parametrizations)"
            )
        if isinstance(module, DropPath):
            return self.part(module.op, where, in_place)
        if type(module) is Identity:
            return Torch(None, "nn.Identity", [])
        if isinstance(module, OpSequence) and type(module).forward is OpSequence.forward:
            return self._listed(module, "nn.Sequential", where, list(module.op.named_children()))
        if isinstance(module, Graph):
            return self._graph(module, where, of_graph)
        if isinstance(module, MixedOp):
            raise ExportError(
                f"{where} ({type(module).__name__}) has nothing decided: export what get_final_architecture gives"
            )
        kind = torch_kind(module)
        container = next((text for known, text in CONTAINERS.items() if isinstance(module, known)), None)
        if kind in CONTAINERS:
            listed = self._listed(module, str(container), where, list(module.named_children()))
            if type(module) is kind:
                return listed
            return Block(module, self._class_name(module), _doc(module), listed, [], [])
        if isinstance(module, nn.ParameterList):
            held = [
                OwnTensor(value, [Const(size, "features") for size in value.shape], "parameter") for value in module
            ]
            self.library.imports.add("torch")
            return Parameters(module, held)
        if kind is not None and not list(module.children()):
            return self._layer(module, kind, in_place)
        if kind is not None:
            return layer(module, kind)
        return self._written(module, where, edges)

    def _layer(self, module: nn.Module, kind: type, in_place: bool) -> Torch:
        if id(getattr(module, "weight", None)) not in self.products:
            return layer(module, kind, in_place)
        if STRIDED not in self.library.taken:
            self.library.imports |= {"torch", "torch.nn", "torch.Tensor"}
            self.library.taken.add(STRIDED)
            self.library.helpers += ast.parse(_STRIDED_SOURCE).body
        return layer(module, kind, in_place, STRIDED)

    def _listed(self, module: nn.Module, kind: str, where: str, named: list[tuple[str, nn.Module]]) -> ContainerSource:
        entries = []
        for position, (name, child) in enumerate(named):
            guarded = position == 0 and isinstance(module, OpSequence)
            entries.append((name, self.part(child, f"{where}.{name}", not guarded)))
        return ContainerSource(module, kind, entries)

    # modules of other classes

    def _written(self, module: nn.Module, where: str, edges: Any) -> ModuleSource:
        base = torch_base(module)
        methods = Methods(module, self.library, where, base, edges=edges)
        methods.take("forward")
        for name in sorted(self.asked.get(id(module), ())):
            if methods._is_method(name):
                methods.take(name)
            elif name not in methods.reads and not hasattr(nn.Module, name):
                methods.reads.append(name)
        self._ask(module, methods)
        if not self.asked.get(id(module)):
            methods.inline()
        if len(methods.trees) == 1 and base is None and not self.asked.get(id(module)):
            inner = self._wrapped(module, methods.trees[0], where)
            if inner is not None:
                return inner
        return self._block(module, methods, where, base)

    def _ask(self, module: nn.Module, methods: Methods) -> None:
        """Note what the methods of a module read of others."""
        for attribute, names in methods.asked.items():
            other = getattr(module, attribute, None)
            if isinstance(other, nn.Module):
                self.asked.setdefault(id(other), set()).update(names)
        called = {node.attr for tree in methods.trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for attribute in methods.reads:
            held = module._modules.get(attribute)
            for child in held.children() if type(held) in CONTAINERS and held is not None else ():
                own = {name for name in called if name in vars(type(child)) and not hasattr(nn.Module, name)}
                self.asked.setdefault(id(child), set()).update(own)

    def _wrapped(self, module: nn.Module, forward: ast.FunctionDef, where: str) -> ModuleSource | None:
        """Return the part of a module that only calls another one, or gives its input back."""
        value, given = returned(forward), sole_input(forward)
        if value is None or given is None:
            return None
        if isinstance(value, ast.Name) and value.id == given:
            return Torch(None, "nn.Identity", [])
        match value:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="self"), attr=attr), args=[ast.Name(id=only)], keywords=[]
            ) if only == given and isinstance(module._modules.get(attr), nn.Module):
                inner = self.part(getattr(module, attr), f"{where}.{attr}")
                if isinstance(inner, ContainerSource) and inner.kind == "nn.Sequential":
                    preferred = self._preferred(module)
                    return Block(module, self._class_name(module), _doc(module), inner, [], [], preferred=preferred)
                return inner
        return None

    def _block(self, module: nn.Module, methods: Methods, where: str, base: type | None) -> Block:
        based: Torch | ContainerSource | None = None
        if base in CONTAINERS:
            based = self._listed(module, CONTAINERS[base], where, list(module.named_children()))
        elif base is not None:
            based = layer(module, base)
        draws = self._take_drawing(module, methods) if base is None else False
        known = set() if base is None else {*module._parameters, *module._buffers, *_of_base(base)}
        items: list[tuple[str, Any]] = []
        for name in self._attributes(module, methods):
            of_base = isinstance(based, ContainerSource) and name in module._modules
            if of_base or (name in known and not isinstance(getattr(module, name, None), nn.Module)):
                continue
            item = self._item(module, name, where, draws, methods.stores)
            if item is not None:
                items.append((name, item))
        trees = sorted(methods.trees, key=lambda tree: tree.name == "reset_parameters", reverse=True)
        return Block(
            module, self._class_name(module), _doc(module), based, items, trees,
            preferred=self._preferred(module), draws=draws,
        )  # fmt: skip

    def _take_drawing(self, module: nn.Module, methods: Methods) -> bool:
        """Write down how a module draws its own parameters, where that can be written."""
        if not any(name in module._parameters for name in methods.reads) or not methods._is_method("reset_parameters"):
            return False
        before = (list(methods.trees), list(methods.reads), set(methods._reached), methods.reads_all)
        try:
            methods.take("reset_parameters")
        except ExportError:
            methods.trees, methods.reads, methods._reached, methods.reads_all = before
            return False
        return True

    @staticmethod
    def _attributes(module: nn.Module, methods: Methods) -> list[str]:
        """Return the attributes to write down: plain ones first, then those that are registered, in order."""
        registered = [*module._parameters, *module._buffers, *module._modules]
        if methods.reads_all:
            wanted = [name for name in registered if name in methods.reads or getattr(module, name) is not None]
        else:
            wanted = [name for name in registered if name in methods.reads]
        plain = [name for name in methods.reads if name not in registered and name != "training"]
        order = {name: position for position, name in enumerate(vars(module))}
        return [*sorted(plain, key=lambda name: order.get(name, -1)), *wanted]

    def _item(self, module: nn.Module, name: str, where: str, draws: bool, stores: Collection[str]) -> Any:
        value = getattr(module, name, _MISSING)
        what = f"{where} ({type(module).__name__}.{name})"
        if isinstance(value, nn.Module):
            return self.part(value, f"{where}.{name}")
        registered = name in module._parameters or name in module._buffers
        if name in stores and not registered and not is_plain(value):
            return Const(None, name)  # what a forward before left there
        if isinstance(value, Tensor):
            sizes = [Const(size, "features") for size in value.shape]
            if name in module._parameters:
                self.library.imports.add("torch")
                return OwnTensor(value, sizes, "parameter", draws)
            if name in module._buffers:
                self.library.imports.add("torch")
                return OwnTensor(value, sizes, "buffer")
            raise ExportError(
                f"{what} cannot be written as source: it is a tensor that is neither parameter nor buffer"
            )
        if value is _MISSING:
            raise ExportError(f"{what} cannot be written as source: there is no such attribute")
        if is_plain(value):
            return Const(value, name)
        return Fixed(self._fixed(value, name, what))

    def _fixed(self, value: Any, name: str, what: str) -> ast.expr:
        """Return an attribute that is no plain value: a function, a dtype, a tuple of them."""
        if is_plain(value):
            return literal(value)
        if isinstance(value, tuple | list) and type(value) in (tuple, list):
            entries = [self._fixed(entry, name, what) for entry in value]
            return ast.Tuple(entries, ast.Load()) if isinstance(value, tuple) else ast.List(entries, ast.Load())
        if isinstance(value, frozenset) and is_plain(set(value)):
            return ast.Call(ast.Name("frozenset", ast.Load()), [literal(set(value))] if value else [], [])
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
            return self._record(value, fields, what)
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return self._record(value, value._asdict(), what)
        if isinstance(value, enum.Enum):
            return ast.Attribute(self.library.expression(type(value), "", {}, what), value.name, ast.Load())
        known = isinstance(value, torch.dtype) or (callable(value) and hasattr(value, "__name__"))
        if not known or hasattr(value, "__self__"):
            raise ExportError(f"{what} cannot be written as source: its value is a {type(value).__name__}")
        return self.library.expression(value, name, {}, what)

    def _record(self, value: Any, fields: dict[str, Any], what: str) -> ast.expr:
        kind = self.library.expression(type(value), type(value).__name__, {}, what)
        return ast.Call(kind, [], [ast.keyword(key, self._fixed(entry, key, what)) for key, entry in fields.items()])

    # graphs

    def _graph(self, graph: Graph, where: str, of_graph: bool) -> ModuleSource:
        own = runs_itself(graph)

        def part(module: nn.Module, in_place: bool, place: str, edges: Any = None) -> ModuleSource:
            return self.part(module, f"{where}.{place}", in_place, True, edges)

        writer = GraphWriter(graph, part, self.library, where, whole=not own)
        body = writer.write()
        if own and len(writer.items) == 1 and len(body) == 1 and len(writer.inputs) == 1:
            match body[0]:
                case ast.Return(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self")), args=[ast.Name()])):
                    only = writer.items[0][1]
                    if isinstance(only, ModuleSource):
                        return only
        self.library.imports.add("torch.Tensor")
        tensor = ast.Name("Tensor", ast.Load())
        arguments = [
            ast.arg("self"),
            *(ast.arg(writer.variable(node), tensor) for node in writer.inputs if node in writer.needed),
        ]
        empty = ast.arguments([], arguments, None, [], [], None, [])
        if len(writer.inputs) > 1 and not of_graph and own:
            empty = ast.arguments([], [ast.arg("self")], ast.arg("inputs"), [], [], None, [])
            names = [("" if node in writer.needed else "_") + writer.variable(node) for node in writer.inputs]
            targets = ast.Tuple([ast.Name(name, ast.Store()) for name in names], ast.Store())
            given = ast.parse("inputs if len(inputs) > 1 else inputs[0]", mode="eval").body
            body = [ast.Assign([targets], given), *body]
        tree = ast.FunctionDef("forward", empty, body, [], tensor if own else None)
        trees = [tree]
        if not own:
            tree.name = "forward_with_auxiliary"
            methods = Methods(graph, self.library, where, None, {tree.name: tree})
            methods.take("forward")
            trees = methods.trees
        if writer.is_chain:
            _in_a_row(writer.items, tree)
        plain_name = graph.name or "cell"
        title = camel(plain_name) if type(graph) is Graph else self._class_name(graph)
        count = sum(isinstance(item, ModuleSource) for _, item in writer.items)
        doc = (
            _doc(graph)
            if type(graph) is not Graph
            else f"{plain_name.replace('_', ' ').capitalize()}: {count} operations."
        )
        return Block(graph, title, doc, None, writer.items, trees, preferred={})

    # names

    def _class_name(self, module: nn.Module) -> str:
        return type(module).__name__.strip("_")

    @staticmethod
    def _preferred(module: Any) -> dict[str, Any]:
        given = getattr(module, "init_params", None) or {}
        return {str(key).lower(): value for key, value in dict(given).items() if is_plain(value)}


_MISSING: Any = object()


def _of_base(kind: type) -> set[str]:
    """Return the attributes that a layer of torch's gives itself."""
    return {*dir(kind), *getattr(kind, "__constants__", ()), *inspect.signature(kind).parameters}


def _doc(module: nn.Module) -> str:
    text = first_paragraph(type(module).__doc__ or "")
    text = re.sub(r"\s*\((?:as )?(?:in |after )?\[[A-Z]\w+\d{4}\w*\][^()]*\)", "", text)  # papers have no list here
    return text or f"{type(module).__name__}."


def _in_a_row(items: list[tuple[str, Any]], forward: ast.FunctionDef) -> None:
    """Put equal blocks that follow each other in a chain into one `nn.Sequential`."""
    position = 0
    while position < len(items):
        name, part = items[position]
        end = position + 1
        while end < len(items) and isinstance(part, Block) and isinstance(items[end][1], Block):
            if items[end][1].key() != part.key():
                break
            end += 1
        if end - position >= 3:
            entries = [(str(number), entry) for number, (_, entry) in enumerate(items[position:end])]
            gone = {known for known, _ in items[position + 1 : end]}
            forward.body = [node for node in forward.body if not _calls(node, gone)]
            items[position:end] = [(name, ContainerSource(None, "nn.Sequential", entries))]
        position += 1
    _count_anew(items, forward)


def _count_anew(items: list[tuple[str, Any]], forward: ast.FunctionDef) -> None:
    """Number the attributes of a chain again where some of them became one; several cells are `cells`."""
    bases = []
    for name, part in items:
        base = re.sub(r"_\d+$", "", name)
        bases.append(base + "s" if isinstance(part, ContainerSource) and part.module is None else base)
    renamed: dict[str, str] = {}
    for position, (name, _) in enumerate(items):
        base = bases[position]
        number = bases[: position + 1].count(base)
        renamed[name] = base if bases.count(base) == 1 else f"{base}_{number}"
    items[:] = [(renamed[name], part) for name, part in items]
    for node in ast.walk(forward):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            node.attr = renamed.get(node.attr, node.attr)


def _calls(node: ast.stmt, names: set[str]) -> bool:
    """Say whether a statement of a chain is the call of one of some attributes."""
    value = node.value if isinstance(node, ast.Assign | ast.Return) else None
    func = value.func if isinstance(value, ast.Call) else None
    return isinstance(func, ast.Attribute) and func.attr in names
