"""What is drawn as text in the language DOT, which graphviz and others lay out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from .cell_layout import DrawnCell
from .chain_picture import Box
from .found_chain import ChainBox
from .space_pictures import Row

_FONT = "DejaVu Sans"
_INPUT, _OUTPUT, _NODE, _FIXED, _SEARCHED = "#dcebdc", "#f3e3c8", "#e8ecf4", "#f1f1f1", "#e3eaf6"
_CHOSEN = "#f0b95a"
_INDEXED = re.compile(r"(\w)_\{([\w-]+)\}")


def dot_of_cell(cell: DrawnCell, colours: Mapping[str, str], boxes: bool = False) -> str:
    """Return a cell: a circle for each node, the operation on each edge in the colour of its name.

    Args:
        cell: The cell.
        colours: By label; other edges under search are black.
        boxes: Whether nodes are boxes, which have room for long names.
    """
    shape = "box" if boxes else "circle"
    lines = []
    for node in cell.nodes:
        face = _INPUT if node in cell.inputs else _OUTPUT if node in cell.outputs else _NODE
        lines.append(f"{node} [label={_label(cell.labels.get(node, str(node)))}, fillcolor={_quoted(face)}];")
    for edge in cell.edges:
        colour = colours.get(edge.label, "#333333") if edge.kind == "op" else "#8a8a8a"
        style = {"zero": "dashed"}.get(edge.kind, "solid")
        # blanks keep the name off its line
        label = f"label={_quoted(f' {edge.label} ')}, fontcolor={_quoted(colour)}, " if edge.label else ""
        lines.append(f"{edge.source} -> {edge.target} [{label}color={_quoted(colour)}, style={style}];")
    return _digraph(cell.name, lines, shape)


def dot_of_boxes(boxes: Sequence[Box]) -> str:
    """Return a chain of layers, with what is to be chosen in each."""
    cells = [(f"{box.title}\n" + "\n".join(box.lines), _SEARCHED if box.searched else _FIXED) for box in boxes]
    return _chain("chain", cells)


def dot_of_found(boxes: Sequence[ChainBox]) -> str:
    """Return the chain of layers that was found."""
    return _chain("chain", [(_step(box), _FIXED if box.kind == "fixed" else _SEARCHED) for box in boxes])


def dot_of_rows(rows: Sequence[Row]) -> str:
    """Return the table of decisions: a record for each, its name and its candidates; what is chosen has a star."""
    lines = []
    for number, row in enumerate(rows):
        candidates = [f"{text} *" if text in row.chosen else text for text in row.candidates]
        fields = " | ".join(map(_field, [row.name, row.rule, *candidates]))
        face = _CHOSEN if row.chosen else _SEARCHED
        lines.append(f'{number} [label="{fields}", shape=record, fillcolor={_quoted(face)}];')
    lines += [f"{number} -> {number + 1} [style=invis];" for number in range(len(rows) - 1)]
    return _digraph("decisions", lines, "record", "TB")


def _step(box: ChainBox) -> str:
    size = " ".join(filter(None, [str(box.channels or ""), f"/{box.stride}" if box.stride > 1 else ""]))
    return "\n".join(filter(None, [box.name.replace("_", " "), box.label, size]))


def _chain(name: str, cells: Iterable[tuple[str, str]]) -> str:
    lines, count = [], 0
    for text, face in cells:
        lines.append(f"{count} [label={_quoted(text.strip())}, fillcolor={_quoted(face)}];")
        count += 1
    lines += [f"{number} -> {number + 1};" for number in range(count - 1)]
    return _digraph(name, lines, "box", "TB")


def _digraph(name: str, lines: Iterable[str], shape: str, direction: str = "LR") -> str:
    head = [
        f"digraph {_quoted(name)} {{",
        f'  graph [rankdir={direction}, bgcolor="white", fontname="{_FONT}", label={_quoted(name.replace("_", " "))},'
        " labelloc=t, nodesep=0.35, ranksep=0.5, pad=0.15];",
        f'  node [shape={shape}, style="filled", fontname="{_FONT}", fontsize=11, color="#333333"];',
        f'  edge [fontname="{_FONT}", fontsize=10, color="#555555", arrowsize=0.7];',
    ]
    return "\n".join([*head, *(f"  {line}" for line in lines), "}"]) + "\n"


def _label(text: str) -> str:
    """Return a label; the names of the field, `c_{k-1}`, with an index below the line."""
    found = _INDEXED.fullmatch(text)
    return f"<{found[1]}<SUB>{found[2]}</SUB>>" if found else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _field(text: str) -> str:
    """Return a text as a field of a record, in which braces, bars, angles and blanks mean something."""
    return "".join(f"\\{letter}" if letter in '\\{}|<>" ' else letter for letter in text)
