"""SqliteHistory: trials in one file that a kill at any moment leaves whole, and that others read meanwhile."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from naslib.errors import HistoryError

from .base import History
from .trial import Objective, State, Trial

FILE_NAME = "history.sqlite"
# Raised whenever the tables change; an older file is read as long as `_read_rows` can.
SCHEMA_VERSION = 1
# "NASL": what tells our files from other databases
_APPLICATION_ID = 0x4E41534C
# How long other writers are waited for
_PATIENCE_SECONDS = 30.0
_ROWS_AT_ONCE = 10_000
_STATES = {state.value: state for state in State}
_TABLES = """
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,
    code TEXT NOT NULL,
    fidelity INTEGER NOT NULL,
    state TEXT NOT NULL,
    "values" TEXT,
    seconds REAL NOT NULL,
    seed INTEGER,
    worker INTEGER,
    parent INTEGER,
    user TEXT
);
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_COLUMNS = 'number, code, fidelity, state, "values", seconds, seed, worker, parent, user'
_INSERT = f"INSERT OR REPLACE INTO trials ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteHistory(History):
    """Keep trials in an SQLite database (write-ahead log, `synchronous=NORMAL`).

    A trial that `add` has returned from survives the death of the process; a crash of the whole machine may lose the
    last ones, and never the file. Readers neither wait nor are waited for.

    Args:
        path: The file; made if it is missing.
        readonly: Whether the file is only read. Then it must be there, and is not changed.

    Raises:
        HistoryError: If the file is no history, is damaged, is of a newer version, is locked by another process, or
            cannot be read or written.
    """

    def __init__(self, path: str | Path, *, readonly: bool = False) -> None:
        self.path = Path(path)
        self.readonly = readonly
        if readonly and not self.path.is_file():
            raise HistoryError(f"there is no history {self.path}")
        with self._explained():
            self._database = self._connect()
            try:
                self._prepare()
            except BaseException:
                self._database.close()
                raise

    def _connect(self) -> sqlite3.Connection:
        if not self.readonly:
            if not self.path.exists():
                _create(self.path)
            return sqlite3.connect(self.path, timeout=_PATIENCE_SECONDS, isolation_level=None)
        uri = f"{self.path.resolve().as_uri()}?mode=ro"
        if not os.access(self.path.parent, os.W_OK):  # no place for the index of the log: read what is in the file
            uri += "&immutable=1"
        return sqlite3.connect(uri, timeout=_PATIENCE_SECONDS, isolation_level=None, uri=True)

    def _prepare(self) -> None:
        """Look whether the file is ours and whole."""
        ask = self._database.execute
        if not self.readonly:
            if ask("PRAGMA journal_mode").fetchone()[0] != "wal":  # to set it again needs the file for oneself
                ask("PRAGMA journal_mode=WAL")
            ask("PRAGMA synchronous=NORMAL")
        application, version = (ask(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        if application != _APPLICATION_ID:
            raise HistoryError(f"{self.path} is a database of something else, not a history of naslib")
        if version > SCHEMA_VERSION:
            raise HistoryError(
                f"{self.path} has schema version {version}, and this version of naslib reads up to {SCHEMA_VERSION}: "
                "it was written by a newer one"
            )
        found = ask("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise HistoryError(_damaged(self.path, found))

    def add(self, trial: Trial) -> None:
        """Keep a trial, in place of one of the same number."""
        with self._explained():
            self._database.execute(_INSERT, _as_row(trial))

    def add_all(self, trials: Iterable[Trial]) -> None:
        """Keep many trials, all or none."""
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(_INSERT, map(_as_row, trials))
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def get(self, number: int) -> Trial | None:
        """Return the trial of that number, None if there is none."""
        found = self._select("WHERE number = ?", (number,))
        return found[0] if found else None

    def trials(self, state: State | None = None) -> list[Trial]:
        """Return the trials in the order of their numbers; those in one state if that is given."""
        if state is None:
            return self._select("ORDER BY number", ())
        return self._select("WHERE state = ? ORDER BY number", (state.value,))

    def count(self, state: State | None = None) -> int:
        """Return how many trials there are, in one state if that is given."""
        where, given = ("", ()) if state is None else (" WHERE state = ?", (state.value,))
        with self._explained():
            return int(self._database.execute(f"SELECT count(*) FROM trials{where}", given).fetchone()[0])

    def _select(self, where: str, given: tuple[Any, ...]) -> list[Trial]:
        with self._explained():
            cursor = self._database.execute(f"SELECT {_COLUMNS} FROM trials {where}", given)
            found: list[Trial] = []
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                found += _read_rows(rows)
            return found

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What the values of the trials are."""
        return tuple(Objective(*entry) for entry in self._read("objectives") or ())

    @property
    def about(self) -> dict[str, Any]:
        """What `describe` was told of the search."""
        return dict(self._read("about") or {})

    def describe(self, objectives: Sequence[Objective], about: dict[str, Any] | None = None) -> None:
        """Say what the values are, and what search this is."""
        entries = {"objectives": [list(entry) for entry in objectives], "about": about or {}}
        with self._explained():
            for key, value in entries.items():
                self._database.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, json.dumps(value)))

    def _read(self, key: str) -> Any:
        with self._explained():
            row = self._database.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
            return None if row is None else json.loads(row[0])

    def close(self) -> None:
        """Write the log into the file, and let go of it."""
        self._database.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite raises into an error that says what to do."""
        try:
            yield
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise HistoryError(
                    f"{self.path} is locked by another process, and was for {_PATIENCE_SECONDS:g} seconds: close the "
                    "program that writes to it, and continue with --resume. What was to be written is not in it; one "
                    "driver writes for all workers of a search"
                ) from error
            if code == sqlite3.SQLITE_CANTOPEN and self.path.is_file():
                raise HistoryError(
                    f"cannot open {self.path}, which is there: its folder may not be written to, or this process has "
                    "as many files open as it may (`ulimit -n`; every connection has two)"
                ) from error
            if code == sqlite3.SQLITE_ERROR:  # a table or a column that is not there
                raise HistoryError(_damaged(self.path, str(error))) from error
            raise HistoryError(f"cannot read or write {self.path}: {error}") from error
        except OSError as error:
            raise HistoryError(f"cannot make {self.path}: {error.strerror or error}") from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise HistoryError(_damaged(self.path, str(error))) from error


def _create(path: Path) -> None:
    """Make an empty history, all or nothing: whoever looks for the file meanwhile finds none, or a whole one.

    Of several that make it at a time one succeeds, and the others take its file: theirs would replace what was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        temporary = Path(folder) / "new"  # not the name that readers look for in folders below
        database = sqlite3.connect(temporary, isolation_level=None)
        try:
            database.executescript(
                f"PRAGMA journal_mode=WAL; {_TABLES} PRAGMA application_id={_APPLICATION_ID}; "
                f"PRAGMA user_version={SCHEMA_VERSION};"
            )
        finally:
            database.close()
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links: there two at a time are not told apart
            if not path.exists():
                temporary.replace(path)


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path} is damaged, or no history of naslib ({reason.splitlines()[0]}). Move it away; --resume then goes on "
        "from the last checkpoint, and evaluates again what was evaluated after it"
    )


def _as_row(trial: Trial) -> tuple[Any, ...]:
    values, user = trial.values, trial.user
    return (
        trial.number,
        json.dumps(trial.code),
        trial.fidelity,
        trial.state.value,
        None if values is None else json.dumps(values),
        trial.seconds,
        trial.seed,
        trial.worker,
        trial.parent,
        json.dumps(dict(user)) if user else None,
    )


def _read_rows(rows: Sequence[tuple[Any, ...]]) -> list[Trial]:
    """Return the trials of rows; a column is decoded as a whole, which takes a third of the time."""
    columns = [_decoded(row[place] for row in rows) for place in (1, 4, 9)]
    return [
        Trial(
            number,
            tuple(code),
            fidelity,
            _STATES[state] if state in _STATES else State(state),
            None if values is None else tuple(values),
            seconds,
            seed,
            worker,
            parent,
            {} if user is None else user,
        )
        for (number, _, fidelity, state, _, seconds, seed, worker, parent, _), code, values, user in zip(
            rows, *columns, strict=True
        )
    ]


def _decoded(texts: Iterable[str | None]) -> list[Any]:
    """Return what JSON texts say, None for none."""
    found: list[Any] = json.loads(f"[{','.join('null' if text is None else text for text in texts)}]")
    return found
