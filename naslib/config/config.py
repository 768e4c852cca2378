"""The validated config that the rest of the framework reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from naslib.utils.attrdict import AttrDict

# Names that Windows keeps for devices, whatever their suffix
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{name}{number}" for name in ("COM", "LPT") for number in range(1, 10))}


class Config(AttrDict):
    """A run's config: keys as attributes, `**config.search`, and the run folder in `save`.

    Besides its keys it has, as attributes only, `resume`, `eval_only` and `model_path` of the command line, `notes`
    (the warnings of its validation), `given` (the names of the keys that were given), `completed` (those of `search`
    that were not, with the defaults that they got), and, as in NASLib, `search.seed` and `evaluation.seed`.
    """

    @property
    def save(self) -> str:
        """Return the run folder: `out_dir/search_space/dataset/optimizer/seed`, unless one was assigned."""
        given = self.__dict__.get("_save")
        if given is not None:
            return str(given)
        names = (self["search_space"], self["dataset"], self["optimizer"], self["seed"])
        return str(Path(self["out_dir"]).joinpath(*map(_folder_name, names)))

    @save.setter
    def save(self, value: str | Path) -> None:
        self.set_hidden("_save", str(value))


def _folder_name(value: Any) -> str:
    """Return `value` as the name of one folder."""
    path = re.sub(r"^(\./)+|[/\\]+$", "", str(value))  # ./photos/ is photos
    name = re.sub(r"[^\w.+-]+", "_", path).rstrip(".") or "_"
    return f"_{name}" if name.partition(".")[0].upper() in _DEVICES else name


def config_to_yaml(config: Config) -> str:
    """Return the config as a file that `load_config` reads back to the same config."""
    return yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True)
