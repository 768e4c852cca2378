"""Read the code that README and docs print: fenced blocks, and the commands in indented lines and in text."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = ("python", "naslib", "pip", "pytest")
_INDENTED = re.compile(rf"^    ((?:{'|'.join(_PROGRAMS)}) .*)$", re.MULTILINE)
_IN_TEXT = re.compile(rf"`((?:{'|'.join(_PROGRAMS)}) [^`]+)`")


class Block(NamedTuple):
    """A fenced block, or a command.

    Attributes:
        page: The file.
        line: Its first line there.
        language: What is behind the fence.
        text: What is inside.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Where it is."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return README and every page of docs and benchmarks."""
    found = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert len(found) >= 15
    return found


def blocks() -> list[Block]:
    """Return every fenced block."""
    return [
        Block(page, text.count("\n", 0, match.start()) + 2, match[1], match[2])
        for page in pages()
        for text in [page.read_text(encoding="utf-8")]
        for match in _FENCE.finditer(text)
    ]


def python_of(page: Path) -> str:
    """Return the Python of a page as one program."""
    return "\n".join(block.text for block in blocks() if block.page == page and block.language == "python")


def shown_words(code: str) -> list[str]:
    """Return the words that a page runs its Python with, as its first line says: `# python NAME.py WORDS  (why)`."""
    shown = re.match(r"# python \w+\.py (.+)", code)
    return shlex.split(shown[1].partition("  (")[0]) if shown else []


def commands_in_blocks() -> list[Block]:
    """Return the commands of bash blocks, one a block."""
    found = []
    for block in blocks():
        if block.language == "bash":
            lines = block.text.replace("\\\n", " ").splitlines()
            parts = [part for line in lines for part in line.split("&&")]
            found += [block._replace(text=part.strip()) for part in parts if part.strip()]
    return found


def commands() -> list[Block]:
    """Return every command, one a block: those of bash blocks, of indented lines, and in text."""
    found = commands_in_blocks()
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for pattern in (_INDENTED, _IN_TEXT):
            found += [
                Block(page, text.count("\n", 0, match.start()) + 1, "bash", match[1])
                for match in pattern.finditer(text)
            ]
    return found


def words(command: str) -> list[str]:
    """Return the words of a command as a shell would, without its comment."""
    return shlex.split(command, comments=True)
