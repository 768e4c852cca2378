"""`naslib draw`: spaces, architectures, runs and own modules as SVG, PNG and DOT."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from naslib.cli.command import main
from naslib.registry.catalogue import SEARCH_SPACES
from naslib.training.drawings import graphviz

NB201 = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|none~1|skip_connect~2|"
TINY = "search_space_args={cells: 3, nodes: 2, channels: 4}"
# Of that space, small: pictures of a cell are the same
SMALL = ["search_space=nasbench201", "search_space_args={channels: 4, cells_per_stage: 1}"]
OWN = """
from torch import nn
from naslib.choices import LayerChoice, ValueChoice
from naslib.search_spaces.core.elastic import ElasticConv2d


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = LayerChoice({"conv": nn.Conv2d(3, 3, 3, padding=1), "pool": nn.AvgPool2d(3, 1, 1)})
        self.last = ElasticConv2d(3, ValueChoice([8, 16]), 1)

    def forward(self, x):
        return self.last(self.layer(x)).mean((2, 3))


class Other(nn.Module):
    pass


class Broken(nn.Module):
    def __init__(self, size):
        super().__init__()
"""
needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's program dot is not installed")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _draw(capsys: pytest.CaptureFixture[str], *words: str) -> list[Path]:
    status = main(["draw", *words])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    return [Path(line) for line in captured.out.splitlines()]


def _texts(path: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def _edges(path: Path) -> list[tuple[str, str, str]]:
    found = re.findall(r"^  (\d+) -> (\d+) \[(?:label=\" (.*?) \")?", path.read_text(), re.MULTILINE)
    return [(source, target, label) for source, target, label in found]


def test_a_space_is_a_file_for_each_cell_and_one_for_its_decisions(capsys):
    files = _draw(capsys, "nasbench301", "--format", "dot", TINY)
    assert [path.name for path in files] == [
        "nasbench301_normal_cell.dot",
        "nasbench301_reduction_cell.dot",
        "nasbench301_decisions.dot",
    ]
    edges = _edges(files[0])
    # two nodes that read what stands before them, 2 + 3 edges, and two into the output
    assert [label for *_, label in edges].count("8 operations") == 5 and len(edges) == 7
    assert 'label="normal_cell/4 | 2\\ of | 1 | 2 | 3"' in files[2].read_text()  # blanks are escaped in records


def test_an_architecture_that_is_written_out(capsys):
    (path,) = _draw(capsys, NB201, "--out", "cell.gv", *SMALL)
    assert sorted(_edges(path)) == [
        ("1", "2", "AvgPool1x1" if "AvgPool1x1" in path.read_text() else "AvgPool"),
        ("1", "3", "ReLUConvBN1x1"),
        ("1", "4", "ReLUConvBN1x1"),
        ("2", "3", "Identity"),
        ("2", "4", "none"),
        ("3", "4", "Identity"),
    ]
    assert "2 -> 4" in path.read_text() and "style=dashed" in path.read_text()


def test_whose_architecture_it_was_taken_for_is_said(capsys):
    assert main(["draw", NB201, "--format", "dot"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "architecture.dot\n"
    assert captured.err == "naslib: read as an architecture of nasbench201; search_space=NAME says another space\n"
    assert main(["draw", NB201, "--format", "dot", *SMALL]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("layout", ["own", pytest.param("graphviz", marks=needs_graphviz)])
def test_pictures_have_every_name_and_are_the_same_each_time(layout, capsys):
    words = [NB201, "--layout", layout, *SMALL]
    (svg,) = _draw(capsys, *words, "--out", "a.svg")
    (png,) = _draw(capsys, *words, "--out", "a", "--format", "png")
    before = svg.read_bytes(), png.read_bytes()
    assert png.name == "a.png" and before[1].startswith(b"\x89PNG")
    if layout == "graphviz":
        texts = " ".join(_texts(svg))
        assert all(name in texts for name in ("ReLUConvBN1x1", "Identity", "none", "1", "4"))
    _draw(capsys, *words, "--out", "a.svg")
    _draw(capsys, *words, "--out", "a.png")
    assert (svg.read_bytes(), png.read_bytes()) == before


@needs_graphviz
def test_no_text_leaves_the_picture(capsys):
    for path in _draw(capsys, "nasbench301", "--what", "architecture", TINY):
        root = ElementTree.parse(path).getroot()
        left, top, width, height = map(float, root.attrib["viewBox"].split())
        for element in root.iter("{http://www.w3.org/2000/svg}text"):
            x, half = float(element.attrib["x"]), len(element.text or "") * float(element.attrib["font-size"]) * 0.3
            assert left <= x + 4 - half and x + 4 + half <= left + width, element.text
            assert -height <= float(element.attrib["y"]) <= top + height


def test_one_cell_alone(capsys):
    words = ["nasbench301", "--format", "dot", TINY]
    for name in ("normal", "normal_cell"):
        assert _draw(capsys, *words, "--cell", name, "--out", "one") == [Path("one.dot")]
    assert main(["draw", *words, "--cell", "nromal_cell"]) == 2
    assert "did you mean 'normal_cell'? (there is: normal_cell, reduction_cell, decisions)" in capsys.readouterr().err


def test_a_chain_and_its_network(capsys):
    size = "search_space_args={channels: 4, cells_per_stage: 2}"
    (path,) = _draw(capsys, "nasbench201", "--what", "supernet", "--out", "net.dot", size)
    labels = re.findall(r'\[label="([^"]*)"', path.read_text())
    assert labels == [
        "Stem",
        "cell  x2\\n6 edges to decide",
        "ResNetBasicblock",
        "cell  x2\\n6 edges to decide",
        "ResNetBasicblock",
        "cell  x2\\n6 edges to decide",
        "Sequential",
    ]
    small = "search_space_args={cells: 3, nodes: 1, channels: 4}"
    (path,) = _draw(capsys, "nasbench301", "--what", "supernet", "--out", "net.dot", small)
    assert "normal_cell" in path.read_text() and "reduction_cell" in path.read_text()


def test_a_random_architecture_is_the_seeds(capsys):
    words = ["nasbench201", "--what", "architecture", SMALL[1], "--format", "dot"]
    texts = [_draw(capsys, *words, "--seed", seed)[0].read_text() for seed in ("3", "3", "4")]
    assert texts[0] == texts[1] != texts[2]


def _leave_run(folder: Path, genotype: bool = True) -> None:
    folder.mkdir(parents=True)
    config = "dataset: digits\nsearch_space: nasbench201\nsearch_space_args: {channels: 4, cells_per_stage: 1}\n"
    (folder / "config.yaml").write_text(config)
    if genotype:
        found = {"search_space": "nasbench201", "genotype": NB201, "code": [4, 3, 0, 3, 1, 0]}
        (folder / "genotype.json").write_text(json.dumps(found))


def test_a_run_and_its_genotype(capsys, tmp_path):
    run = tmp_path / "run" / "re" / "7"
    _leave_run(run)
    (by_run,) = _draw(capsys, str(run), "--format", "dot")
    (by_file,) = _draw(capsys, str(run / "genotype.json"), "--format", "dot")
    assert by_run.name == "re_7.dot" and by_file.name == "genotype.dot"
    assert by_run.read_text() == by_file.read_text() and len(_edges(by_run)) == 6
    (network,) = _draw(capsys, str(run), "--what", "supernet", "--out", "net.dot")
    assert network.read_text().count("cell") >= 3


def test_a_search_that_has_not_ended_is_drawn_as_its_space(capsys, tmp_path):
    run = tmp_path / "run" / "re" / "7"
    _leave_run(run, genotype=False)
    assert main(["draw", str(run), "--format", "dot"]) == 0
    captured = capsys.readouterr()
    assert "has no genotype.json: its search has not ended" in captured.err
    assert captured.out.splitlines()[0] == "re_7_cell.dot"


def test_a_module_of_ones_own(capsys, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    files = _draw(capsys, "mine.py:Net", "--format", "dot")
    text = "".join(path.read_text() for path in files)
    assert "layer | 1\\ of | conv | pool" in text and "| 8 | 16" in text
    for words, message in [
        (["mine.py"], "mine.py has 3 modules: choose one by mine.py:NAME (Net, Other, Broken)"),
        (["mine.py:Nt"], "mine.py has no Nt; did you mean 'Net'?"),
        (["mine.py:Broken"], "mine.py:Broken cannot be made: TypeError"),
        (["other.py:Net"], "there is no file other.py"),
        (["mine.py:Net", "seed=2"], "a module of your own is made without arguments"),
    ]:
        assert main(["draw", *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".dot") == ["mine.py"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nasbench2001"], "there is no search space, file or folder 'nasbench2001'; did you mean 'nasbench201'?"),
        (["run/none/1"], "there is no search space, file or folder 'run/none/1'"),
        (["."], ". is no run folder: it has no config.yaml"),
        pytest.param(["(1, 2)"], "'(1, 2)' is no space, file, run folder or arch", marks=pytest.mark.slow),
        (["nasbench201", "--out", "x.pgn"], "--out ends in .svg, .png, .dot or .gv, not in .pgn; did you mean 'png'?"),
        (["nasbench201", "--out", "x.svg", "--format", "png"], "--format png contradicts --out x.svg"),
        (["nasbench201", "--format", "pdf"], "invalid choice: 'pdf'"),
        (["nasbench201", "--seed", "x"], "invalid int value: 'x'"),
        (["nasbench201", "search_space_args.chanels=3"], "did you mean 'channels'?"),
        ([], "the following arguments are required: TARGET"),
        (["nasbench201", "--lay", "own"], "unknown option '--lay'; did you mean '--layout'?"),
    ],
)
def test_what_cannot_be_drawn(words, message, capsys, tmp_path):
    assert main(["draw", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_graphviz(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert graphviz() is None
    (path,) = _draw(capsys, NB201, *SMALL, "--out", "a.svg")
    assert "matplotlib" in path.read_text()
    assert main(["draw", "nasbench201", SMALL[1], "--layout", "graphviz"]) == 2
    assert "needs the program `dot` of graphviz, which is not installed" in capsys.readouterr().err


def test_a_graphviz_that_fails(capsys, monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\necho 'no such plugin' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert main(["draw", NB201, *SMALL, "--out", "a.svg"]) == 2
    assert "did not draw: no such plugin; --layout own draws without it" in capsys.readouterr().err
    assert not (tmp_path / "a.svg").exists()


def test_a_chain_in_one_module_is_drawn_layer_by_layer(capsys):
    (path,) = _draw(capsys, "eas_cnn", "--what", "architecture", "--seed", "1", "--format", "dot")
    labels = re.findall(r'\[label="([^"]*)"', path.read_text())
    assert sum(label.startswith("MaxPool2d 2x2\\n/2") for label in labels) == 3
    assert all(re.match(r"(Conv2d \dx\d|Linear)\\n\d+|MaxPool", label) for label in labels)
    assert labels[-1] == "Linear\\n10"  # the classes


def test_a_graph_that_is_empty_has_no_picture_of_a_supernet(capsys, tmp_path):
    assert main(["draw", "transbench101_macro", "--what", "supernet", "--out", str(tmp_path / "net.dot")]) == 2
    said = "there is no picture of its supernet: its architectures differ in the width and the resolution"
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCH_SPACES.names())
def test_every_space_its_network_and_an_architecture_are_drawn(name, capsys):
    empty = name == "transbench101_macro"  # until an architecture is built in it
    for what in ("space", "architecture") if empty else ("space", "supernet", "architecture"):
        for path in _draw(capsys, name, "--what", what, "--format", "dot", "--out", f"{name}_{what}"):
            assert path.read_text().startswith("digraph ") and path.read_text().count("label=") >= 2
        for path in _draw(capsys, name, "--what", what, "--layout", "own", "--out", f"{name}_{what}.svg"):
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
