"""Public functions that take or return tensors say their shapes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TENSOR = re.compile(r"\bTensor\b")
# `(n, c, h, w)`, `(n,)`, `()`; or words for what has one number, or any number of any shape
SHAPE = re.compile(r"`\([^`()]*\)`|\bscalars?\b|\bany shape\b|\bone shape\b|\bshape of\b")


def _public(path: Path) -> list[tuple[str, ast.FunctionDef]]:
    """Return the public functions of a file, and the public methods of its public classes."""
    found = []

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                look(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found.append((f"{prefix}{node.name}", node))

    look(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def _has_tensors(node: ast.FunctionDef) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg]
    annotations = [a.annotation for a in arguments if a is not None] + [node.returns]
    return any(a is not None and TENSOR.search(ast.unparse(a)) for a in annotations)


def test_every_tensor_has_a_shape():
    asked, missing = 0, []
    for path in sorted((ROOT / "naslib").rglob("[!_]*.py")):  # files with an underscore are infrastructure
        for name, node in _public(path):
            if _has_tensors(node):
                asked += 1
                if not SHAPE.search(ast.get_docstring(node) or ""):
                    missing.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    assert asked >= 280
    assert not missing, f"{len(missing)} of {asked} say no shape:\n" + "\n".join(missing)
