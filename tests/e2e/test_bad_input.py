"""Bad input for every command: one line on stderr, exit status 2, nothing printed, nothing written."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from naslib.cli.command import main
from naslib.cli.subcommands import SUBCOMMANDS

# Command lines, each with words that its message must have; `-` before those that build something first
CASES = """
run | give a config
--nonsense | unknown option '--nonsense'
run --nonsense | unknown option '--nonsense'
--confg darts.yaml | did you mean '--config'
rnu | did you mean 'run'
nowhere | there is no command 'nowhere'
--config | expected one argument
--config nowhere.yaml | nowhere.yaml
--config folder | folder
--config loop | loop
--config binary.yaml | cannot read
--config list.yaml | list.yaml: expected a mapping
--config text.txt | text.txt
--config tab.yaml | indent with spaces, not tabs
--config twice.yaml | seed is given twice
--config unknown.yaml | did you mean 'search.epochs'
--config wrong.yaml | search.epochs
--config darts.yaml search.epoch=2 | did you mean 'search.epochs'
--config darts.yaml search.epochs=two | search.epochs
--config darts.yaml search.epochs= | search.epochs
--config darts.yaml nonsense | 'nonsense'
--config darts.yaml optimizer=dart | did you mean 'darts'
--config darts.yaml search_space=nasbench2001 | did you mean 'nasbench201'
--config darts.yaml dataset=digit | did you mean 'digits'
--config darts.yaml --seed x | --seed
--config darts.yaml --seed 1.5 | --seed
--config darts.yaml --seeds x | such as 1-5
--config darts.yaml --seeds 1-3 --jobs x | --jobs
--config darts.yaml --seeds 1-3 --jobs 0 | --jobs must be 1 or more
--config darts.yaml --seeds 1-3 dataset=nowhere/ | there is nothing at nowhere/
--config darts.yaml --seeds 1-3 out_dir=text.txt | text.txt is no folder
--config darts.yaml dataset=nowhere/ | there is nothing at nowhere/
--config darts.yaml dataset=folder/nowhere.npz | nowhere.npz
- --config darts.yaml dataset=text.txt | text.txt
- --config darts.yaml dataset=empty.npz | empty.npz
- --config darts.yaml dataset=folder | folder
--config darts.yaml dataset=loop | loop
--config darts.yaml out_dir=text.txt | text.txt is no folder
--config darts.yaml out_dir=text.txt/deeper | text.txt is no folder
--config darts.yaml out_dir=loop | loop is no folder
--config darts.yaml --resume | --resume: there is no run
--config darts.yaml --eval-only | --eval-only: there is no search
--config darts.yaml --model-path nowhere.pth | there is no checkpoint nowhere.pth
--config darts.yaml --model-path folder | there is no checkpoint folder
- --config darts.yaml --model-path text.txt | cannot read the checkpoint text.txt
- --config darts.yaml evaluation.genotype=nowhere.json | nowhere.json
- --config darts.yaml evaluation.genotype=folder | folder
- --config darts.yaml device=cuda:99 | CUDA
compare | required
compare --nonsense | --nonsense
compare random_search.yaml | --methods
compare nowhere.yaml --methods rs | nowhere.yaml
compare folder --methods rs | folder
compare loop --methods rs | loop
compare binary.yaml --methods rs | cannot read
compare list.yaml --methods rs | expected a mapping
compare unknown.yaml --methods rs | did you mean 'search.epochs'
compare random_search.yaml --methods "" | names each method once
compare random_search.yaml --methods rs,nsga5 | unknown optimizer 'nsga5'
compare random_search.yaml --methods rs --seeds x | such as 1-5
compare random_search.yaml --methods rs --jobs x | --jobs
compare random_search.yaml --methods rs --budget x | --budget
compare random_search.yaml --methods rs search.epoch=2 | did you mean 'search.epochs'
compare random_search.yaml --methods rs --out text.txt | text.txt is no folder
compare random_search.yaml --methods rs --out loop | loop is no folder
compare random_search.yaml --methods rs --out folder/text.txt | text.txt is no folder
correlate | required
correlate --nonsense | --nonsense
correlate --benchmark nasbench201 | --dataset
- correlate --benchmark nowhere --dataset digits | no benchmark of the search space 'nowhere'
correlate --benchmark nasbench201 --dataset nowhere --proxies synflow | nb201.npz
correlate --benchmark nasbench201 --dataset digits --proxies synfow | did you mean 'synflow'
correlate --benchmark nasbench201 --dataset digits --predictors nowhere | unknown predictor 'nowhere'
correlate --benchmark nasbench201 --dataset digits --test x | --test
correlate --benchmark nasbench201 --dataset digits --test 1 | --test must be at least 3
correlate --benchmark nasbench201 --dataset digits --seeds x | such as 1-5
correlate --benchmark nasbench201 --dataset digits --space-args x | --space-args is KEY=VALUE
correlate --benchmark nasbench201 --dataset digits --metric NOWHERE | unknown metric 'NOWHERE'
correlate --benchmark nasbench201 --dataset digits --out text.txt | text.txt is no folder
correlate --benchmark nasbench201 --dataset digits --out loop/deeper | loop is no folder
correlate --benchmark nasbench201 --dataset cifar10 --data nowhere | nb201.npz
correlate --benchmark nasbench201 --dataset cifar10 --data text.txt | text.txt
data | required
data nowhere | nowhere
data --nonsense | nonsense
data list --nonsense | --nonsense
data list more | more
data list --data nowhere | there is no folder nowhere
data list --data text.txt | there is no folder text.txt
data convert | required
data convert nowhere text.txt out.npz | nowhere
data convert nasbench101 nowhere out.npz | nowhere
data convert nasbench101 folder out.npz | folder
data convert nasbench101 text.txt out.npz | text.txt
data convert nasbench101 loop out.npz | loop
data convert nasbench101 text.txt text.txt | text.txt is there already
data convert nasbench101 text.txt out.csv | .npz
data convert nats-tss text.txt out.npz | text.txt
data convert nats-tss folder out.npz | folder
bench | needs a command: build, merge, latency, info
bench biuld | did you mean 'build'
bench --nonsense | --nonsense
bench build | required
bench build --nonsense | --nonsense
bench build digits_table.yaml | --out
bench build nowhere.yaml --out o.npz | nowhere.yaml
bench build folder --out o.npz | folder
bench build loop --out o.npz | loop
bench build binary.yaml --out o.npz | cannot read
bench build unknown.yaml --out o.npz | did you mean 'search.epochs'
bench build digits_table.yaml --out o.npz --architectures x | --architectures is a number or all
bench build digits_table.yaml --out o.npz --shard 3 | --shard is I/N
bench build digits_table.yaml --out o.npz --seeds x | such as 1-5
bench build digits_table.yaml --out o.npz --workers x | --workers
bench build digits_table.yaml --out o.npz --executor proces | did you mean 'process'
bench build digits_table.yaml --out text.txt/o.npz | text.txt is no folder
- bench build digits_table.yaml --out o.npz --shard 3/2 | shard
- bench build digits_table.yaml --out o.npz --shard 0/0 | shard
- bench build digits_table.yaml --out o.npz --architectures 0 | at least one architecture
- bench build digits_table.yaml --out o.npz --workers 0 | workers
bench merge | required
bench merge o.npz nowhere.npz | nowhere.npz
bench merge o.npz text.txt | text.txt
bench merge o.npz empty.npz | empty.npz
bench merge o.npz folder | folder
bench merge o.npz loop | loop
bench latency | required
bench latency nowhere.npz | nowhere.npz
bench latency text.txt | text.txt
bench latency folder | folder
bench latency --nonsense x | --nonsense
bench latency nowhere.npz --repeats x | --repeats
bench info | required
bench info nowhere.npz | nowhere.npz
bench info text.txt | text.txt
bench info empty.npz | empty.npz
bench info folder | folder
bench info loop | loop
bench info a b | b
list optimisers | did you mean 'optimizers'
list --nonsense | --nonsense
list optimizers more | more
draw | required
draw --nonsense | --nonsense
draw nasbnech201 | nasbench201
draw folder | folder
- draw text.txt | text.txt
draw loop | loop
draw nasbench201 --format gif | gif
draw nasbench201 --seed x | --seed
draw nasbench201 --out x.gif | .gif
draw nasbench201 --out folder | folder
- draw nasbench201 --out text.txt/x.svg | text.txt
- draw nasbench201 --cell nowhere | nowhere
draw nasbench201 search.epoch=1 | search.epoch
draw nasbench201 search_space_args.nowhere=1 | nowhere
predict | required
predict --nonsense | --nonsense
predict folder | INPUT
predict nowhere x.png | nowhere
predict folder x.png | folder
predict text.txt x.png | text.txt
predict loop x.png | loop
predict folder x.png --format xml | xml
predict folder x.png --top x | --top
predict folder x.png --batch-size 0 | --batch-size
export | required
export --nonsense | --nonsense
export nowhere | nowhere
export folder | folder
export text.txt | text.txt
export loop | loop
export folder --formats onnx,pt3 | pt3
export folder --formats "" | format
export folder --quantize int4 | int4
export folder extra | extra
completion | required
completion bsh | bash
completion --nonsense | --nonsense
completion bash more | more
help nowhere | there is no command 'nowhere'
help optimisers | there is no command 'optimisers'
report | required
report --nonsense | --nonsense
report nowhere | nowhere
report folder | folder
report text.txt | text.txt
report loop | loop
"""


def _cases() -> list[object]:
    found = []
    for line in CASES.strip().splitlines():
        text, _, message = line.partition(" | ")
        builds = text.startswith("- ")
        marks = [pytest.mark.slow] if builds else []
        found.append(pytest.param(shlex.split(text.removeprefix("- ")), message, id=text, marks=marks))
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with files that are none of what a command wants."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    texts = {
        "empty.yaml": "", "empty.npz": "", "list.yaml": "- a\n- b\n", "text.txt": "hello\n",
        "unknown.yaml": "search:\n  epoch: 2\n", "wrong.yaml": "search:\n  epochs: two\n",
        "tab.yaml": "search:\n\tepochs: 2\n", "twice.yaml": "seed: 1\nseed: 2\n",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "text.txt").write_text("hello\n")
    (tmp_path / "loop").symlink_to("loop")  # nobody can read it, root neither
    return tmp_path


def _content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.name != "loop"]
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in files}


@pytest.mark.parametrize(("words", "message"), _cases())
def test_bad_input_is_one_line_and_nothing_is_written(
    words: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _content(here)
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.err.startswith("naslib: ") and said.err.count("\n") == 1, said.err
    assert message in said.err
    assert "usage:" not in said.out
    assert _content(here) == before


def test_there_are_cases_for_every_command() -> None:
    lines = [line.removeprefix("- ").partition(" | ")[0] for line in CASES.strip().splitlines()]
    assert len(lines) >= 175 and len(set(lines)) == len(lines)
    counts = {name: sum(line.split()[0] == name for line in lines) for name in SUBCOMMANDS}
    assert {name: count for name, count in counts.items() if count < 3} == {}
    assert sum(line.startswith("-") for line in lines) >= 35
