"""Section: what was searched and what was found, in plain words."""

from __future__ import annotations

from typing import Any

from ..amounts import DASH, amount, counted, duration, finite, number, plain, score
from ..blocks import Commands, Note, Section, Table, TableCell, Text, Tiles, Warnings
from ..reading import SavedRun
from ..state import RunStage, command_line, is_held, stage_of
from ..words import sentences


def found(run: SavedRun) -> Section:
    """Return the first section of a page."""
    blocks: list[Any] = [Text(" ".join(sentences(run)))]
    tiles = _tiles(run)
    if tiles:
        blocks.append(Tiles(tiles))
    blocks += _other_tests(run)
    blocks += _unfinished(run)
    if reasons := _reasons(run):
        blocks.append(Warnings("The found network is degenerate:", reasons))
    if run.is_scripted:
        blocks.append(
            Note("A script ran it with something that its config does not say, so that only the script can repeat it.")
        )
    if run.troubles:
        blocks.append(Warnings("Files that could not be used, so that what they tell is missing:", run.troubles))
    return Section("found", "What was searched and found", blocks)


def _reasons(run: SavedRun) -> list[str]:
    reasons = run.summary.get("degenerate")
    return [str(reason).rstrip(".") for reason in reasons] if isinstance(reasons, list) else []


def _tiles(run: SavedRun) -> list[tuple[str, str, str]]:
    tiles = []
    if run.score is not None:
        how = {"query": "looked up in a benchmark", "retrain": "trained from scratch", "keep": "weights of the search"}
        tiles.append((f"test {plain(run.score_name)}", score(run.score, run.unit), how.get(run.mode or "", "")))
    others = run.summary.get("test_scores")
    for name, value in others.items() if isinstance(others, dict) else ():
        if name != run.score_name and finite(value) is not None:
            tiles.append((f"test {plain(name)}", number(value), _unit_of(run, str(name))))
    params = finite(run.summary.get("params_millions"))
    if params is not None:
        count = round(params * 1e6)
        tiles.append(("parameters", amount(count), counted(count, "number")))
    macs = finite(run.summary.get("flops_millions"))
    if macs is not None:
        tiles.append(("multiply-accumulates", amount(round(macs * 1e6)), "for one input"))
    for key, name in (("search_seconds", "search"), ("total_seconds", "in all")):
        if finite(run.summary.get(key)) is not None:
            tiles.append((name, duration(run.summary[key]), ""))
    return tiles


def _other_tests(run: SavedRun) -> list[Any]:
    """Return the scores on further test sets, where there were some."""
    told = run.summary.get("test_sets")
    if not isinstance(told, dict) or not told:
        return []
    names = list(dict.fromkeys(str(name) for scores in told.values() if isinstance(scores, dict) for name in scores))
    rows: list[list[TableCell | str]] = []
    for where, scores in told.items():
        values = [finite(scores.get(name)) if isinstance(scores, dict) else None for name in names]
        rows.append([str(where), *(TableCell(DASH if value is None else number(value), value) for value in values)])
    heads = ("test set", *(_head_of(run, name) for name in names))
    return [Table("Scores on further test sets", heads, rows, frozenset(range(1, len(heads))), is_sortable=True)]


def _head_of(run: SavedRun, name: str) -> str:
    unit = run.unit if name == run.score_name else _unit_of(run, name).partition(",")[0]
    return f"{plain(name)} in {unit}" if unit and "better" not in unit else plain(name)


def _unit_of(run: SavedRun, name: str) -> str:
    """Return the unit of a score, and its direction, as the record of the network has them."""
    scores = run.of_network("task").get("scores") or ()
    for entry in scores if isinstance(scores, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            better = "more is better" if entry.get("maximize", True) else "less is better"
            return f"{entry.get('unit') or ''}, {better}".lstrip(", ")
    return ""


def _unfinished(run: SavedRun) -> list[Any]:
    """Return what is missing of a run that has not ended, and the command that goes on with it."""
    stage = stage_of(run)
    if stage is RunStage.FINISHED:
        return []
    if is_held(run):
        return [Note("A process works on this run now: the page shows how far it has come.")]
    missing = {
        RunStage.SEARCHED: "the test of what it found",
        RunStage.RETRAINING: "the rest of the retraining, and the test",
        RunStage.SEARCHING: "the rest of the search, the retraining and the test",
        RunStage.BEGUN: "the search, the retraining and the test",
        RunStage.UNKNOWN: "the outcome",
    }[stage]
    blocks: list[Any] = [Note(f"The run has not ended: {stage.value}. Missing is {missing}.", True)]
    command = command_line(run, "--resume")
    if command is not None:
        blocks.append(Commands([("Go on where it stopped", command)]))
    else:
        how = "with --resume, where its config sends it to this folder"
        blocks.append(Note(f"It goes on {'from the script that ran it' if run.is_scripted else how}."))
    return blocks
