"""The command line answers, and refuses, without importing torch; it needs no module that only some systems have."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import naslib
from naslib.build import main, schema_extensions
from naslib.config.loader import load_config
from naslib.errors import ConfigError

ROOT = Path(naslib.__file__).resolve().parents[1]
# What a command line must not import before it knows that its run can begin
HEAVY = ("torch", "torchvision", "sklearn", "scipy", "matplotlib", "tensorboard", "networkx", "numpy", "PIL", "jinja2")

ANSWERED = {"--help", "--version", "--print-schema", "help", "list"}


def _python(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["--print-schema"],
        ["help"],
        ["help", "compare"],
        ["list"],
        ["draw", "--help"],
        ["lst"],
        [],
        ["--verison"],
        ["--config", "dart.yaml"],
        ["dataset=digit"],
        ["search_space=nasbench2001"],
        ["optimizer=dart"],
        ["search.epoch=2"],
        ["search.tau_mix=2", "optimizer=gdas"],
        ["search.parts.warm_upp.epochs=2"],
        ["search.parts.warm_up.epoch=2"],
        ["search_space_args.depth=2"],
        ["dataset=npz", "dataset_args.paht=x"],
        ["dataset=nowhere/images.npz"],
        ["dataset=nowhere/classes"],
        ["dataset=npz", "dataset_args.path=nowhere.npz"],
        ["--model-path", "nowhere.pth"],
        ["out_dir={taken}"],
    ],
    ids=" ".join,
)
def test_is_answered_without_torch(words: list[str], tmp_path: Path) -> None:
    taken = tmp_path / "nasbench201" / "cifar10" / "darts" / "99"
    taken.mkdir(parents=True)
    (taken / "config.yaml").write_text("seed: 99\n")
    code = (
        "import atexit, json, sys\n"
        f"atexit.register(lambda: print('HEAVY', [name for name in {HEAVY} if name in sys.modules], file=sys.stderr))\n"
        "from naslib.build import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = _python("-c", code, *[word.format(taken=tmp_path) for word in words], cwd=tmp_path)
    assert "HEAVY []" in done.stderr, done.stderr
    assert done.returncode == (0 if set(words) & ANSWERED else 2)


@pytest.mark.parametrize("words", [["-m", "naslib"], ["-m", "naslib.build"], [str(ROOT / "runner.py")]], ids=" ".join)
def test_every_way_to_start_it(words: list[str]) -> None:
    done = _python(*words, "--version")
    python, torch = platform.python_version(), metadata.version("torch")
    assert (done.returncode, done.stdout) == (0, f"naslib {naslib.__version__}\nPython {python}\ntorch {torch}\n")


def test_works_without_the_module_resource() -> None:
    code = (
        "import sys\n"
        "sys.modules['resource'] = None  # as on Windows\n"
        "import naslib.build, torch\n"
        "naslib.build.build_trainer\n"
        "from naslib.training.progress import describe_peak_memory\n"
        "print(repr(describe_peak_memory(torch.device('cpu'))))\n"
    )
    done = _python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "''\n"


def test_importing_the_command_with_torch_does_not_import_its_compiler() -> None:
    code = (
        "import sys, naslib.build\n"
        "naslib.build.build_trainer\n"
        "print([n for n in ('torch._dynamo', 'torchvision', 'sklearn', 'scipy', 'matplotlib') if n in sys.modules])"
    )
    assert _python("-c", code).stdout == "[]\n"


def test_the_public_names_of_build() -> None:
    import naslib.build

    for name in ("build_dataset", "build_space", "build_benchmark", "build_optimizer", "build_trainer", "run", "main"):
        assert callable(getattr(naslib.build, name)) and name in dir(naslib.build)
    with pytest.raises(AttributeError, match="no attribute 'build_house'"):
        _ = naslib.build.build_house


def test_problems_of_all_kinds_are_reported_together(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["dataset=digit", "search_space=nasbench2001", "search.epoch=2", "search.parts.warm_upp=true"]
    assert main([*words, "search.parts.perturbation.king=random", "evaluation.batch_size=0"]) == 2
    message = capsys.readouterr().err
    for text in (
        "did you mean 'digits'",
        "did you mean 'nasbench201'",
        "did you mean 'search.epochs'",
        "search.parts.warm_upp: unknown part 'warm_upp'; did you mean 'warm_up'?",
        "search.parts.perturbation.king: perturbation has no keyword 'king'; did you mean 'kind'?",
        "evaluation.batch_size: expected a number >= 1",
    ):
        assert text in message


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([1], "search.parts: expected a mapping or null, got [1]"),
        ({"warm_up": 3}, "search.parts.warm_up: expected a mapping of keywords, or false to leave it out, got 3"),
        ({"warm_up": {"epochs": "x"}}, "search.parts.warm_up.epochs: expected an integer, got 'x' (text)"),
    ],
)
def test_parts_are_checked_with_the_config(parts: object, expected: str) -> None:
    with pytest.raises(ConfigError) as info:
        load_config({"search": {"parts": parts}}, extensions=schema_extensions())
    (problem,) = info.value.problems
    assert problem.startswith(expected)


def test_the_printed_schema_names_what_is_registered(capsys: pytest.CaptureFixture[str]) -> None:
    from naslib.optimizers import OPTIMIZERS

    assert main(["--print-schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["optimizer"]["enum"] == OPTIMIZERS.names()
