"""What MkDocs is told beyond mkdocs.yml: the navigation, links to files outside of docs/, citations, the API pages.

The pages of docs/ are read on a repository's page as well as on the site. So they link to `../examples/own_module.py`,
which the site shows as a page of its own, and the navigation is the tables of docs/index.md, whose links are read here.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from api_pages import api_pages  # noqa: E402

# Where files outside of docs/ are on the site
SOURCES = "source"
_LINK = re.compile(r"(?<!\\)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_CITED = re.compile(r"(?<![\[`\w])\[([A-Z][A-Za-z]+(?:19|20)\d\d[a-z][a-z0-9]*)\](?![\[(])")
_ROW_OF_REFERENCES = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".sh": "bash", ".csv": "text", ".txt": "text"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the navigation of the tables in docs/index.md."""
    sections = navigation((ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    spaces = sorted(path.name for path in (ROOT / "docs" / "spaces").glob("*.md"))
    sections["Spaces"].append({"Each space": [f"spaces/{name}" for name in spaces]})
    sections["Reference"].append({"API": [{title: path} for path, (title, _) in api_pages().items()]})
    if more := unlisted(ROOT / "docs"):
        sections["More"] = more
    config.nav = [{"Home": "index.md"}, *({title: entries} for title, entries in sections.items())]
    return config


def navigation(index: str) -> dict[str, list[Any]]:
    """Return the sections of an index page: of each its rows, `{text of the link: page}`."""
    sections: dict[str, list[Any]] = {}
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", index, re.MULTILINE | re.DOTALL):
        rows = re.findall(r"^\| \[(.+?)\]\((.+?)\)", body, re.MULTILINE)
        if rows:
            sections[title] = [{text.replace("`", ""): page} for text, page in rows]
    return sections


def unlisted(docs: Path) -> list[str]:
    """Return the pages that have no row in the index yet; those of spaces need none."""
    index = (docs / "index.md").read_text(encoding="utf-8")
    pages = [path.relative_to(docs).as_posix() for path in [*docs.glob("*.md"), *docs.glob("methods/*.md")]]
    return sorted(page for page in pages if f"]({page})" not in index and page != "index.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside of docs/ that a page links to, and the pages of the API."""
    for path, (_, text) in api_pages().items():
        files.append(File.generated(config, path, content=text))
    asked = [(f"docs/{file.src_uri}", file.content_string) for file in files.documentation_pages()]
    known: set[str] = set()
    while asked:
        place, text = asked.pop()
        if place.endswith(".md"):
            for match in _LINK.finditer(_FENCE.sub("", text)):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(place), match[1]))
                if path.startswith("docs/") or path in known or not (ROOT / path).exists():
                    continue
                known.add(path)
                shown = _shown(path)
                files.append(
                    File.generated(config, _site_path(path), content=shown, inclusion=InclusionLevel.NOT_IN_NAV)
                )
                asked.append((path, shown))
    return files


def _shown(path: str) -> str:
    """Return a file or folder of the repository as a page."""
    file = ROOT / path
    if file.is_dir():
        rows = "\n".join(f"* `{entry.name}`" for entry in sorted(file.iterdir()) if entry.name[0] not in "._")
        return f"# {path}\n\n{rows}\n"
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        return text
    return f"# {path}\n\n````{_LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n````\n"


def _site_path(path: str) -> str:
    """Return where a file of the repository is among the pages of the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    inside = f"{SOURCES}/{path}"
    return inside if inside.endswith(".md") else f"{inside}.md"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where things are on the site, and citations to the list of references."""
    here = page.file.src_uri
    place = here.removeprefix(f"{SOURCES}/") if here.startswith(f"{SOURCES}/") else f"docs/{here}"

    def moved(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(place), match[1]))
        if here.startswith("reference/") or not (ROOT / path).exists():
            return match[0]
        return f"]({posixpath.relpath(_site_path(path), posixpath.dirname(here) or '.')}{match[2] or ''})"

    def cited(match: re.Match[str]) -> str:
        page_of_papers = posixpath.relpath("references.md", posixpath.dirname(here) or ".")
        return f"[\\[{match[1]}\\]]({page_of_papers}#{match[1].lower()})"

    def changed(text: str) -> str:
        text = _LINK.sub(moved, text)
        if here == "references.md":
            return _ROW_OF_REFERENCES.sub(lambda row: f"| `{row[1]}`{{ #{row[1].lower()} }} |", text)
        return _outside_of_code(text, lambda part: _CITED.sub(cited, part))

    return "".join(part if part.startswith("```") else changed(part) for part in _FENCE.split(markdown))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead the citations of docstrings to the list of references."""
    if not page.file.src_uri.startswith("reference/"):
        return html
    return _CITED.sub(lambda found: f'<a href="../references.html#{found[1].lower()}">{found[0]}</a>', html)


def _outside_of_code(text: str, change: Callable[[str], str]) -> str:
    """Change what stands outside of `code`."""
    parts = re.split(r"(``.+?``|`[^`\n]+`)", text)
    return "".join(part if part.startswith("`") else change(part) for part in parts)
