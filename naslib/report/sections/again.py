"""Section: command lines that repeat a run, go on with it, or use what it found."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ..amounts import finite
from ..blocks import Commands, Note, Section
from ..reading import SavedRun
from ..state import RunStage, command_line, stage_of


def again(run: SavedRun) -> Section:
    """Return the section of commands."""
    folder = str(run.folder)
    lines: list[tuple[str, str]] = []
    blocks: list[Any] = []
    repeat = command_line(run, "out_dir=again", elsewhere=True)
    if repeat is not None:
        lines.append(("Repeat the run, in a folder of its own", repeat))
        lines.append(
            (
                "The same with another seed",
                command_line(run, "--seed", _next_seed(run), "out_dir=again", elsewhere=True) or "",
            )
        )
    stage = stage_of(run)
    resume = command_line(run, "--resume")
    if resume is not None and stage is not RunStage.FINISHED:
        lines.append(("Go on where it stopped", resume))
    epochs = finite(run.section("search").get("epochs"))
    if resume is not None and stage is RunStage.FINISHED and epochs and run.summary.get("architecture") != "given":
        lines.append(("Search longer", command_line(run, "--resume", f"search.epochs={int(2 * epochs)}") or ""))
    if run.genotype and run.config:
        found = f"evaluation.genotype={folder}"
        words = ["naslib", "--config", str(run.folder / "config.yaml"), found, "out_dir=retrained"]
        if not run.is_scripted:
            lines.append(("Train what was found anew, without a search", shlex.join(words)))
    if (run.folder / "eval" / "model_final.pth").is_file():
        lines.append(("Label new inputs", f"naslib predict {shlex.quote(folder)} INPUT"))
        lines.append(("Take the network away, as files that need no naslib", f"naslib export {shlex.quote(folder)}"))
    lines.append(("Write this page again", f"naslib report {shlex.quote(folder)}"))
    command = run.environment.get("command")
    if isinstance(command, str) and command:
        lines.append(("What was typed when the run began", command))
    if repeat is None:
        why = "a script ran it: run the script again" if run.is_scripted else "its config is missing"
        blocks.append(Note(f"No command repeats this run: {why}."))
    blocks.append(Commands([line for line in lines if line[1]]))
    if not Path(folder).is_absolute():
        blocks.append(Note(f"Paths are relative to {Path.cwd()}, where the page was written."))
    return Section("commands", "Commands", blocks)


def _next_seed(run: SavedRun) -> str:
    return str(int(run.seed) + 1) if run.seed.isdigit() else "2"
