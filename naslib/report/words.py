"""What a run did, in sentences."""

from __future__ import annotations

from .amounts import amount, counted, duration, finite, plain, score
from .reading import SavedRun
from .state import RunStage, stage_of

_HOW = {
    "retrain": "trained from scratch",
    "keep": "with the weights of the search",
    "supernet": "as the network of the search, whole",
}


def sentences(run: SavedRun) -> list[str]:
    """Return a few sentences on what was searched, what was found and how well it does."""
    stage = stage_of(run)
    found = [_searched(run, stage)]
    found += [_chose(run)]
    found += [_network(run)]
    found += [_tested(run, stage)]
    return [sentence for sentence in found if sentence]


def _searched(run: SavedRun, stage: RunStage) -> str:
    space, data = run.of("search_space") or "an unknown space", run.of("dataset") or "unknown data"
    on = f"on the data set {data}" + (" (batches of a script's own loaders)" if run.summary.get("own_loaders") else "")
    if run.summary.get("architecture") == "given":
        return f"Nothing was searched: an architecture of the space {space} was given, to be evaluated {on}."
    tail = f"seed {run.seed}"
    device = run.summary.get("device") or run.environment.get("device")
    tail += f", {device}" if device else ""
    seconds = finite(run.summary.get("search_seconds"))
    took = f" in {duration(seconds)}" if seconds is not None else ""
    planned = finite(run.section("search").get("epochs"))
    if run.is_black_box:
        done = len([t for t in run.trials if t.state.is_over]) or int(
            finite(run.summary.get("search_evaluations")) or 0
        )
        evaluated = f"{run.method} evaluated {counted(done, 'architecture')} of the space {space} {on}"
        return f"{evaluated}{took} ({tail}){evaluator_in_words(run)}."
    if stage in (RunStage.SEARCHING, RunStage.BEGUN):
        of = f" of {counted(int(planned), 'epoch')}" if planned is not None else ""
        return f"{run.method} was searching the space {space} {on}: {run.searched}{of} are recorded ({tail})."
    epochs = finite(run.summary.get("search_epochs"))
    epochs = epochs if epochs is not None else planned
    length = f" for {counted(int(epochs), 'epoch')}" if epochs is not None else ""
    took = f", which took {duration(seconds)}" if seconds is not None else ""
    return f"{run.method} searched the space {space} {on}{length}{took} ({tail})."


def evaluator_in_words(run: SavedRun) -> str:
    """Return how a black-box search got its values, as the end of a clause; "" where it is not known."""
    name = str(run.trials.about.get("evaluator") or run.section("search").get("evaluator") or "")
    epochs = run.trials.about.get("epochs")
    length = f" for {counted(epochs, 'epoch')}" if isinstance(epochs, int) and epochs > 0 else ""
    kinds = {
        "table": ", whose values a table of a benchmark gave",
        "train": f", each trained{length}",
        "supernet": ", each with the shared weights of a supernet",
        "proxy": ", each by a proxy that trains nothing",
        "predictor": ", each by a predictor",
    }
    return next((words for kind, words in kinds.items() if name.lower().startswith(kind)), "")


def _chose(run: SavedRun) -> str:
    if not run.decisions:
        return ""
    widths = sorted({len(decision.ops) for decision in run.decisions})
    among = str(widths[0]) if len(widths) == 1 else f"{widths[0]} to {widths[-1]}"
    return f"It made {counted(len(run.decisions), 'decision')}, each among {among} candidates."


def _network(run: SavedRun) -> str:
    params, macs = finite(run.summary.get("params_millions")), finite(run.summary.get("flops_millions"))
    sizes = [f"{round(params * 1e6):,} parameters" if params is not None else ""]
    sizes += [f"{amount(round(macs * 1e6))} multiply-accumulates for an input" if macs is not None else ""]
    known = [size for size in sizes if size]
    verb = "was evaluated" if run.summary.get("architecture") == "given" else "it found"
    return f"The network that {verb} has {' and '.join(known)}." if known else ""


def _tested(run: SavedRun, stage: RunStage) -> str:
    if run.score is None:
        return "" if stage is not RunStage.FINISHED else "What it reached is not in its summary."
    value = score(run.score, run.unit)
    name = plain(run.score_name)
    better = "more is better" if run.maximize else "less is better"
    if run.mode == "query":
        return (
            f"A benchmark says its {name}: {value} ({better}). Nothing was trained for that: the number is that of the "
            "benchmark's own training."
        )
    epochs = finite(run.summary.get("evaluation_epochs"))
    how = _HOW.get(run.mode or "", "")
    if run.mode == "retrain" and epochs is not None:
        how = f"trained from scratch for {counted(int(epochs), 'epoch')}"
    tested = test_count(run)
    on = f" on {counted(tested, unit_of_count(run))}" if tested else ""
    start = f"{how[0].upper()}{how[1:]}, its" if how else "Its"
    return (
        f"{start} test {name} is {value}{on} that neither search nor training had looked at ({better})."
        if on
        else (
            f"{start} {name} on the test part, at which neither search nor training had looked, is {value} ({better})."
        )
    )


def test_count(run: SavedRun) -> int | None:
    """Return how many items were tested, as the confusion matrix or the classes count them; None where none do."""
    matrix = run.summary.get("confusion_matrix")
    if not isinstance(matrix, list) or not all(isinstance(row, list) for row in matrix):
        told = run.summary.get("per_class")
        matrix = [[entry.get("n") for entry in told if isinstance(entry, dict)]] if isinstance(told, list) else []
    values = [finite(value) for row in matrix for value in row]
    return int(sum(value or 0 for value in values)) or None


def unit_of_count(run: SavedRun) -> str:
    """Return what a confusion matrix counts: images, or pixels and items of other tasks."""
    name = task_name(run)
    if name == "classification":
        kind = run.of_network("preprocess").get("kind", "image")
        return "image" if kind == "image" else "sequence"
    return "pixel" if name == "segmentation" else "item"


def task_name(run: SavedRun) -> str:
    """Return the task in the words of the registry, as far as the run says it; "" where it does not."""
    said = run.of_network("task").get("class") or run.config.get("task")
    if said is None:
        return "classification" if run.score_name == "accuracy" and run.summary else ""
    last = str(said).rpartition(":")[2]
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(last))
