"""The site of the pages: it is built strictly, its navigation has every page, its API pages every public name."""

from __future__ import annotations

import functools
import http.server
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = [
    *("naslib.optimizers", "naslib.search_spaces", "naslib.tasks", "naslib.predictors", "naslib.benchmarks"),
    *("naslib.evaluators", "naslib.utils", "naslib.data", "naslib.choices", "naslib.morphism"),
]


@pytest.fixture(scope="module")
def api() -> Iterator[ModuleType]:
    """Return what makes the API pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_site"))
        yield importlib.import_module("api_pages")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_a_sentence_and_is_on_a_page(package: str, api: ModuleType) -> None:
    names = api.public_names(package)
    assert len(names) >= 4
    sentences = {name: api.first_sentence(value) for name, value in names.items()}
    assert {name: said for name, said in sentences.items() if not re.fullmatch(r"[A-Z\"`(].{8,}\.", said)} == {}
    _, text = api.api_pages()[api.page_path(package)]
    everywhere = "\n".join(text for _, text in api.api_pages().values())
    shown = re.findall(r"^::: (\S+)$", everywhere, re.MULTILINE)
    assert len(set(shown)) == len(shown) and {
        api.place_of(package, name, value) for name, value in names.items()
    } <= set(shown)
    assert all(f"| [`{name}`](" in text for name in names)


def test_what_is_public(api: ModuleType) -> None:
    names = api.public_names("naslib.optimizers")
    assert {"DARTSOptimizer", "RandomSearch", "OPTIMIZERS"} <= set(names) and "core" not in names
    assert "set_seed" in api.public_names("naslib.utils")  # a name that is resolved when it is asked for
    place = api.place_of("naslib.optimizers", "DARTSOptimizer", names["DARTSOptimizer"])
    assert place == "naslib.optimizers.oneshot.methods.darts.DARTSOptimizer"
    assert api.place_of("naslib.optimizers", "OPTIMIZERS", names["OPTIMIZERS"]) == "naslib.optimizers.OPTIMIZERS"


@pytest.fixture(scope="module")
def hooks(api: ModuleType) -> ModuleType:
    """Return what MkDocs is told beyond its config."""
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    return importlib.import_module("hooks")


def test_every_page_is_in_the_navigation(hooks: ModuleType) -> None:
    there = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    config = hooks.on_config(SimpleNamespace())
    shown = set(re.findall(r"'([\w./]+\.md)'", str(config.nav)))
    assert sorted(there - shown) == []
    assert sorted(page for page in shown - there if not page.startswith("reference/naslib")) == []
    titles = [next(iter(section)) for section in config.nav]
    first = ["Home", "Start", "Methods", "Spaces", "Reference", "Moving here", "Results", "Architecture"]
    assert titles in (first, [*first, "More"])  # a page without a row in docs/index.md is under More
    spaces = (DOCS / "spaces.md").read_text(encoding="utf-8")
    assert [path.name for path in DOCS.glob("spaces/*.md") if f"](spaces/{path.name})" not in spaces] == []


def test_links_and_citations_on_the_site(hooks: ModuleType) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri="methods/enas.md"))
    text = "[a](../../examples/own_task.py), [b](../results.md#time), ([Pham2018enas]), `[Pham2018enas]`\n\n"
    text += "```python\n# [c](../../README.md)\n```\n"
    expected = "[a](../source/examples/own_task.py.md), [b](../results.md#time), "
    expected += "([\\[Pham2018enas\\]](../references.md#pham2018enas)), `[Pham2018enas]`\n\n"
    expected += "```python\n# [c](../../README.md)\n```\n"
    assert hooks.on_page_markdown(text, page, None, None) == expected
    references = SimpleNamespace(file=SimpleNamespace(src_uri="references.md"))
    row = hooks.on_page_markdown("| `Liu2019darts` | Hanxiao Liu |", references, None, None)
    assert row == "| `Liu2019darts`{ #liu2019darts } | Hanxiao Liu |"


class _Page(HTMLParser):
    """What a page of the site fetches and links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids.add(given.get("id") or "")
        if tag in ("script", "img", "iframe") and given.get("src"):
            self.fetched.append(str(given["src"]))
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.fetched.append(str(given["href"]))
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site, built strictly: a dead link or anchor, or a docstring that cannot be found, ends it."""
    pytest.importorskip("mkdocstrings", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_site_needs_nothing_from_elsewhere(site: Path) -> None:
    pages = {path.relative_to(site).as_posix(): _Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert len(pages) >= 110
    foreign = [(name, url) for name, page in pages.items() for url in page.fetched if re.match(r"(https?:)?//", url)]
    assert foreign == []
    # What MkDocs does not look at: links between pages of the docstrings, and of the theme
    dead = []
    for name, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link) or name == "404.html":
                continue
            path, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name  # noqa: PTH118, PTH120
            if target not in pages:
                dead += [] if (site / target).exists() else [(name, link)]
            elif anchor and anchor not in pages[target].ids:
                dead.append((name, link))
    assert dead == []
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    assert any(row["location"].startswith("reference/naslib.optimizers.html#") for row in found)
    assert "https://fonts" not in (site / "index.html").read_text(encoding="utf-8")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_site_in_a_browser(site: Path, scheme: str, width: int) -> None:
    """No page is wider than the window, fetches from elsewhere, or leaves an error; the search finds a method."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium")
    pages = ["index", "methods/robust_darts", "spaces", "spaces/nasbench301", "gallery", "reference/naslib.tasks"]
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync"]
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site))) as server,
        playwright.sync_playwright() as driver,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/"
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        wrong: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for name in pages:
            page.goto(f"{base}{name}.html")
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                wrong.append(f"{name} is wider than the window")
        if width > 1000:
            page.locator(".md-search__input").first.fill("perturbation selection")
            page.locator(".md-search-result__link").first.wait_for()
        browser.close()
        server.shutdown()
    assert wrong == []
    assert len(asked) >= 20 and [url for url in asked if not url.startswith((base, "data:", "blob:"))] == []
