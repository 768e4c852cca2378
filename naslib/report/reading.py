"""What a run folder says, read such that nothing in it can break a page: what is missing or damaged is noted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from naslib.errors import NASLibError
from naslib.history import FILE_NAME
from naslib.history.load import Trials, load
from naslib.utils.text import shorten

from .amounts import finite, finite_list

# A file that is larger is no record of a run, or would make a page that no browser shows
_LARGEST = 200_000_000
# How much is read of a comment at the head of a config
_HEAD = 4000
_TO_REPEAT = "a script ran it with something else"


@dataclass(frozen=True)
class DecisionCurves:
    """The recorded parameters of one decision.

    Attributes:
        name: Its label.
        ops: Names of the candidates.
        rows: One list of parameters per epoch, the first from before the search; None for a candidate that is gone.
    """

    name: str
    ops: tuple[str, ...]
    rows: list[list[float | None]]


@dataclass
class SavedRun:
    """A run folder.

    Attributes:
        folder: The folder.
        troubles: A sentence for each file that is there and could not be used.
    """

    folder: Path
    troubles: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: str | Path) -> SavedRun:
        """Read a run folder, all of it."""
        run = cls(Path(folder))
        for part in ("config", "summary", "environment", "search", "retraining", "decisions", "trials", "genotype"):
            getattr(run, part)
        return run

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved config, {} where there is none."""
        path = self.folder / "config.yaml"
        text = self._text(path)
        if text is None:
            return {}
        try:
            found = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self._complain(path, error)
            return {}
        return self._mapping(found, path)

    @cached_property
    def is_scripted(self) -> bool:
        """Whether a script ran it with what its config does not say, so that only the script can repeat it."""
        head = (self._text(self.folder / "config.yaml", quiet=True) or "")[:_HEAD]
        return _TO_REPEAT in head or bool(self.summary.get("own_loaders"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What `summary.json` says, {} before the search has ended."""
        return self._object("summary.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Versions, device, commit and command, {} where nothing was recorded."""
        return self._object("environment.json")

    @cached_property
    def genotype(self) -> dict[str, Any]:
        """What `genotype.json` says: `search_space`, `genotype`, perhaps `code`."""
        return self._object("genotype.json")

    @cached_property
    def search(self) -> dict[str, list[float | None]]:
        """The series of the search by name, one value per epoch (per evaluation of a black-box search)."""
        path = self.folder / "errors.json"
        found = self._json(path)
        if isinstance(found, list) and len(found) == 2:  # the lightweight form: config, series
            found = found[1]
        if found is None:
            return {}
        series = {str(key): finite_list(value) for key, value in self._mapping(found, path).items()}
        return {key: values for key, values in series.items() if any(value is not None for value in values)}

    @cached_property
    def retraining(self) -> list[dict[str, Any]]:
        """The rows of the retraining, one per epoch."""
        path = self.folder / "eval" / "history.json"
        found = self._json(path)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            self._complain(path, "it is no list of epochs")
            return []
        return found

    @cached_property
    def decisions(self) -> list[DecisionCurves]:
        """The architecture parameters over the epochs."""
        path = self.folder / "arch_weights.json"
        found = self._json(path)
        if found is None:
            return []
        try:
            return [_decision(entry) for entry in found]
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            self._complain(path, error)
            return []

    @cached_property
    def trials(self) -> Trials:
        """The trials of a black-box search, none of another one."""
        if not (self.folder / FILE_NAME).is_file():
            return Trials()
        try:
            return load(self.folder)
        except (NASLibError, OSError, ValueError, TypeError, KeyError) as error:
            self._complain(self.folder / FILE_NAME, error)
            return Trials()

    @property
    def name(self) -> str:
        """Method, space, data and seed in a few words; the folder where they are not known."""
        if not self.of("optimizer") and not self.of("search_space"):
            return self.folder.name
        return f"{self.method} on {self.of('search_space')}, {self.of('dataset')}, seed {self.seed}"

    @property
    def method(self) -> str:
        """Name of what searched; `given architecture` where nothing did."""
        if self.summary.get("architecture") == "given":
            return "given architecture"
        return self.of("optimizer") or "unknown method"

    @property
    def seed(self) -> str:
        """The seed, `?` where it is not known."""
        found = next((s for s in (self.summary.get("seed"), self.config.get("seed")) if s is not None), "?")
        return str(found)

    def of(self, key: str) -> str:
        """Return a name from the summary, or from the config; "" where neither has it."""
        value = self.summary.get(key)
        value = self.config.get(key) if value is None else value
        return "" if value is None else str(value)

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of the config, {} where there is none."""
        found = self.config.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def is_black_box(self) -> bool:
        """Whether it evaluated architectures one by one."""
        return bool(self.trials) or bool(self.summary.get("trials")) or (self.folder / FILE_NAME).is_file()

    @property
    def score(self) -> float | None:
        """The deciding score on the test part; summaries of earlier versions have the accuracy alone."""
        return finite(self.summary.get("score", self.summary.get("test_accuracy")))

    @property
    def score_name(self) -> str:
        """Its name."""
        return str(self.summary.get("score_name") or "accuracy")

    @property
    def unit(self) -> str:
        """Its unit, "" for none."""
        return str(self.summary.get("score_unit", "%") or "")

    @property
    def maximize(self) -> bool:
        """Whether more of it is better."""
        return bool(self.summary.get("maximize", True))

    @property
    def mode(self) -> str | None:
        """How it was evaluated: query, retrain, keep, supernet; None: not yet."""
        found = self.summary.get("evaluation_mode")
        return None if found is None else str(found)

    @property
    def searched(self) -> int:
        """Epochs (evaluations of a black-box search) that are recorded."""
        return max((len(values) for values in self.search.values()), default=0)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, as the summary or the trained network's record has them."""
        names = self.summary.get("class_names")
        if not isinstance(names, list):
            names = self.network_record.get("class_names")
        return [str(name) for name in names] if isinstance(names, list) else []

    @cached_property
    def network_record(self) -> dict[str, Any]:
        """What `eval/network.json` says, {} where there is none."""
        return self._object("eval/network.json")

    def of_network(self, part: str) -> dict[str, Any]:
        """Return a part of the record of the trained network (`task`, `preprocess`), {} where there is none."""
        found = self.network_record.get(part)
        return found if isinstance(found, dict) else {}

    def _object(self, name: str) -> dict[str, Any]:
        found = self._json(self.folder / name)
        return {} if found is None else self._mapping(found, self.folder / name)

    def _mapping(self, found: Any, path: Path) -> dict[str, Any]:
        if isinstance(found, dict):
            return {str(key): value for key, value in found.items()}
        self._complain(path, "it holds no names and values")
        return {}

    def _json(self, path: Path) -> Any:
        text = self._text(path)
        if text is None:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            self._complain(path, error)
            return None

    def _text(self, path: Path, quiet: bool = False) -> str | None:
        """Return the text of a file; None where there is none, or (noted unless quiet) it cannot be read."""
        try:
            if not path.is_file():
                return None
            if path.stat().st_size > _LARGEST:
                raise ValueError(f"it has {path.stat().st_size / 1e6:.0f} MB")
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            if not quiet:
                self._complain(path, error)
            return None

    def _complain(self, path: Path, reason: Any) -> None:
        where = path.relative_to(self.folder).as_posix()
        self.troubles.append(f"{where} cannot be read: {shorten(' '.join(str(reason).split()), 160)}")


def _decision(entry: Mapping[str, Any]) -> DecisionCurves:
    edge = entry.get("edge") or ["?", "?"]
    name = entry.get("name") or f"{entry.get('graph', 'graph')}/{edge[0]}-{edge[1]}"  # of runs without names
    rows = []
    for row in entry["weights"]:
        flat = row
        while flat and isinstance(flat[0], list):  # one row of weights in a parameter of more dimensions
            flat = [value for inner in flat for value in inner]
        rows.append(finite_list(flat))
    width = max((len(row) for row in rows), default=0)
    ops = [str(op) for op in entry["ops"]][: width or None]
    ops += [f"candidate {index + 1}" for index in range(len(ops), width)]
    return DecisionCurves(str(name), tuple(ops), [row + [None] * (width - len(row)) for row in rows])
