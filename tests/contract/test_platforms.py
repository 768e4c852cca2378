"""Nothing needs a Unix: modules that only some systems have, encodings, names of files, line ends, odd paths."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from naslib.build import main, schema_extensions
from naslib.config.loader import load_config
from naslib.registry.catalogue import DATASETS, OPTIMIZERS, SEARCH_SPACES

ROOT = Path(__file__).resolve().parents[2]
# Modules of the standard library that Windows has not, and those that only it has
UNIX = {
    "crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "posixpath", "pty", "pwd", "readline", "resource",
    "spwd", "syslog", "termios", "tty",
}  # fmt: skip
WINDOWS = {"_winapi", "msvcrt", "nt", "ntpath", "winreg", "winsound"}
# Attributes of `os` and `signal` that Windows has not
UNIX_NAMES = {
    "chown", "fork", "forkpty", "geteuid", "getgid", "getloadavg", "getpgid", "getuid", "killpg", "mkfifo", "nice",
    "register_at_fork", "sched_getaffinity", "setpgrp", "setsid", "uname", "wait3", "wait4",
    "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "alarm", "setitimer",
}  # fmt: skip
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{name}{number}" for name in ("COM", "LPT") for number in range(1, 10))}
TINY = [
    "dataset=digits", "search_space=nasbench201", "search_space_args={channels: 8, cells_per_stage: 1}", "seed=5",
    "device=cpu", "optimizer=random_search", "search.epochs=5", "search.fidelity=-1", "evaluation.mode=query",
]  # fmt: skip


def _trees(pattern: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the files in whose text a pattern is found, parsed."""
    files = sorted(path for folder in ("naslib", "examples") for path in (ROOT / folder).rglob("*.py"))
    assert len(files) >= 500
    for path in files:
        text = path.read_text(encoding="utf-8")
        if re.search(pattern, text):
            yield path, ast.parse(text)


def _imports(nodes: list[ast.stmt], guarded: bool = False) -> Iterator[tuple[str, int, bool]]:
    """Yield what runs at import time: module, line, and whether an `if` on the system or a `try` stands around it."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.lineno, guarded
        elif isinstance(node, ast.If):
            is_guard = "platform" in ast.unparse(node.test) or "os.name" in ast.unparse(node.test)
            yield from _imports([*node.body, *node.orelse], guarded or is_guard)
        elif isinstance(node, ast.Try):
            catches = {name for handler in node.handlers for name in _caught(handler)}
            yield from _imports(node.body, guarded or bool(catches & {"ImportError", "ModuleNotFoundError"}))
            yield from _imports([*node.orelse, *node.finalbody], guarded)
            for handler in node.handlers:
                yield from _imports(handler.body, guarded)
        elif isinstance(node, ast.With | ast.ClassDef | ast.For | ast.While):
            yield from _imports(node.body, guarded)


def _caught(handler: ast.ExceptHandler) -> set[str]:
    return set() if handler.type is None else {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}


def test_no_module_of_one_system_is_imported_without_a_guard() -> None:
    seen = [
        (path.relative_to(ROOT).as_posix(), *found)
        for path, tree in _trees(rf"import .*\b({'|'.join(UNIX | WINDOWS)})\b|from ({'|'.join(UNIX | WINDOWS)})\b")
        for found in _imports(tree.body)
        if found[0].partition(".")[0] in UNIX | WINDOWS
    ]
    assert [entry for entry in seen if not entry[3]] == []
    # lock.py on both kinds of system, and the peak memory
    assert {(path, module) for path, module, *_ in seen} == {
        ("naslib/utils/lock.py", "msvcrt"), ("naslib/utils/lock.py", "fcntl"),
        ("naslib/training/progress.py", "resource"),
    }  # fmt: skip


def test_the_reader_of_imports_sees_them_all() -> None:
    text = (
        "import fcntl\nif True:\n    import pwd\nif sys.platform != 'win32':\n    import grp\ntry:\n"
        "    import resource\nexcept ImportError:\n    import tty\nclass A:\n    from pty import spawn\n"
        "def f():\n    import termios\n"
    )
    found = {(name, guarded) for name, _, guarded in _imports(ast.parse(text).body)}
    assert found == {
        ("fcntl", False), ("pwd", False), ("grp", True), ("resource", True), ("tty", False), ("pty", False),
    }  # fmt: skip


def test_what_only_unix_has_in_os_and_signal_is_asked_for_first() -> None:
    wrong, seen = [], 0
    for path, tree in _trees(rf"\b(os|signal)\.({'|'.join(UNIX_NAMES)})\b"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Attribute) and node.attr in UNIX_NAMES and isinstance(node.value, ast.Name)):
                continue
            if node.value.id in ("os", "signal"):
                seen += 1
                is_asked = f'hasattr({node.value.id}, "{node.attr}")' in text
                wrong += [] if is_asked else [f"{path.relative_to(ROOT)}:{node.lineno} {node.value.id}.{node.attr}"]
    assert seen >= 3 and wrong == []


def test_text_files_name_their_encoding() -> None:
    """What the system's own encoding is differs, cp1252 on many Windows machines."""
    wrong = []
    for path, tree in _trees(r"\b(read_text|write_text|open)\("):
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            named = {keyword.arg for keyword in node.keywords}
            words = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            is_text_method = node.func.attr == "write_text" or (node.func.attr == "read_text" and not node.args)
            is_open = node.func.attr == "open" and words[:1] in (["r"], ["w"], ["a"], ["x"], ["rt"], ["wt"])
            if (is_text_method or is_open) and "encoding" not in named:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.func.attr}")
    assert wrong == []


@pytest.mark.slow
def test_every_module_imports_without_the_modules_of_unix() -> None:
    code = (
        "import importlib, pkgutil, sys, warnings\n"
        f"for name in {sorted(UNIX - {'posix', 'posixpath'})}: sys.modules[name] = None\n"
        "import naslib\n"
        "names = [module.name for module in pkgutil.walk_packages(naslib.__path__, 'naslib.')]\n"
        "names = [name for name in names if not name.endswith('__main__')]\n"
        "for name in names: importlib.import_module(name)\n"
        "from naslib.utils.lock import RunLock\n"
        "with RunLock(sys.argv[1]): pass\n"
        "print(len(names))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "tests")], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 500


def test_without_locks_of_the_system_a_warning_says_so(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['fcntl'] = None\n"
        "from naslib.utils.lock import RunLock\nimport logging\nlogging.basicConfig()\n"
        "with RunLock(sys.argv[1]): pass\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "nothing stops a second process there" in done.stderr


def _bad_parts(path: str) -> list[str]:
    """Return the parts of a relative path that Windows does not take."""
    return [
        part
        for part in Path(path).parts
        if set(part) & set('<>:"|?*\\') or part.endswith((".", " ")) or part.partition(".")[0].upper() in RESERVED
    ]


def test_run_folders_have_names_that_every_system_takes() -> None:
    names = [(space, "digits", "darts") for space in SEARCH_SPACES]
    names += [("nasbench201", dataset, "darts") for dataset in DATASETS if dataset != "few_shot"]
    names += [("nasbench201", "digits", optimizer) for optimizer in OPTIMIZERS]
    odd = ["C:\\data\\My Images", "con", "NUL.npz", "a:b?.npz", "ends.", "..", "Bilder von Zoë", "lpt1/x", "aux"]
    names += [("nasbench201", dataset, "darts") for dataset in odd]
    assert len(names) >= 120
    folders = []
    for space, dataset, optimizer in names:
        config = load_config({})
        config.update(search_space=space, dataset=dataset, optimizer=optimizer, seed=1)
        folders.append(Path(config.save).relative_to(config.out_dir).as_posix())
        assert len(Path(folders[-1]).parts) == 4
    assert [folder for folder in folders if _bad_parts(folder)] == []
    # no two names of one kind are one folder where capitals do not count
    assert len({folder.casefold() for folder in folders}) == len(set(folders))


def test_a_run_in_odd_places_from_a_config_with_the_line_ends_of_windows(tmp_path: Path, monkeypatch, capsys) -> None:
    """Spaces, letters that are not ASCII, a byte order mark, carriage returns; and every file has a name for all."""
    here = tmp_path / "Zoë's Läufe 実験"
    here.mkdir()
    monkeypatch.chdir(here)
    pairs = [word.split("=", 1) for word in TINY if "=" in word]
    lines = [f"{key}: {value}" for key, value in pairs if "." not in key]
    for section in ("search", "evaluation"):
        lines.append(f"{section}:")
        lines += [f"  {key.partition('.')[2]}: {value}" for key, value in pairs if key.startswith(f"{section}.")]
    lines.append('out_dir: "out dir ü"')
    Path("mein lauf.yaml").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert main(["--config", "mein lauf.yaml"]) == 0
    assert "Traceback" not in capsys.readouterr().err
    run = here / "out dir ü" / "nasbench201" / "digits" / "random_search" / "5"
    assert json.loads((run / "summary.json").read_text(encoding="utf-8"))["run_folder"].endswith("5")
    assert main(["--config", str(run / "config.yaml"), "--resume"]) == 0
    files = [path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()]
    assert len(files) >= 10 and [name for name in files if _bad_parts(name)] == []
    assert len({name.casefold() for name in files}) == len(files)
    assert load_config("mein lauf.yaml", extensions=schema_extensions()).search.epochs == 5


def test_a_terminal_that_lacks_letters_stops_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom naslib.cli import main\n"
        "sys.stdout.write('')\nstatus = main(['dataset=Zoë_実験'])\n"
        "print('± 実')\nsys.exit(status)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, timeout=60)
    assert done.returncode == 2 and b"Traceback" not in done.stderr, done.stderr
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b"\xb1 \\u5b9f\n"
