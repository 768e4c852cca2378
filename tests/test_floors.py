"""The house: who may import whom, and what a package's face may contain."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from import_graph import ImportGraph

ROOT = Path(__file__).resolve().parents[1]
IMPORTS = ImportGraph(ROOT / "naslib")

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
    "naslib.morphism": 1,  # knows torch alone
    "naslib.search_spaces.core": 2,
    "naslib.tasks": 2,
    "naslib.search_spaces": 3,
    "naslib.benchmarks": 3,
    "naslib.choices": 3,
    "naslib.hardware": 4,
    "naslib.predictors": 4,
    "naslib.optimizers": 5,
    "naslib.mixed_operations": 6,
    "naslib.training": 6,
    "naslib.evaluators": 7,
    "naslib.export": 7,
    "naslib.report": 7,
    "naslib.prediction": 7,
    "naslib.comparison": 7,
    "naslib.defaults": 8,
    "naslib.cli": 9,
    "naslib.__main__": 10,
    "naslib.build.__main__": 10,
}
# Within a package a room imports lower rooms; its faces hand names on. docs/architecture.md shows both tables.
ROOMS = {
    "naslib.search_spaces.core.kernels": 0,
    "naslib.search_spaces.core": 1,
    "naslib.optimizers.core": 0,
    "naslib.optimizers.registry": 1,
    "naslib.optimizers.discrete": 2,
    "naslib.optimizers.oneshot.supernet": 2,
    "naslib.optimizers.oneshot.parts": 3,
    "naslib.optimizers.oneshot.paths": 3,
    "naslib.optimizers.oneshot.methods": 4,
}
# The lazy faces name targets on higher floors in strings and import them when asked.
EXEMPT = {"naslib", "naslib.utils", "naslib.build"}


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


def _files() -> list[str]:
    assert len(IMPORTS.files) >= 300
    return list(IMPORTS.files)


def _inside(module: str) -> list[tuple[str, int]]:
    """Return the modules and faces of naslib that a module imports, with the line; types alone count as well."""
    found = []
    for imported in IMPORTS.imports(module):
        names = [imported.base]
        if imported.base in EXEMPT and imported.name is not None:
            names.append(f"{imported.base}.{imported.name}")
        found += [(name, imported.line) for name in names if name.split(".")[0] == "naslib"]
    return found


def _where(module: str, line: int, target: str) -> str:
    return f"{IMPORTS.files[module].relative_to(ROOT)}:{line} imports {target}"


def test_every_module_has_a_floor() -> None:
    homeless = [module for module in _files() if _floor(module) is None and module not in EXEMPT]
    assert not homeless


def test_imports_go_down() -> None:
    wrong = []
    for module in _files():
        if module in EXEMPT:
            continue
        for target, line in _inside(module):
            if target in EXEMPT:
                if target == "naslib.utils":
                    wrong.append(f"{_where(module, line, target)} (the lazy face is for users)")
                continue
            mine, theirs = _floor(module), _floor(target)
            if theirs is not None and theirs >= mine and _package(target) != _package(module) and not _face(module):
                wrong.append(_where(module, line, target))
    assert not wrong, "\n".join(wrong)


def _face(module: str) -> bool:
    """Say whether the module is the face or registry of all spaces, which imports its sibling packages."""
    return module in ("naslib.search_spaces", "naslib.search_spaces.registry")


def test_no_files_stand_in_a_circle() -> None:
    graph = IMPORTS.graph()
    assert len(graph) >= 270 and graph.number_of_edges() >= 1000
    assert IMPORTS.circles() == []


def test_a_circle_is_found_however_it_is_closed(tmp_path: Path) -> None:
    package = tmp_path / "house"
    (package / "room").mkdir(parents=True)
    texts = {
        "__init__.py": "",
        "room/__init__.py": "from .shelf import book as book",
        "room/shelf.py": "def book():\n    from house.reader import read",  # in a function
        "reader.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.lamp import Lamp",
        "lamp.py": "from house.room import book",  # through a face
        "alone.py": "from . import lamp",
    }
    for name, text in texts.items():
        (package / name).write_text(text)
    assert ImportGraph(package).circles() == [["house.lamp", "house.reader", "house.room.shelf"]]


def _room(module: str) -> str | None:
    names = [name for name in ROOMS if module == name or module.startswith(name + ".")]
    return max(names, key=len) if names else None


def test_rooms_import_down() -> None:
    wrong, seen = [], 0
    for module, target in IMPORTS.graph().edges:
        mine, theirs = _room(module), _room(target)
        if mine is None or theirs is None or mine == theirs or _package(module) != _package(target):
            continue
        seen += 1
        if ROOMS[theirs] >= ROOMS[mine]:
            wrong.append(f"{module} imports {target}")
    assert seen >= 100
    assert not wrong, "\n".join(wrong)


def _tables(page: str) -> list[list[list[str]]]:
    """Return the tables of a page of Markdown: rows of cells, without the heading."""
    found: list[list[list[str]]] = [[]]
    for line in page.splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [table[2:] for table in found if table]


def _levels(table: list[list[str]]) -> dict[str, int]:
    return {name: int(level) for level, names, *_ in table for name in re.findall(r"`([\w.]+)`", names)}


def test_the_page_on_architecture_says_what_the_code_says() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    floors, rooms, *_ = _tables(page)
    assert _levels(floors) == FLOORS
    assert _levels(rooms) == ROOMS
    named = re.findall(r"`(naslib(?:\.\w+)+)`", page)
    named += [
        path.removesuffix(".py").replace("/", ".") for path in re.findall(r"`(naslib/[\w/]*\w(?:\.py)?)/?`", page)
    ]
    assert len(named) >= 40
    missing = [name for name in named if name not in IMPORTS.files and not (ROOT / name.replace(".", "/")).is_dir()]
    assert not missing


def test_faces_only_re_export():
    faces = IMPORTS.faces - EXEMPT
    assert len(faces) >= 10
    for path in (IMPORTS.files[face] for face in sorted(faces)):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert docstring or isinstance(node, ast.ImportFrom), f"{path.relative_to(ROOT)}:{node.lineno} does work"


def test_library_habits():
    for path in map(IMPORTS.files.__getitem__, _files()):
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


def test_no_file_is_longer_than_can_be_read() -> None:
    lengths = {module: path.read_text(encoding="utf-8").count("\n") for module, path in IMPORTS.files.items()}
    assert {module: length for module, length in lengths.items() if length > 400} == {}
