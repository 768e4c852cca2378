"""Section: the best practices for research on architecture search, held against the record of a run.

The practices are those of [Lindauer2020bestpractices], in our words, as far as a run folder can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..amounts import counted, duration, finite, listed
from ..blocks import Section, Table, TableCell, Text
from ..reading import SavedRun
from ..state import RunStage, stage_of

YES, PARTLY, NO, UNKNOWN = "yes", "partly", "no", "unknown"
_SIGNS = {YES: "✓ yes", PARTLY: "~ partly", NO: "✗ no", UNKNOWN: "? unknown"}


class Practice(NamedTuple):
    """A practice.

    Attributes:
        practice: What should be done.
        answer: `yes`, `partly`, `no` or `unknown`.
        evidence: What the record says.
        why: Why it matters.
    """

    practice: str
    answer: str
    evidence: str
    why: str


def checklist(runs: Sequence[SavedRun]) -> Section:
    """Return the section of the checklist, of one run or of several that are shown together."""
    items = [check(runs) for check in CHECKS]
    rows: list[list[TableCell | str]] = [
        [item.practice, TableCell(_SIGNS[item.answer], mark=item.answer), item.evidence, item.why] for item in items
    ]
    met = sum(item.answer == YES for item in items)
    whose = "these runs tell by their records" if len(runs) > 1 else "this run tells by its record"
    words = (
        f"The practices of Lindauer and Hutter (JMLR 21(243), 2020), in short, as far as {whose}: {met} of "
        f"{len(items)} are met. Unknown is what no record says: it is for you to answer."
    )
    table = Table("Best practices", ("practice", "here", "what the record says", "why"), rows)
    return Section("checklist", "Best-practice checklist", [Text(words), table])


def _training_pipeline(runs: Sequence[SavedRun]) -> Practice:
    first = runs[0]
    has = [
        name
        for name, is_there in (
            ("the config", first.config),
            ("the architecture", first.genotype or first.summary.get("genotype")),
            ("the seed", first.seed != "?"),
        )
        if is_there
    ]
    scripted = any(run.is_scripted for run in runs)
    answer = PARTLY if scripted or len(has) < 3 else YES
    said = f"The run folder has {listed(has)}" if has else "The run folder has none of it"
    said += "; a script ran it, which must be given away with them." if scripted else "."
    return Practice(
        "Release what trains the final network: code, space, settings, seeds", answer if has else NO, said,
        "Differences in the final training often outweigh those between searches.",
    )  # fmt: skip


def _search_code(runs: Sequence[SavedRun]) -> Practice:
    commits = {str(run.environment.get("git_commit")) for run in runs}
    if commits == {"None"}:
        answer, said = UNKNOWN, "No commit is recorded: naslib was installed, or git was not there."
    elif any("changed" in commit for commit in commits):
        answer, said = NO, "Files were changed since the commit that is recorded: what ran is nowhere."
    else:
        answer = YES if len(commits) == 1 else PARTLY
        said = f"naslib at {counted(len(commits), 'commit')}: {listed([c[:12] for c in sorted(commits)], 3)}."
    return Practice(
        "Release the code of the search, its settings and seeds",
        answer,
        said,
        "A method that nobody can run cannot be compared with.",
    )


def _same_benchmark(runs: Sequence[SavedRun]) -> Practice:
    why = "Another split or another space makes another problem, and numbers of it tell nothing about this one."
    practice = "Same data, split, space and training for all that is compared"
    if len(runs) == 1:
        return Practice(
            practice,
            UNKNOWN,
            f"A single run of {runs[0].of('dataset') or 'unknown data'}; naslib report compares several.",
            why,
        )
    keys = ("dataset", "dataset_args", "search_space", "search_space_args", "task", "evaluation")
    different = [key for key in keys if any(run.config.get(key) != runs[0].config.get(key) for run in runs)]
    if different:
        return Practice(practice, NO, f"They differ in {listed(different)}.", why)
    return Practice(practice, YES, f"All {len(runs)} runs have the same {listed(keys)}.", why)


def _confounders(runs: Sequence[SavedRun]) -> Practice:
    why = "Hardware and versions change times, and sometimes results."
    practice = "Control what else differs: hardware, versions, time"
    known = [run.environment for run in runs if run.environment]
    if not known:
        return Practice(practice, UNKNOWN, "No environment is recorded.", why)
    keys = ("python", "torch", "naslib", "device", "cpu", "threads")
    different = [key for key in keys if len({str(one.get(key)) for one in known}) > 1]
    if different or len(known) < len(runs):
        return Practice(
            practice,
            NO,
            f"They differ in {listed(different)}." if different else "Of some runs it is not recorded.",
            why,
        )
    one = known[0]
    machine = f"{one.get('cpu') or one.get('device')}, {one.get('threads')} thread(s)"
    said = f"torch {one.get('torch')}, Python {one.get('python')}, {machine}"
    deterministic = "deterministic kernels" if one.get("deterministic") else "kernels that need not be deterministic"
    return Practice(practice, YES, f"Recorded{' and the same' if len(runs) > 1 else ''}: {said}; {deterministic}.", why)


def _ablations(runs: Sequence[SavedRun]) -> Practice:
    parts = sorted({part for run in runs for part in _parts(run)})
    said = (
        f"Parts in use: {listed(parts)}; a run without each would tell what it adds."
        if parts
        else "No parts are in use; whether components of the method were varied, no run says."
    )
    return Practice(
        "Ablations: what does each component add?",
        UNKNOWN,
        said,
        "A gain may come from a trick of the training rather than from the method.",
    )


def _parts(run: SavedRun) -> list[str]:
    parts = run.section("search").get("parts")
    return [str(part) for part in parts] if isinstance(parts, dict | list) else []


def _same_protocol(runs: Sequence[SavedRun]) -> Practice:
    why = "Choosing by the test part, or testing often, makes its number too good."
    practice = "One protocol of evaluation; the test part is looked at once, at the end"
    modes = {run.mode for run in runs}
    if modes == {None}:
        return Practice(practice, UNKNOWN, "Nothing has been tested yet.", why)
    if any(run.summary.get("own_loaders") for run in runs):
        return Practice(
            practice, UNKNOWN, "A script's own loaders: whether their test part was kept apart, only it says.", why
        )
    again = sum(len(list(run.folder.glob("eval.*"))) for run in runs)
    if len(modes) > 1:
        return Practice(
            practice, NO, f"Evaluated in different ways: {listed(sorted(str(mode) for mode in modes))}.", why
        )
    if again:
        return Practice(
            practice,
            PARTLY,
            f"The search never saw the test part, but it was used {counted(again + len(runs), 'time')} (eval.1 ...).",
            why,
        )
    return Practice(practice, YES, "The search never saw the test part, and it was used once at the end.", why)


def _over_time(runs: Sequence[SavedRun]) -> Practice:
    told = [run for run in runs if run.search.get("runtime") or run.trials]
    answer = YES if len(told) == len(runs) else PARTLY if told else NO
    words = {
        YES: "Times and scores of each step are recorded, and drawn above.",
        PARTLY: f"Recorded for {len(told)} of {len(runs)} runs.",
        NO: "No curve of the search is recorded.",
    }
    return Practice(
        "Report performance over time, not one number at the end",
        answer,
        words[answer],
        "The best method depends on the budget.",
    )


def _random_search(runs: Sequence[SavedRun]) -> Practice:
    why = "Random search is hard to beat on small spaces; a method that does not beat it has found nothing."
    practice = "Compare with random search, or random sampling with shared weights"
    random = sorted({run.of("optimizer") for run in runs} & {"rs", "random_search", "random_nas", "rsws"})
    if random and len({run.method for run in runs}) > 1:
        return Practice(practice, YES, f"{listed(random)} is among the methods.", why)
    if len(runs) == 1:
        said = (
            "This run is random search itself."
            if random
            else "A single run; naslib compare CONFIG --methods rs,... adds it at the same budget."
        )
        return Practice(practice, UNKNOWN, said, why)
    return Practice(practice, NO, "Random search is not among the methods.", why)


def _seeds(runs: Sequence[SavedRun]) -> Practice:
    why = "One run is an anecdote: seeds often differ by more than methods do."
    practice = "Several runs with other seeds; mean and deviation"
    by_method: dict[str, set[str]] = {}
    for run in runs:
        by_method.setdefault(run.method, set()).add(run.seed)
    fewest = min(len(seeds) for seeds in by_method.values())
    said = "; ".join(f"{method}: {counted(len(seeds), 'seed')}" for method, seeds in list(by_method.items())[:6])
    if fewest >= 3:
        return Practice(practice, YES, f"{said}.", why)
    return Practice(practice, NO if fewest == 1 else PARTLY, f"{said}; at least three are usual.", why)


def _tabular(runs: Sequence[SavedRun]) -> Practice:
    modes = {run.mode for run in runs} | {
        "query" for run in runs if str(run.trials.about.get("evaluator", "")).lower().startswith("table")
    }
    if "query" in modes:
        return Practice("Use tabular benchmarks where there are some", YES, "A benchmark gave the values.", _WHY_TABLES)
    return Practice(
        "Use tabular benchmarks where there are some",
        NO,
        "Networks were trained; on spaces with a table many seeds cost nothing.",
        _WHY_TABLES,
    )


_WHY_TABLES = "They give everybody the same numbers, at no cost, so that many repetitions are possible."


def _tuning(runs: Sequence[SavedRun]) -> Practice:
    return Practice(
        "Report how the settings were found, and what that cost", UNKNOWN,
        "No record says how the settings were chosen; the config section lists those that are not defaults.",
        "Settings tuned for one method and not for another decide a comparison before it begins.",
    )  # fmt: skip


def _whole_time(runs: Sequence[SavedRun]) -> Practice:
    practice = "Report the time of everything: search, selection, final training"
    why = "A cheap search with a costly selection is not cheap."
    times = [(finite(run.summary.get("search_seconds")), finite(run.summary.get("total_seconds"))) for run in runs]
    known = [(search, total) for search, total in times if search is not None and total is not None]
    if len(known) < len(runs) or any(stage_of(run) is not RunStage.FINISHED for run in runs):
        return Practice(
            practice,
            PARTLY if known else UNKNOWN,
            "The run has not ended, or its times are not recorded." if len(runs) == 1 else "Not all runs have ended.",
            why,
        )
    total = sum(total for _, total in known)
    return Practice(
        practice,
        YES,
        f"Recorded: {duration(sum(search for search, _ in known))} of search, {duration(total)} in all.",
        why,
    )


CHECKS: tuple[Callable[[Sequence[SavedRun]], Practice], ...] = (
    _training_pipeline, _search_code, _same_benchmark, _confounders, _ablations, _same_protocol, _over_time,
    _random_search, _seeds, _tabular, _tuning, _whole_time,
)  # fmt: skip
