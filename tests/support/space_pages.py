"""The page of all spaces: `python -m tests.support.space_pages` prints its tables, `--write` writes them and pictures.

`docs/spaces.md` says where with `<!-- made: NAME -->` and `<!-- end -->`; what is between comes from the registry, from
the spaces themselves, and from what the zoo of tests holds true.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

from naslib.search_spaces import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph
from naslib.training.space_pictures import draw_space

from .zoo import ENTRIES, METHODS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "spaces.md"
PICTURES = ROOT / "docs" / "spaces" / "pictures"
_PLACE = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def names_of() -> dict[type[Graph], list[str]]:
    """Return the spaces with their registered names, the one of their page first."""
    found: dict[type[Graph], list[str]] = defaultdict(list)
    for name in SEARCH_SPACES.names():
        found[SEARCH_SPACES.get(name)].append(name)
    for names in found.values():
        names.sort(key=lambda name: (not page_of(name).exists(), name))
    return dict(sorted(found.items(), key=lambda item: item[1][0]))


def page_of(name: str) -> Path:
    """Return where the page of a space is."""
    return ROOT / "docs" / "spaces" / f"{name}.md"


def pictures_of(name: str) -> list[Path]:
    """Return the pictures of a space that are there."""
    longer = [other for other in SEARCH_SPACES.names() if other.startswith(f"{name}_")]  # darts, darts_cell
    found = sorted(PICTURES.glob(f"{name}_*.svg"))
    return [path for path in found if not any(path.name.startswith(f"{other}_") for other in longer)]


def spaces_table() -> str:
    """Return a row per space: its names, what it is, how many decisions and architectures it has as it comes."""
    lines = ["| space | what it is | decisions | architectures | tasks |", "|---|---|---|---|---|"]
    for space, names in names_of().items():
        decisions = space().decision_space
        first, *others = names
        called = f"[`{first}`](spaces/{first}.md)" + "".join(f", `{other}`" for other in others)
        what = (space.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        what = re.sub(r"\s+", " ", what)
        tasks = ", ".join(getattr(space, "TASKS", ()))
        lines.append(f"| {called} | {what} | {len(decisions)} | {written(decisions.size())} | {tasks} |")
    return "\n".join(lines)


def refusals_table() -> str:
    """Return a row per space and reason: the methods that refuse the space before the search."""
    lines = ["| space | refused by | because |", "|---|---|---|"]
    for name, entry in sorted(ENTRIES.items()):
        reasons: dict[str, list[str]] = defaultdict(list)
        refused = {method: why for method, why in entry.refused.items() if not _is_of_other_space(why)}
        for method, reason in sorted(refused.items()):
            reasons[reason].append(f"`{method}`")
        for reason, methods in reasons.items():
            who = "all of them" if len(methods) == len(METHODS) else ", ".join(methods)
            lines.append(f"| `{name}` | {who} | {reason} |")
    return "\n".join(lines)


def _is_of_other_space(reason: str) -> bool:
    """Say whether a method refuses all spaces but one, which `docs/spaces.md` says once."""
    return reason.startswith("take the space ")


def written(size: int | None) -> str:
    """Return a number of architectures as it is read best."""
    if size is None:
        return "not counted"
    return f"{size:,}" if size < 10**9 else f"{size:.2e}"


TABLES = {"spaces": spaces_table, "refusals": refusals_table}


def filled(text: str) -> str:
    """Return a page with its tables made anew."""
    return _PLACE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", text)


def show(name: str) -> None:
    """Show all pictures of a space on its page: those that are not there yet come after its first paragraph."""
    if not page_of(name).exists():
        return
    there = {picture.name for picture in pictures_of(name)}
    lines = page_of(name).read_text()
    for old in set(re.findall(r"\]\(pictures/([^)]+)\)", lines)) - there:
        lines = re.sub(rf"!\[[^\]]*\]\(pictures/{re.escape(old)}\)\n\n?", "", lines)
    missing = sorted(there - set(re.findall(r"\]\(pictures/([^)]+)\)", lines)), key=lambda found: "decisions" in found)
    shown = [f"![the {found.removeprefix(name)[1:-4].replace('_', ' ')}](pictures/{found})" for found in missing]
    title, first, *rest = lines.split("\n\n")
    page_of(name).write_text("\n\n".join([title, first, *shown, *rest]))


def main() -> None:
    """Print the tables, or write them and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/spaces.md and draw all spaces")
    parser.add_argument("--draw", nargs="*", metavar="SPACE", help="with --write: draw these only")
    args = parser.parse_args()
    if not args.write:
        print("\n\n".join(table() for table in TABLES.values()))
        return
    PAGE.write_text(filled(PAGE.read_text()))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for space, names in names_of().items():
        if args.draw is None or names[0] in args.draw:
            for old in PICTURES.glob(f"{names[0]}_*"):
                old.unlink()
            for path in draw_space(space(), PICTURES, names[0]):
                if path.suffix == ".png":
                    path.unlink()
            show(names[0])


if __name__ == "__main__":
    main()
