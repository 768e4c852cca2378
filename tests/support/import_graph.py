"""Which file of a package imports which, read from source text: in functions and under TYPE_CHECKING, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import networkx as nx


class Import(NamedTuple):
    """One imported name: `from base import name` (`name` None for `import base`), and where it stands."""

    base: str
    name: str | None
    known_as: str
    line: int


class ImportGraph:
    """The files of a package and what they import from each other.

    Args:
        package: Folder of the package.

    Attributes:
        files: Path by module.
        faces: The `__init__` files among them, which only hand names on.
    """

    def __init__(self, package: Path) -> None:
        self.root = package.parent
        self.files = {self.module_of(path): path for path in sorted(package.rglob("*.py"))}
        self.faces = {module for module, path in self.files.items() if path.name == "__init__.py"}
        self._imports = {module: list(self._read(module)) for module in self.files}

    def module_of(self, path: Path) -> str:
        parts = path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def imports(self, module: str) -> list[Import]:
        return self._imports[module]

    def _read(self, module: str) -> Iterator[Import]:
        path = self.files[module]
        package = module if module in self.faces else module.rpartition(".")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, None, alias.asname or alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = package.split(".")[: len(package.split(".")) - node.level + 1]
                    base = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield Import(base, alias.name, alias.asname or alias.name, node.lineno)

    def target(self, base: str, name: str | None) -> str | None:
        """Return the file that an imported name comes from, through the faces that hand it on."""
        if name is not None and f"{base}.{name}" in self.files:
            return f"{base}.{name}"
        if name is not None and base in self.faces:
            for handed in self._imports[base]:
                if handed.known_as == name:
                    return self.target(handed.base, handed.name)
        return base if base in self.files else None

    def graph(self) -> nx.DiGraph:
        """Return the graph whose edges are imports between files that are no faces."""
        graph = nx.DiGraph()
        graph.add_nodes_from(module for module in self.files if module not in self.faces)
        for module in list(graph):
            for imported in self._imports[module]:
                target = self.target(imported.base, imported.name)
                if target in graph and target != module:
                    graph.add_edge(module, target)
        return graph

    def circles(self) -> list[list[str]]:
        """Return the sets of files that cannot be read without each other."""
        return [sorted(found) for found in nx.strongly_connected_components(self.graph()) if len(found) > 1]
