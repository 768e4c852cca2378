"""The page as a file: well-formed HTML, complete in itself, and what it says of the runs that it is about."""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
import re
from pathlib import Path

import pytest
import torch
import yaml
from page_reader import Page
from report_runs import (
    CLASSES,
    CONFUSION,
    OPS,
    alphas,
    environment,
    errors,
    network_record,
    retraining,
    summary,
    write_black_box,
    write_run,
)

import naslib
from naslib.report import write_report
from naslib.report.amounts import TIMES, WITHIN
from naslib.report.measuring import MeasuredLayer
from naslib.report.sections.layers import by_part

HOSTILE = "<script>alert('1')</script> & \"quoted\" ünï\u202ecode \x07 </script><!--"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a usual run."""
    return Page.read(write_report(write_run(tmp_path_factory.mktemp("run"))))


def check(page: Page) -> None:
    """Assert what is right of every page."""
    assert page.problems == []
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(picture["aria-labelledby"] and picture["aria-describedby"] for picture in page.pictures)
    assert all(caption.strip() for caption, _ in page.tables)
    for data in map(json.loads, page.scripts):
        assert len(data["x"]) == len(data["label"]) and all(len(row) == len(data["x"]) for row in data["values"])


def test_a_usual_run(one: Page):
    check(one)
    titles = [text for level, text in one.headings if level == 2]
    assert titles == [
        "What was searched and found", "The architecture", "Architecture parameters over time",
        "Curves of search and retraining", "Classes", "Size and time by layer", "What it cost", "Config", "Environment",
        "Commands", "Best-practice checklist",
    ]  # fmt: skip
    assert (
        "darts searched the space nasbench201 on the data set digits for 4 epochs, which took 1 min 30 s (seed 1, "
        "cpu). It made 2 decisions, each among 3 candidates. The network that it found has 48,200 parameters and 1.67 "
        "M multiply-accumulates for an input. Trained from scratch for 3 epochs, its test accuracy is 83.25 % on 30 "
        "images that neither search nor training had looked at (more is better)."
    ) in one.text


def test_numbers_of_a_usual_run(one: Page):
    # alphas: ln 2 per epoch over two others, so 2^4 against 1 and 1 after four epochs
    ends = one.table("The largest candidate")
    assert ends[1] == ["cell/0-1", OPS[0], f"{16 / 18:.3f}", OPS[1], f"{15 / 18:.3f}", f"{_entropy([16, 1, 1]):.3f}"]
    matrix = one.table("Confusion matrix")
    assert [row[0] for row in matrix[1:]] == CLASSES
    assert [[int(cell) for cell in row[1:-1]] for row in matrix[1:]] == CONFUSION
    assert "Of 30 predictions on the test part 25 are right; the most frequent error is eel taken for cat" in one.text
    assert one.table("Scores of each class")[2] == ["dog", "10", "90.00 %", "0.9", "0.9", "0.9"]
    assert one.table("Time by phase")[1:] == [
        ["search", "1 min 30 s", "60.0 %"], ["retraining and test", "30.0 s", "20.0 %"],
        ["everything else (loading, building, pictures)", "30.0 s", "20.0 %"], ["in all", "2 min 30 s", "100 %"],
    ]  # fmt: skip
    changed = {row[0]: row[1:] for row in one.table("Changed settings")[1:]}
    assert changed == {"search_space_args": ['{"channels": 4}', "{}"], "search.epochs": ["4", "50"],
                       "evaluation.epochs": ["3", "600"]}  # fmt: skip


def _entropy(counts: list[int]) -> float:
    shares = [count / sum(counts) for count in counts]
    return -sum(share * math.log(share) for share in shares) / math.log(len(shares))


def test_layers_add_up_to_the_network(one: Page):
    rows = one.table("Layers in the order")[1:]
    params = [int(row[3].replace(",", "")) for row in rows]
    network = naslib.training.export.NetworkRecord(
        network_record()["architecture"], None, batch_norm="running"
    ).build()  # fmt: skip
    assert sum(params) == sum(p.numel() for p in network.parameters()) == 5711
    # the stem: 3 x 3 of 1 channel to 4 on 8 x 8 places, without bias
    assert rows[0][1:3] == ["Stem", "4\u00d78\u00d78"] and float(rows[0][4]) == pytest.approx(
        9 * 4 * 64 / 1e6, rel=1e-2
    )
    assert rows[-1][1] in ("Linear", "Sequential", "Flatten") and all(float(row[5]) >= 0 for row in rows)


def test_the_checklist_has_all_practices_and_no_praise(one: Page):
    rows = one.table("Best practices")[1:]
    assert len(rows) == 12 and all(len(row) == 4 and all(row) for row in rows)
    answers = {row[0]: row[1].split()[1] for row in rows}
    assert answers["Several runs with other seeds; mean and deviation"] == "no"
    assert answers["Report how the settings were found, and what that cost"] == "unknown"
    assert answers["Report the time of everything: search, selection, final training"] == "yes"


def test_nothing_is_drawn_from_the_generators_and_the_file_is_the_same(tmp_path: Path):
    folder = write_run(tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    texts = [
        re.sub(r"on \d{4}-\d\d-\d\d \d\d:\d\d", "", write_report(folder, measure=False).read_text()) for _ in range(2)
    ]
    assert torch.equal(torch.rand(3), expected) and texts[0] == texts[1]
    assert len(texts[0]) < 300_000


def test_a_black_box_search(tmp_path: Path):
    page = Page.read(naslib.write_report(write_black_box(tmp_path), tmp_path / "page.html", measure=False))
    check(page)
    assert "random_search evaluated 12 architectures" in page.text and ", each trained for 2 epochs." in page.text
    assert (
        "12 trials: 11 complete, 1 failed. What counts is accuracy (more is better), params (less is better)."
        in page.text
    )
    # 50 + 7 i mod 12 with i = 5 is 61, the largest; its size 1 + 5 i mod 12 is 2; i = 0 alone is smaller
    best = page.table("The best 10 of 11 complete trials")
    assert best[1][:3] == ["5", "61.00 %", "2 M"] and [row[0] for row in best[1:4]] == ["5", "10", "3"]
    assert "Accuracy in % against params in M: 11 trials, 2 on the front." in page.text
    assert (
        "1 trial failed; the last one: it diverged" in page.text
        and "8 of 11 trials with a learning curve." in page.text
    )
    values = page.table("Over trials: what the chart shows")
    assert [row[1] for row in values[1:]] == ["50", "57", "57", "59", "59", *["61"] * 7]
    assert [row[2] for row in values[1:4]] == ["50", "57", "\u2013"]


def test_what_the_architecture_costs_beside_its_target(tmp_path: Path):
    history = [
        {"epoch": e, "expected": 3.0 - e / 4, "architecture": 4.0 - e, "target": 2.5, "multiplier": 0.1, "penalty": 1.0}
        for e in range(3)
    ]
    cost = {
        "metric": "macs", "unit": "M", "target": 2.5, "weight": None, "one_sided": False, "met": True,
        "found": {"epoch": 3, "expected": 2.4, "architecture": 2.45, "target": 2.5}, "history": history,
    }  # fmt: skip
    page = Page.read(write_report(write_run(tmp_path / "a", summary=summary(parts={"cost": cost}), network=None)))
    check(page)
    for text in ("Cost of the architecture", "2.45 M", "met from both sides", "-2.0 %", "macs after each epoch"):
        assert text in page.text
    cost |= {"met": False, "one_sided": True, "found": None}
    told = summary(parts={"cost": {**cost, "target": None, "history": history[:1]}})
    page = Page.read(write_report(write_run(tmp_path / "b", summary=told, network=None)))
    assert "not chosen" in page.text and "off the target" not in page.text
    page = Page.read(write_report(write_run(tmp_path / "c", summary=summary(), network=None)))
    assert "Cost of the architecture" not in page.text


def test_a_table_was_asked(tmp_path: Path):
    told = summary(evaluation_mode="query", confusion_matrix=None, per_class=None, evaluation_seconds=0.0)
    page = Page.read(write_report(write_run(tmp_path, summary=told, history=None, network=None)))
    check(page)
    assert "A benchmark says its accuracy: 83.25 % (more is better). Nothing was trained for that" in page.text
    assert "There is no retraining: a benchmark was asked instead." in page.text
    assert "Nothing was measured: a benchmark was asked, and no network was built." in page.text


@pytest.mark.parametrize(
    ("told", "task", "expected"),
    [
        ({"score": 0.31, "score_name": "rmse", "score_unit": "degrees", "maximize": False}, "regression:Regression",
         "its rmse on the test part, at which neither search nor training had looked, is 0.31 degrees (less"),
        ({"score": 88.8, "score_name": "perplexity", "score_unit": "", "maximize": False}, "sequence:LanguageModelling",
         "its perplexity on the test part, at which neither search nor training had looked, is 88.8 (less is better)."),
    ],
)  # fmt: skip
def test_other_tasks(tmp_path: Path, told: dict, task: str, expected: str):
    record = network_record() | {"task": {"class": f"naslib.tasks.{task}", "scores": []}}
    said = summary(**told, test_scores={told["score_name"]: told["score"]}, confusion_matrix=None, per_class=None)
    page = Page.read(write_report(write_run(tmp_path, summary=said, network=record), measure=False))
    check(page)
    assert expected in page.text and "Classes" not in [text for _, text in page.headings]


def test_an_interrupted_run_says_what_is_missing_and_the_command(tmp_path: Path):
    folder = write_run(tmp_path, summary=None, history=None, network=None, genotype=None, errors=errors(2))
    page = Page.read(write_report(folder))
    check(page)
    assert "darts was searching the space nasbench201 on the data set digits: 2 of 4 epochs are recorded" in page.text
    assert "Missing is the rest of the search, the retraining and the test." in page.text
    assert f"naslib --config {folder / 'config.yaml'} --resume" in page.text


FILES = ["config.yaml", "summary.json", "environment.json", "errors.json", "arch_weights.json", "genotype.json"]
FILES += ["eval/history.json", "eval/network.json"]
DAMAGED = ["{", '[{"a": 1}]', '{"search": 3, "score": "high", "genotype": {"normal": 3}}']


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_files_break_no_page(tmp_path: Path, content: str):
    folder = write_run(tmp_path)
    for name in FILES:
        (folder / name).write_text(content)
    page = Page.read(write_report(folder))
    check(page)
    if content == "{":
        assert all(f"{name} cannot be read" in page.text for name in FILES)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_breaks_no_page(tmp_path: Path, name: str, content: str):
    folder = write_run(tmp_path)
    (folder / name).write_text(content)
    page = Page.read(write_report(folder, measure=name == "eval/network.json"))
    check(page)
    assert (f"{name} cannot be read" in page.text) or content != "{"


def test_every_name_is_text(tmp_path: Path):
    ops = [HOSTILE, "b&amp;", "c"]
    told = summary(
        dataset=HOSTILE, optimizer=HOSTILE, search_space=HOSTILE, genotype=HOSTILE, class_names=[HOSTILE, "b", "c"],
        score_name=HOSTILE, score_unit=HOSTILE, device=HOSTILE, degenerate=[HOSTILE], test_scores={HOSTILE: 1.0},
    )  # fmt: skip
    told["per_class"][0]["name"] = HOSTILE
    decisions = [{**entry, "name": f"{HOSTILE}{i}"} for i, entry in enumerate(alphas(ops=ops))]
    folder = write_run(
        tmp_path / "a <b>", summary=told, arch_weights=decisions, environment=environment(cpu=HOSTILE, command=HOSTILE),
        genotype={"search_space": HOSTILE, "genotype": {HOSTILE: [HOSTILE]}}, network=None,
        errors=errors(**{f"train_{HOSTILE}": [1.0, 2.0]}),
    )  # fmt: skip
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(
        yaml.safe_dump({**config, HOSTILE: HOSTILE, "dataset": HOSTILE}, allow_unicode=True)
    )
    page = Page.read(write_report(folder))
    check(page)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 1 + len(page.scripts)
    assert not {"\x07", "\u202e"} & set(text) and "alert('1')" in page.text and "ünï" in page.text
    black_box = write_black_box(tmp_path / "other", trials=4, summary=told)
    check(Page.read(write_report([folder, black_box], tmp_path / "both.html")))


@pytest.mark.parametrize("epochs", [0, 1, 1000])
def test_any_number_of_epochs(tmp_path: Path, epochs: int):
    losses = [1.0 / (e + 1) for e in range(epochs)]
    if epochs > 10:
        losses[500] = math.nan
    folder = write_run(
        tmp_path,
        errors=errors(epochs, train_loss=losses),
        arch_weights=alphas(epochs),
        history=retraining(epochs) or None,
    )
    path = write_report(folder, measure=False)
    page = Page.read(path)
    check(page)
    assert path.stat().st_size < 600_000
    if epochs == 1000:
        assert "of 1000 positions are drawn" in page.text and "60 of 1001 epochs are drawn." in page.text


@pytest.mark.slow
def test_five_hundred_decisions_fit_on_a_page(tmp_path: Path):
    folder = write_run(tmp_path, arch_weights=alphas(50, 500, [f"candidate {i}" for i in range(8)]))
    path = write_report(folder, measure=False)
    assert path.stat().st_size < 2_000_000
    page = Page.read(path)
    check(page)
    assert "The first 48 of 500 decisions are drawn; the table below has all." in page.text
    assert len(page.table("The largest candidate")) == 501


def test_several_runs(tmp_path: Path):
    for seed, score in ((1, 94.0), (2, 93.0), (3, 95.0)):
        write_run(tmp_path / "run", seed, score=score)
        write_run(tmp_path / "run", seed, "gdas", score=score - 5, config={"search": {"train_portion": 0.3}})
    page = Page.read(write_report(tmp_path / "run", tmp_path / "all.html"))
    check(page)
    table = {row[0]: row[1:4] for row in page.table("Mean \u00b1 standard deviation")[1:]}
    assert table == {"darts": ["3", "94.00 \u00b1 1.00 %", "95.00 %"], "gdas": ["3", "89.00 \u00b1 1.00 %", "90.00 %"]}
    # two standard errors of a difference: 2 sqrt(1/3 + 1/3)
    assert "The difference, 5, is more than two standard errors (1.63)." in page.text
    assert (
        "search.train_portion differs (0.5 in darts; 0.3 in gdas): the searches had other shares of the data"
        in page.text
    )
    assert {row[0] for row in page.table("Settings that are not")[1:]} == {"optimizer", "search.train_portion"}
    assert len(page.table("Runs")) == 7 and "Several runs with other seeds; mean and deviation" in page.text


def test_runs_of_other_kinds_are_not_ranked(tmp_path: Path):
    write_run(tmp_path / "a", environment=environment(torch="2.12.0"))
    other = summary(seed=2, score=1.5, score_name="rmse", score_unit="", maximize=False, evaluation_mode="query")
    write_run(tmp_path / "b", 2, summary=other, config={"dataset": "fashion_mnist"})
    page = Page.read(write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "all.html"))
    check(page)
    for words in (
        "dataset differs", "The scores are of different kinds (accuracy and rmse)",
        "different evaluations (query and retrain)",
        "different seeds", "torch differs (2.12.0 in darts on nasbench201, digits, seed 1; 2.11.0 in",
    ):  # fmt: skip
        assert words in page.text, words
    assert "The best mean has" not in page.text


def test_runs_of_one_method_are_named_by_what_differs(tmp_path: Path):
    for number, k in enumerate((2, 4)):
        write_run(tmp_path / str(number), score=80.0 + k, config={"search": {"batch_size": 32 * k}})
    page = Page.read(write_report(tmp_path, tmp_path / "all.html"))
    assert {row[0] for row in page.table("Mean")[1:]} == {"darts, batch_size=64", "darts, batch_size=128"}
    assert "has darts, batch_size=128, 84.00 %, followed by darts, batch_size=64, 82.00 %. With" in page.text


def test_a_run_without_anything_but_a_config(tmp_path: Path):
    nothing = dict.fromkeys(("summary", "errors", "arch_weights", "environment", "genotype", "history", "network"))
    page = Page.read(write_report(write_run(tmp_path, **nothing)))
    check(page)
    assert "There is no environment.json that could be read" in page.text and "No times are recorded." in page.text


def test_own_loaders_and_degenerate_networks(tmp_path: Path):
    told = summary(own_loaders=True, degenerate=["the normal cell passes its input on"])
    page = Page.read(write_report(write_run(tmp_path, summary=told, network=network_record() | {"preprocess": None})))
    check(page)
    assert "only the script can repeat it" in page.text and "the normal cell passes its input on" in page.text
    assert "Nothing could be measured: batches of a script's own loaders fed the network" in page.text
    assert "naslib --config" not in page.text
    answers = {row[0]: row[1:3] for row in page.table("Best practices")[1:]}
    practice = "One protocol of evaluation; the test part is looked at once, at the end"
    assert answers[practice][0] == "? unknown" and "own loaders" in answers[practice][1]
    recorded = network_record() | {"preprocess": None, "input_shape": [1, 12, 10]}
    page = Page.read(write_report(write_run(tmp_path / "recorded", summary=told, network=recorded)))
    assert f"1{TIMES}12{TIMES}10" in page.text and "Nothing could be measured" not in page.text


def test_further_test_sets_and_many_classes(tmp_path: Path):
    many = [{"name": f"c{i}", "n": 2, "accuracy": float(i % 101), "precision": None, "recall": 0.5, "f1": 0.5}
            for i in range(1200)]  # fmt: skip
    told = summary(test_sets={"blurred": {"accuracy": 61.5, "top5": None}, "<night>": {"accuracy": 50.25}},
                   per_class=many, confusion_matrix=None)  # fmt: skip
    path = write_report(write_run(tmp_path, summary=told), measure=False)
    page = Page.read(path)
    check(page)
    sets = page.table("Scores on further test sets")
    assert sets == [
        ["test set", "accuracy in %", "top5"],
        ["blurred", "61.5", "\u2013"],
        ["<night>", "50.25", "\u2013"],
    ]
    least = page.table("Scores of each class on the test part: the 200 of 1200 that are found least")
    assert len(least) == 201 and least[1][2] == "0.00 %" and "on 2,400 images" in page.text


def test_many_classes_are_shown_by_what_is_confused(tmp_path: Path):
    count = 60
    matrix = [[10 * (i == j) + (i + 1 == j) * i for j in range(count)] for i in range(count)]
    told = summary(confusion_matrix=matrix, per_class=None, class_names=[f"c{i}" for i in range(count)])
    page = Page.read(write_report(write_run(tmp_path, summary=told), measure=False))
    check(page)
    pairs = page.table("The 20 pairs that are confused most")
    assert pairs[1] == ["c58", "c59", "58", f"{100 * 58 / 68:.2f} %"] and not [
        n for n, _ in page.tables if "matrix" in n
    ]


def test_many_layers_are_summed_by_the_parts_of_the_network():
    layers = [MeasuredLayer(f"node ({i // 40}){WITHIN}edge {i}", "Conv2d", f"{i}", i, 0.5, 0.25) for i in range(100)]
    parts = by_part(layers)
    assert [(p.name, p.kind, p.shape) for p in parts] == [
        ("node (0)", "40 layers", "39"), ("node (1)", "40 layers", "79"), ("node (2)", "20 layers", "99"),
    ]  # fmt: skip
    assert [p.params for p in parts] == [sum(range(40)), sum(range(40, 80)), sum(range(80, 100))]
    assert [(p.macs, p.milliseconds) for p in parts] == [(20.0, 10.0), (20.0, 10.0), (10.0, 5.0)]


JUNK: list = [
    None,
    3,
    -1.5,
    "text",
    [],
    {},
    [1, "a", None],
    {"a": {"b": [1]}},
    True,
    math.inf,
    "<b>",
    [[1], [2, 3]],
    10**30,
]


def _with_junk(value: object, rng: random.Random, is_top: bool = True) -> object:
    if not is_top and rng.random() < 0.08:
        return copy.deepcopy(rng.choice(JUNK))
    if isinstance(value, dict):
        return {key: _with_junk(entry, rng, False) for key, entry in value.items() if rng.random() > 0.04}
    return [_with_junk(entry, rng, False) for entry in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", [15, 22, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(100, 140))])
def test_values_of_any_kind_break_no_page(tmp_path: Path, seed: int):
    rng = random.Random(seed)
    folder = (write_run if seed % 3 else write_black_box)(tmp_path / "run")
    for path in [*folder.glob("*.json"), *folder.glob("eval/*.json")]:
        path.write_text(json.dumps(_with_junk(json.loads(path.read_text()), rng)))
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(_with_junk(yaml.safe_load(config.read_text()), rng)))
    check(Page.read(write_report(folder, tmp_path / "one.html", measure=False)))
    whole = write_run(tmp_path / "whole", 2)
    check(Page.read(write_report([folder, whole], tmp_path / "two.html")))
