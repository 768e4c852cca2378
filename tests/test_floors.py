"""The house: who may import whom, and what a package's face may contain."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "naslib"

# Longest prefix wins. A module imports lower floors, or files of its own package.
FLOORS = {
    "naslib._aliases": -1,
    "naslib.errors": -1,  # the ground everything stands on
    "naslib.registry": 0,
    "naslib.utils": 0,
    "naslib.native": 1,
    "naslib.config": 1,
    "naslib.data": 1,
    "naslib.history": 1,
    "naslib.search_spaces.core": 2,
    "naslib.tasks": 2,
    "naslib.search_spaces": 3,
    "naslib.benchmarks": 3,
    "naslib.predictors": 4,
    "naslib.hardware": 4,
    "naslib.optimizers": 5,
    "naslib.mixed_operations": 6,
    "naslib.training": 6,
    "naslib.evaluators": 7,
    "naslib.defaults": 8,
    "naslib.cli": 9,
    "naslib.__main__": 10,
    "naslib.build.__main__": 10,
}
# The lazy faces name targets on higher floors in strings and import them when asked.
EXEMPT = {"naslib", "naslib.utils", "naslib.build"}


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _floor(module: str) -> int | None:
    names = [name for name in FLOORS if module == name or module.startswith(name + ".")]
    return FLOORS[max(names, key=len)] if names else None


def _package(module: str) -> str:
    """Return the unit within which modules may import each other freely."""
    parts = module.split(".")
    if parts[1:2] == ["defaults"]:  # the face of training
        return "naslib.training"
    if parts[:2] == ["naslib", "search_spaces"]:
        return ".".join(parts[:3])
    return ".".join(parts[:2])


def _imports(path: Path, module: str) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, *([node.module] if node.module else [])])
            found.append((base, node.lineno))
            if base in ("naslib", "naslib.utils"):
                found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return [(name, line) for name, line in found if name.split(".")[0] == "naslib"]


def _sources() -> list[Path]:
    paths = sorted(PACKAGE.rglob("*.py"))
    assert len(paths) >= 60
    return paths


def test_every_module_has_a_floor():
    homeless = [m for m in map(_module, _sources()) if _floor(m) is None and m not in EXEMPT]
    assert not homeless


def test_imports_go_down():
    wrong = []
    for path in _sources():
        module = _module(path)
        if module in EXEMPT:
            continue
        for target, line in _imports(path, module):
            where = f"{path.relative_to(ROOT)}:{line} imports {target}"
            if target in EXEMPT:
                if target == "naslib.utils":
                    wrong.append(f"{where} (the lazy face is for users)")
                continue
            mine, theirs = _floor(module), _floor(target)
            if theirs is not None and theirs >= mine and _package(target) != _package(module) and not _face(module):
                wrong.append(where)
    assert not wrong, "\n".join(wrong)


def _face(module: str) -> bool:
    """Say whether the module is the face or registry of all spaces, which imports its sibling packages."""
    return module in ("naslib.search_spaces", "naslib.search_spaces.registry")


def test_faces_only_re_export():
    paths = [p for p in _sources() if p.name == "__init__.py" and _module(p) not in EXEMPT]
    assert len(paths) >= 10
    for path in paths:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert docstring or isinstance(node, ast.ImportFrom), f"{path.relative_to(ROOT)}:{node.lineno} does work"


def test_library_habits():
    for path in _sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            assert not isinstance(node, ast.Assert), f"{where}: raise instead of assert"
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{where}: bare except"
                names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
                broad = names & {"Exception", "BaseException"}
                assert not broad or any(isinstance(n, ast.Raise) for n in ast.walk(node)), f"{where}: swallows errors"
            if isinstance(node, ast.ImportFrom):
                assert not any(alias.name == "*" for alias in node.names), f"{where}: import *"
