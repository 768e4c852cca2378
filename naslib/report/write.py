"""Write the page of one run, or of several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from naslib.errors import RunFolderError
from naslib.utils.files import atomic_write_text

from .blocks import Section
from .charts.svg import numbered_ids
from .finding import find_runs
from .groups import grouped
from .page import MARK, render
from .reading import SavedRun
from .rebuilding import rebuild
from .sections.again import again
from .sections.alphas import alphas
from .sections.architecture import architecture
from .sections.checklist import checklist
from .sections.classes import classes
from .sections.cost import cost
from .sections.curves import curves
from .sections.environment import environment
from .sections.found import found
from .sections.fronts import of_several
from .sections.layers import layers
from .sections.settings import settings
from .sections.several import curves_of, differences, overview, pareto
from .sections.target import target as cost_target
from .sections.trials import trials

FILE = "report.html"
# How much of a file is read to see whether it is a page of ours
_HEAD = 2000


def write_report(
    runs: str | Path | Sequence[str | Path],
    path: str | Path | None = None,
    *,
    measure: bool = True,
    reference: Sequence[float | None] | None = None,
) -> Path:
    """Write one self-contained HTML page on a run, or on several beside each other.

    Missing and damaged files of a run are said on the page. No random number is drawn from the global generators.

    Args:
        runs: A run folder, or folders of runs; of a folder that is none, all runs below it.
        path: The file; `report.html` in the folder of the one run, or in the current folder for several, if None. A
            page that was written so before is replaced, any other file is not.
        measure: Whether the layers of the trained network are measured on this machine, which takes seconds (of one
            run only).
        reference: Of searches for several objectives: what hypervolumes are above, a value per objective in its unit;
            None for the worst of all fronts with 5 % slack.

    Returns:
        The file.

    Raises:
        ConfigError: If the reference has another number of values than there are objectives.
        RunFolderError: If there is no run, or the file is there and no page of ours, or cannot be written.
    """
    folders = find_runs([runs] if isinstance(runs, str | Path) else list(runs))
    target = Path(path).expanduser() if path is not None else (folders[0] / FILE if len(folders) == 1 else Path(FILE))
    check_writable(target)
    text = report_text(folders, measure=measure, reference=reference)
    try:
        atomic_write_text(target, text)
    except OSError as error:
        raise RunFolderError(
            f"cannot write {target}: {error.strerror or error}; choose another file with --out FILE"
        ) from error
    return target


def check_writable(target: Path) -> None:
    """Raise if a page would replace something else.

    Raises:
        RunFolderError: If the file is there and is no page of ours, or is a folder.
    """
    above = next(place for place in target.absolute().parents if place.exists())
    if not above.is_dir():
        raise RunFolderError(f"cannot write {target}: {above} is a file; choose another file with --out FILE")
    if target.is_dir():
        raise RunFolderError(f"{target} is a folder: name a file in it, {target / FILE}")
    if not target.exists():
        return
    try:
        with target.open(encoding="utf-8") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        head = ""
    if MARK not in head:
        raise RunFolderError(
            f"{target} is there and was not written by naslib report: choose another file with --out FILE"
        )


def report_text(
    folders: Sequence[str | Path], measure: bool = True, reference: Sequence[float | None] | None = None
) -> str:
    """Return the page of run folders, one or several.

    Args:
        folders: Run folders.
        measure: As for `write_report`.
        reference: Likewise.
    """
    found_runs = [SavedRun.read(folder) for folder in folders]
    with numbered_ids():
        if len(found_runs) == 1:
            run = found_runs[0]
            return render(run.name, "Report of a run", str(run.folder), one_run(run, measure, reference))
        groups = grouped(found_runs)
        title = f"{len(found_runs)} runs: {', '.join(dict.fromkeys(run.method for run in found_runs))}"
        where = ", ".join(str(run.folder) for run in found_runs[:4]) + (" …" if len(found_runs) > 4 else "")
        several = [
            overview(groups), curves_of(groups), of_several(groups, reference), pareto(groups), differences(groups),
            checklist(found_runs),
        ]  # fmt: skip
        short = title if len(title) <= 120 else f"{title[:119]}…"
        return render(short, "Report of several runs", where, [section for section in several if section is not None])


def one_run(run: SavedRun, measure: bool, reference: Sequence[float | None] | None = None) -> list[Section]:
    """Return the sections on one run; see `write_report`."""
    graph, why_none = rebuild(run)
    middle = [
        architecture(run, graph, why_none), alphas(run), cost_target(run), trials(run, reference), curves(run),
        classes(run), layers(run, measure), cost(run), settings(run), environment(run), again(run), checklist([run]),
    ]  # fmt: skip
    # last, because it says what could not be read
    return [section for section in (found(run), *middle) if section is not None]
