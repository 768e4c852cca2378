"""Every paper that code or a page cites is in docs/references.md, and nothing else is."""

from __future__ import annotations

import functools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "references.md"
# First author, year, a word: [Liu2019darts]
KEY = re.compile(r"\b[A-Z][A-Za-z]+(?:19|20)\d\d[a-z][a-z0-9]*\b")
ROW = re.compile(
    r"^\| `(?P<key>\w+)` \| (?P<authors>[^|]+) \| (?P<title>[^|]+) \| (?P<venue>[^|]+) \| (?P<arxiv>[^|]*)\|$"
)


def _rows() -> list[re.Match[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    rows = [ROW.fullmatch(line) for line in lines[start + 1 :] if line.strip()]
    assert all(rows), "a row that does not read | `key` | authors | title | venue, year | arXiv |"
    return rows


@functools.cache
def _cited() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    files = [ROOT / "README.md"]
    for folder in ("naslib", "docs", "examples", "benchmarks", "configs"):
        files += [p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in {".py", ".md", ".yaml"} and p != PAGE]
    assert len(files) >= 300
    for path in files:
        for key in KEY.findall(path.read_text(encoding="utf-8")):
            found.setdefault(key, []).append(str(path.relative_to(ROOT)))
    return found


def test_every_citation_resolves():
    known, cited = {row["key"] for row in _rows()}, _cited()
    assert len(cited) >= 31
    assert {key: places for key, places in cited.items() if key not in known} == {}


def test_every_reference_is_cited():
    assert [row["key"] for row in _rows() if row["key"] not in _cited()] == []


def test_the_entries_are_in_order_and_agree_with_their_keys():
    keys = [row["key"] for row in _rows()]
    assert keys == sorted(keys) and len(set(keys)) == len(keys)
    for row in _rows():
        name, year = re.match(r"([A-Za-z]+?)(\d{4})", row["key"]).groups()
        first = row["authors"].split(",")[0].split(" and ")[0].split()
        assert name in "".join(first), row["key"]
        assert row["venue"].endswith(year) and row["title"].strip(), row["key"]
        number = re.fullmatch(r"(?:\[(\d{4}\.\d{5})\]\(https://arxiv\.org/abs/\1\))?", row["arxiv"].strip())
        assert number, row["key"]
        if number[1]:  # submitted in the year that it appeared, or up to two years before
            assert -2 <= 2000 + int(number[1][:2]) - int(year) <= 0, row["key"]
