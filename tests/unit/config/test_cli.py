"""The command line and the run folder."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest

import naslib
from naslib.config.cli import (
    CommandLine,
    config_from_command_line,
    get_config_from_args,
    log_args,
    parse_args,
    parse_cli,
)
from naslib.config.extensions import SchemaExtensions
from naslib.config.loader import load_config
from naslib.config.run_folder import echo_config, holds_run, nearest_run, prepare_run_folder
from naslib.errors import CheckpointError, ConfigError, RunFolderError

# ---------------------------------------------------------------- words


def test_options_and_overrides_in_any_order() -> None:
    words = "optimizer=gdas --config darts.yaml --seed 3 search.epochs 2 --resume data=x --model-path m.pth".split()  # noqa: SIM905
    assert parse_cli(words) == CommandLine(
        config_file="darts.yaml",
        resume=True,
        seed=3,
        model_path="m.pth",
        overrides=("optimizer=gdas", "search.epochs", "2", "data=x"),
    )
    assert parse_cli(words).opts == ["optimizer=gdas", "search.epochs", "2", "data=x"]


@pytest.mark.parametrize("option", ["--config", "--config-file"])
def test_config_file_spellings(option: str) -> None:
    assert parse_cli([option, "a.yaml"]).config_file == "a.yaml"
    assert parse_cli([f"{option}=a.yaml"]).config_file == "a.yaml"


def test_flags() -> None:
    assert parse_cli([]) == CommandLine()
    for flag in ("resume", "eval_only", "dry_run", "overwrite", "print_schema"):
        assert getattr(parse_cli(["--" + flag.replace("_", "-")]), flag) is True


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        parse_cli(["--help"])
    assert info.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "--config darts.yaml optimizer=gdas",
        "search.epochs=2",
        "--resume",
        "--dry-run",
        "KEY VALUE",
        "examples",
    ):
        assert word in text
    assert "world-size" not in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--resum"], "unknown option '--resum'; did you mean '--resume'?"),
        (
            ["--optimizer", "gdas"],
            "unknown option '--optimizer'; overrides of config keys are written without dashes: optimizer=VALUE",
        ),
        (["--search.epochs=2"], "search.epochs=VALUE"),
        (["--batch-size", "3"], "search.batch_size=VALUE or evaluation.batch_size=VALUE"),
        (["--unrolled"], "without dashes: search.unrolled=VALUE"),
        (["--verison"], "did you mean '--version'?"),
        (["-v"], "unknown option '-v' (see --help)"),
        (["--seed", "abc"], "invalid int value: 'abc'"),
        (["--seed"], "--seed: expected one argument"),
        (["--config"], "expected one argument"),
        (["--resume", "--overwrite"], "cannot be combined"),
        (["--eval-only", "--overwrite"], "cannot be combined"),
    ],
)
def test_bad_command_lines(words: list[str], expected: str) -> None:
    with pytest.raises(ConfigError) as info:
        parse_cli(words)
    assert expected in str(info.value)


@pytest.mark.parametrize("word", ["--overwrit", "--over", "--override", "-overwrite", "--overwite=yes", "--overview"])
def test_what_destroys_is_never_suggested(word: str) -> None:
    with pytest.raises(ConfigError, match="unknown option") as info:
        parse_cli([word])
    assert "--overwrite" not in str(info.value)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        parse_cli(["--version"])
    first, second, third = capsys.readouterr().out.splitlines()
    assert info.value.code == 0 and first == f"naslib {naslib.__version__}"
    assert second == f"Python {platform.python_version()}" and third == f"torch {metadata.version('torch')}"


def test_naslib_options_are_accepted_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    command = parse_cli(
        ["--gpu", "0", "--world-size", "1", "--multiprocessing-distributed", "--datapath", "d", "seed=1"]
    )
    assert command.overrides == ("seed=1", "data=d")
    (record,) = caplog.records
    assert "--gpu, --world-size, --multiprocessing-distributed" in record.message


def test_words_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["runner.py", "--seed", "4"])
    assert parse_args().seed == 4
    assert parse_args(args=[]).seed is None
    monkeypatch.setattr(sys, "argv", ["kernel", "-f", "connection.json"])
    assert parse_args() == CommandLine()


def test_own_parser() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mine", type=int)
    assert parse_args(parser, ["--mine", "3"]).mine == 3


# ---------------------------------------------------------------- command line to config


def test_seed_option_wins_and_flags_are_attributes(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("seed: 1\nsearch:\n  seed: 1\n  epochs: 4\n")
    config = config_from_command_line(
        parse_cli(["--config", str(path), "--seed", "3", "--resume", "search.batch_size=2", f"out_dir={tmp_path}"])
    )
    assert (config.seed, config.search.epochs, config.search.batch_size, config.search.seed) == (3, 4, 2, 3)
    assert (config.resume, config.eval_only) == (True, False)
    assert not Path(config.save).exists()


def test_get_config_makes_the_folders(tmp_path: Path) -> None:
    config = get_config_from_args([f"out_dir={tmp_path}", "--seed", "3"], config_type="nas")
    assert config.save == f"{tmp_path}/nasbench201/cifar10/darts/3"
    assert sorted(path.name for path in Path(config.save).iterdir()) == ["eval", "search"]
    # empty folders are no run
    get_config_from_args([f"out_dir={tmp_path}", "seed=3"])


def test_get_config_reads_the_process_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["runner.py", "search.epochs=2", f"out_dir={tmp_path}"])
    assert get_config_from_args().search.epochs == 2
    monkeypatch.setattr(sys, "argv", ["pytest", "--strange"])
    assert get_config_from_args([f"out_dir={tmp_path}"]).search.epochs == 50


def test_get_config_takes_naslib_forms(tmp_path: Path) -> None:
    config = get_config_from_args(["out_dir", str(tmp_path), "search.epochs", 5])
    assert config.search.epochs == 5
    namespace = argparse.Namespace(config_file=None, opts=["out_dir", str(tmp_path), "seed", "6"], eval_only=True)
    config = get_config_from_args(namespace)
    assert (config.seed, config.eval_only, config.resume) == (6, True, False)
    command = parse_cli([f"out_dir={tmp_path}/new", "--dry-run"])
    get_config_from_args(command)
    assert not (tmp_path / "new").exists()


def test_get_config_problems(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config_type 'predictors'; did you mean 'predictor'"):
        get_config_from_args([], config_type="predictors")
    with pytest.raises(ConfigError, match="did you mean 'darts'"):
        get_config_from_args(
            ["optimizer=dart", f"out_dir={tmp_path}"], extensions=SchemaExtensions(optimizers={"darts": {}})
        )
    with pytest.raises(ConfigError, match="not found"):
        get_config_from_args(["--config", "nowhere.yaml"])
    assert not list(tmp_path.iterdir())


def test_log_args(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "naslib")
    log_args(load_config(None))
    assert "search.epochs: 50" in caplog.messages
    assert "search_space_args: {}" in caplog.messages
    log_args(argparse.Namespace(a=1))
    assert caplog.messages[-1] == "a: 1"


# ---------------------------------------------------------------- run folder

TRACES = ["config.yaml", "log.log", "errors.json", "summary.json", "search/model_0000000.pth", "eval/last_checkpoint"]


@pytest.mark.parametrize("trace", TRACES)
def test_a_run_is_never_entered_silently(tmp_path: Path, trace: str) -> None:
    config = load_config({"out_dir": tmp_path})
    folder = prepare_run_folder(config)
    (folder / trace).write_text("x")
    with pytest.raises(RunFolderError) as info:
        prepare_run_folder(config)
    for way in ("--resume", "--overwrite", "--seed", "out_dir=", "--eval-only", f"{folder}.1", str(folder)):
        assert way in str(info.value)
    assert ("(finished)" in str(info.value)) == (trace == "summary.json")
    assert isinstance(info.value, FileExistsError)
    assert prepare_run_folder(config, resume=True) == folder
    assert (folder / trace).read_text() == "x"


def test_overwrite_moves_the_old_run(tmp_path: Path) -> None:
    config = load_config({"out_dir": tmp_path})
    for count in (0, 1, 2):
        folder = prepare_run_folder(config, overwrite=True)
        assert not holds_run(folder)
        (folder / "search" / "model_0000000.pth").write_text(str(count))
    assert folder.with_name("99.1").joinpath("search", "model_0000000.pth").read_text() == "0"
    assert folder.with_name("99.2").joinpath("search", "model_0000000.pth").read_text() == "1"
    assert (folder / "search" / "model_0000000.pth").read_text() == "2"
    with pytest.raises(ConfigError, match="cannot be combined"):
        prepare_run_folder(config, resume=True, overwrite=True)


def test_what_is_no_run(tmp_path: Path) -> None:
    config = load_config({"out_dir": tmp_path})
    folder = prepare_run_folder(config, overwrite=True)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".config.yaml.123.tmp").write_text("left by a crash")
    prepare_run_folder(config)
    prepare_run_folder(config, overwrite=True)
    assert not (tmp_path / "nasbench201/cifar10/darts/99.1").exists()
    assert not holds_run(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunFolderError, match="out_dir=PATH"):
        prepare_run_folder(load_config({"out_dir": tmp_path / "file"}))


def test_echo(tmp_path: Path) -> None:
    config = load_config({"out_dir": tmp_path, "search": {"epochs": 3}})
    path = echo_config(config)
    assert path == Path(config.save) / "config.yaml"
    assert path.read_text().startswith("# the resolved config")
    assert load_config(path) == config
    assert load_config(config.save) == config


def _run_at(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "errors.json").write_text("{}")
    return folder


def test_the_nearest_run_is_named(tmp_path: Path) -> None:
    near = load_config({"out_dir": tmp_path / "runs", "optimizer": "gdas", "seed": 3})
    assert nearest_run(near) == f", nor any other below {tmp_path / 'runs'}"
    other = _run_at(tmp_path / "rums/nasbench201/cifar10/gdas/3")
    assert nearest_run(near) == f"; the nearest is {other}"
    spelled = _run_at(tmp_path / "runs/nasbench201/cifar10/gdsa/3")
    far = _run_at(tmp_path / "runs/nasbench301/digits/darts/9")
    assert nearest_run(near) == f"; the nearest is {spelled} (optimizer gdsa instead of gdas)"
    seed = _run_at(tmp_path / "runs/nasbench201/cifar10/gdas/4")
    assert f"{spelled} " in nearest_run(near) or f"{seed} (seed 4 instead of 3)" in nearest_run(near)
    near.save = str(far.with_name("8"))
    assert nearest_run(near) == f"; the nearest is {far} (seed 9 instead of 8)"
    near.save = str(tmp_path / "elsewhere" / "mine")
    _run_at(tmp_path / "elsewhere" / "mind")
    assert nearest_run(near) == f"; the nearest is {tmp_path / 'elsewhere' / 'mind'} (seed mind instead of mine)"


def test_resume_of_nothing(tmp_path: Path) -> None:
    words = [f"out_dir={tmp_path}", "--resume"]
    with pytest.raises(CheckpointError, match="--resume: there is no run in"):
        get_config_from_args(words)
    assert not list(tmp_path.iterdir())
    get_config_from_args([*words, "--model-path", "elsewhere.pth"])
