"""Section: pictures of the found cells or layers, and the architecture as text."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from naslib.search_spaces.core.graph import Graph
from naslib.training.cell_layout import cells_of
from naslib.training.found_chain import chain_of
from naslib.training.report import format_genotype

from ..amounts import DASH, counted, plain
from ..blocks import Code, Folded, Illustration, Note, Section, SideBySide, Table, Text
from ..charts.cells import cell_picture, chain_picture, numbers_of
from ..reading import SavedRun

# Cells of more nodes are knots on a page; more kinds of cells than these are seen in the run folder
_MOST_NODES, _MOST_CELLS = 24, 8
# Pictures of the run folder that stand in, and how large they may be
_PICTURES = ("*cell*.svg", "chain.svg", "decisions.svg")
_LARGEST = 400_000
_MOST_ROWS = 200


def architecture(run: SavedRun, graph: Graph | None, why_none: str) -> Section | None:
    """Return the section of the architecture, None of a run that has none yet.

    Args:
        run: The run.
        graph: Its architecture.
        why_none: Why there is no graph.
    """
    genotype = run.genotype.get("genotype", run.summary.get("genotype"))
    if graph is None and genotype is None and not run.genotype:
        return None
    blocks: list[Any] = []
    if graph is not None:
        blocks += _drawn(graph)
    if not blocks:
        blocks += _from_folder(run)
        if graph is None:
            blocks.append(Note(f"The architecture could not be built again to be drawn ({why_none})."))
    if graph is not None:
        blocks += _decided(graph)
    if genotype is not None:
        blocks.append(Folded("The architecture as text", [Code(_text(genotype), "the architecture")], is_printed=True))
    return Section("architecture", "The architecture", blocks)


def _text(genotype: Any) -> str:
    shown = format_genotype(genotype)
    return shown if len(shown) <= 20_000 else f"{shown[:20_000]} …"


def _drawn(graph: Graph) -> list[Any]:
    """Return pictures of a chain, or of the kinds of cells."""
    chain = chain_of(graph)
    if chain is not None:
        return [Illustration(f"The network is a chain of {counted(len(chain), 'step')}.", chain_picture(chain))]
    cells = [cell for cell in cells_of(graph) if len(cell.nodes) <= _MOST_NODES]
    numbers = numbers_of(cells)
    pictures = [
        Illustration(f"{plain(cell.name).capitalize()}: from left to right.", cell_picture(cell, numbers))
        for cell in cells[:_MOST_CELLS]
    ]
    words: list[Any] = []
    if len(cells) > _MOST_CELLS:
        words.append(Note(f"{_MOST_CELLS} of {counted(len(cells), 'kind')} of cells are drawn."))
    if not pictures:
        return words
    wide = any(len(cell.nodes) > 5 for cell in cells)
    return [*pictures, *words] if wide or len(pictures) == 1 else [SideBySide(pictures), *words]


def _from_folder(run: SavedRun) -> list[Any]:
    """Return the pictures that the run folder has, as images in which nothing runs."""
    found: list[Path] = []
    for pattern in _PICTURES:
        found += [path for path in sorted(run.folder.glob(pattern)) if path.is_file()]
    blocks = []
    for path in found[:_MOST_CELLS]:
        try:
            data = path.read_bytes()
        except OSError:
            continue
        if len(data) <= _LARGEST:
            source = f"data:image/svg+xml;base64,{base64.b64encode(data).decode('ascii')}"
            blocks.append(
                Illustration(
                    f"{plain(path.stem).capitalize()}, as the run drew it.",
                    source=source,
                    alt=f"Picture of {plain(path.stem)}",
                )
            )
    return blocks


def _decided(graph: Graph) -> list[Any]:
    """Return the table of what was decided, of an architecture that is known by its decisions."""
    space = graph._decision_space
    if space is None:
        return []
    try:
        code = graph.get_code()
        choices = space.choices(code)
        active = space.active(code)
    except (ValueError, KeyError, IndexError, NotImplementedError):
        return []
    rows = []
    for decision in active[:_MOST_ROWS]:
        picked = choices[decision.name]
        chosen = ", ".join(map(str, picked)) or "none" if decision.kind == "inputs" else str(picked)
        candidates = ", ".join(map(str, decision.candidates))
        rows.append([decision.name, chosen, candidates if len(candidates) <= 200 else f"{candidates[:200]} …"])
    table = Table("What was chosen, and among what", ("decision", "chosen", "candidates"), rows, is_sortable=True)
    more = [Text(f"The first {_MOST_ROWS} of {len(active)} are listed.")] if len(active) > _MOST_ROWS else []
    return [Folded(f"{counted(len(active), 'decision')}, one by one", [table, *more])]


def genotype_line(run: SavedRun) -> str:
    """Return the architecture in a line, for tables."""
    genotype = run.genotype.get("genotype", run.summary.get("genotype"))
    if genotype is None:
        return DASH
    text = genotype if isinstance(genotype, str) else json.dumps(genotype, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:119]}…"
