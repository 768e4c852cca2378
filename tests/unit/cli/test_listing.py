"""`naslib list`: every entry of every kind, in tables that keep to their width, and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import naslib
from naslib.cli.command import main
from naslib.cli.doc_pages import page_of
from naslib.cli.listed import KINDS, counts, entries, entry_of, keywords
from naslib.config.find import find_config_file, shipped_configs
from naslib.errors import UnknownNameError
from naslib.utils.table import lay_table

ROOT = Path(naslib.__file__).resolve().parents[1]
ALL = [*KINDS, "devices", "configs"]


def _printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["list", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", [60, 80, 160])
@pytest.mark.parametrize("kind", ALL)
def test_every_name_is_in_a_table_that_keeps_to_its_width(kind, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    text = _printed(capsys, kind)
    assert max(map(len, text.splitlines())) <= columns
    squeezed = text.replace(",", " ").split()
    for entry in entries(kind):
        for name in (entry.name, *entry.other_names):
            assert name in squeezed or len(name) > 20, name


def test_counts_are_those_of_the_registries(capsys):
    assert [kind for kind, _, _ in counts()] == ALL
    for kind, count, _ in counts():
        assert count == len(entries(kind))
    found = json.loads(_printed(capsys, "--json"))
    assert found["tasks"] == 6 and found["configs"] == len(shipped_configs())
    names = [name for entry in entries("optimizers") for name in (entry.name, *entry.other_names)]
    assert sorted(names) == KINDS["optimizers"][0].names()


@pytest.mark.parametrize("kind", ALL)
def test_entries_say_what_they_are_and_where_more_is_said(kind):
    for entry in entries(kind):
        assert entry.about and "\n" not in entry.about and "[" not in entry.about.split("](")[0][:1], entry
        assert (ROOT / entry.docs).is_file(), entry
        if entry.config:
            assert find_config_file(entry.config).is_file()


def test_the_page_of_an_optimizer_is_about_it():
    for entry in entries("optimizers"):
        text = (ROOT / page_of("optimizers", entry.name)).read_text(encoding="utf-8")
        assert f"`{entry.name}`" in text or f"optimizer: {entry.name}" in text, entry.name


def test_one_entry_as_json(capsys):
    found = json.loads(_printed(capsys, "optimizers", "darts", "--json"))
    assert found["config"] == "darts.yaml" and found["docs"] == "docs/optimizers.md" and found["other_names"] == []
    by_name = {row["name"]: row for row in found["keywords"]}
    assert by_name["arch_learning_rate"]["default"] == 3e-4
    assert by_name["unrolled"] == {
        "name": "unrolled",
        "default": False,
        "required": False,
        "computed": False,
        "type": "bool",
        "about": "Whether to take the second-order gradient.",
    }


def test_a_second_name_leads_to_the_same_entry(capsys):
    first, second = (json.loads(_printed(capsys, "optimizers", name, "--json")) for name in ("rs_ws", "RSWS"))
    assert first == second and first["name"] == "random_nas" and first["other_names"] == ["rs_ws", "rsws"]


def test_keywords_are_those_that_a_person_gives():
    npz = {row["name"]: row for row in keywords("datasets", "npz")}
    assert "seed" not in npz and npz["test_portion"]["default"] == 0.2 and npz["path"]["default"] is None
    assert npz["split_seed"]["computed"] or isinstance(npz["split_seed"]["default"], int)  # once it is imported
    assert {row["name"] for row in keywords("proxies", "synflow")} == {"batch_norm"}
    assert keywords("configs", "darts") == []
    channels = next(row for row in keywords("spaces", "nasbench201") if row["name"] == "channels")
    assert (channels["default"], channels["about"]) == (16, "Channels C of the first stage.")


@pytest.mark.parametrize("kind", ALL)
def test_every_entry_can_be_shown_alone(kind, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for entry in entries(kind)[::8]:
        text = _printed(capsys, kind, entry.name)
        lines = text.splitlines()
        assert lines[0].split()[-1] == entry.name
        assert all(len(line) <= 80 or line.startswith("place") for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimisers"], "there is no 'optimisers'; did you mean 'optimizers'?"),
        (["optimizers", "dats"], "unknown optimizer 'dats'; did you mean 'darts'? (known: naslib list optimizers)"),
        (["configs", "dart"], "unknown config 'dart'; did you mean 'darts'?"),
        (["spaces", "--jsno"], "unknown option '--jsno'; did you mean '--json'?"),
        (["spaces", "nasbench201", "more"], "cannot place 'more'"),
    ],
)
def test_what_there_is_not(words, message, capsys):
    assert main(["list", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_nothing_is_imported_to_list_it():
    code = "import sys; from naslib.cli import main; main(['list', 'optimizers']); main(['list', 'spaces', 'gpt']);"
    code += "print([n for n in ('torch', 'numpy', 'scipy', 'naslib.search_spaces') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_tables_cut_what_does_not_fit():
    rows = [("name", "a sentence that goes on"), ("a_word_that_is_longer_than_its_column", "x\ny")]
    assert lay_table(rows, 40, ("k", "what"), 14) == [
        "k               what",
        "--------------  -----------------------",
        "name            a sentence that goes on",
        "a_word_that_    x",
        "is_longer_      y",
        "than_its_",
        "column",
    ]
    assert lay_table([], 40) == []


def test_devices_say_what_was_measured_of_which_space(capsys):
    found = {entry.name: entry.about for entry in entries("devices")}
    assert found["pixel3"] == "latency of nasbench201 (cifar10); latency of nasbench201 (cifar10, cifar100, " + (
        "ImageNet16-120); latency of fbnet (cifar100), predicted"
    )
    assert found["v100_32"] == "latency of ofa_mobilenetv3 (imagenet), predicted"
    assert "energy of nasbench201" in _printed(capsys, "devices", "eyeriss")
    with pytest.raises(UnknownNameError, match=r"unknown device 'pixel4'.*did you mean 'pixel"):
        entry_of("devices", "pixel4")
