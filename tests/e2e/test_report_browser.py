"""Pages of reports in a real browser: nothing is asked for, nothing goes wrong, keys and pointer do what they should.

Needs playwright and a Chromium (`CHROMIUM` names it, else the usual places are looked at); skipped where there is none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_runs import alphas, summary, write_black_box, write_run

from naslib.report import write_report

_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_OPTIONS += ["--disable-component-update", "--disable-sync"]


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = _chromium()
    if program is None:
        pytest.skip("there is no Chromium here (set CHROMIUM to the program)")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        yield found
        found.close()


class Pages:
    """Pages of each kind, written when they are first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._written: dict[str, Path] = {}

    def __getitem__(self, kind: str) -> Path:
        if kind not in self._written:
            self._written[kind] = getattr(self, f"_{kind}")(self.root / kind)
        return self._written[kind]

    def _one(self, root: Path) -> Path:
        return write_report(write_run(root, arch_weights=alphas(6, 4)))

    def _box(self, root: Path) -> Path:
        return write_report(write_black_box(root), measure=False)

    def _broken(self, root: Path) -> Path:
        folder = write_run(root, 7, summary=None, history=None, network=None)
        (folder / "errors.json").write_text("{")
        return write_report(folder)

    def _several(self, root: Path) -> Path:
        write_black_box(root)
        for seed in (1, 2):
            write_run(root, seed, score=83.0 + seed)
        return write_report(root, root / "all.html")

    def _long(self, root: Path) -> Path:
        long = "a_very_long_name_that_has_no_place_where_it_could_be_broken_" * 3
        told = summary(dataset=long, class_names=[long] * 3, seed=8)
        return write_report(write_run(root, 8, summary=told), measure=False)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Pages of each kind."""
    return Pages(tmp_path_factory.mktemp("runs"))


class Watched:
    """A page that was opened without a network, and what went on."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(offline=True, **{"viewport": {"width": 1200, "height": 900}, **options})
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", self._asked)
        self.page.goto(path.resolve().as_uri())

    def _asked(self, request: Any) -> None:
        if request.url.split(":")[0] != "file" or request.resource_type != "document":
            self.troubles.append(f"asked for {request.url}")

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()
        assert self.troubles == []


def _violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def test_a_page_is_complete_and_answers_pointer_and_keys(browser: Any, pages: Pages):
    with Watched(browser, pages["one"], color_scheme="light") as watched:
        page = watched.page
        assert _violations(page) == []
        group = page.locator("#alphas .plots.small")
        values = group.locator("figure").first.locator(".legend .v")
        assert values.all_text_contents() == ["0.970", "0.015", "0.015"]  # 2^6 against 1 and 1
        slider = group.locator("input[type=range]")
        slider.focus()
        page.keyboard.press("Home")
        assert values.all_text_contents() == ["0.333", "0.333", "0.333"]
        page.keyboard.press("ArrowRight")
        assert values.all_text_contents() == ["0.500", "0.250", "0.250"]
        assert slider.get_attribute("aria-valuetext") == "epoch 1" and group.locator(".at").text_content() == "1"
        area = group.locator("figure").nth(1).locator("svg.plot")
        area.scroll_into_view_if_needed()
        box = area.bounding_box()
        page.mouse.move(box["x"] + box["width"] - 12, box["y"] + box["height"] / 2)
        tip = group.locator("figure").nth(1).locator(".tip")
        assert tip.is_visible() and tip.inner_text().split() == [
            "epoch", "6", "skip_connect", "0.970", "nor_conv_1x1", "0.015", "none", "0.015",
        ]  # fmt: skip
        page.keyboard.press("Escape")
        assert tip.is_hidden()
        _sort(page)


def _sort(page: Any) -> None:
    table = page.locator("#layers table.sortable")
    head = table.locator("thead th").nth(3)

    def column() -> list[int]:
        return [int(text.replace(",", "")) for text in table.locator("tbody tr td:nth-child(4)").all_text_contents()]

    before = column()
    head.locator("button").click()
    assert column() == sorted(before, reverse=True) and head.get_attribute("aria-sort") == "descending"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert column() == sorted(before) and head.get_attribute("aria-sort") == "ascending"
    table.locator("thead th").nth(1).locator("button").click()
    kinds = table.locator("tbody tr td:nth-child(2)").all_text_contents()
    assert kinds == sorted(kinds, key=str.lower) and head.get_attribute("aria-sort") is None


def test_nothing_is_wider_than_a_phone(browser: Any, pages: Pages):
    with Watched(browser, pages["long"], viewport={"width": 360, "height": 740}) as watched:
        assert watched.page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["one", "box", "broken", "several", "long"])
def test_every_kind_of_page_is_accessible(browser: Any, pages: Pages, kind: str, scheme: str):
    with Watched(browser, pages[kind], color_scheme=scheme) as watched:
        watched.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        assert _violations(watched.page) == []
        watched.page.locator(".theme").click()
        assert watched.page.locator("html").get_attribute("data-theme") == ("dark" if scheme == "light" else "light")
        assert _violations(watched.page) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "box", "broken", "several", "long"])
@pytest.mark.parametrize("width", [320, 360, 768, 1600])
def test_no_width_scrolls_sideways(browser: Any, pages: Pages, kind: str, width: int):
    with Watched(browser, pages[kind], viewport={"width": width, "height": 800}) as watched:
        watched.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        assert watched.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "several"])
def test_on_paper(browser: Any, pages: Pages, kind: str):
    with Watched(browser, pages[kind], color_scheme="dark") as watched:
        page = watched.page
        assert page.pdf(format="A4").startswith(b"%PDF")
        page.emulate_media(media="print")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.locator("nav").is_hidden() and page.locator("input[type=range]").first.is_hidden()
        assert page.locator("details[data-print] > div").first.is_visible()
        assert page.locator("details:not([data-print])").first.is_hidden()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.querySelector('h2')).color") == "rgb(27, 31, 36)"


@pytest.mark.slow
def test_keys_alone(browser: Any, pages: Pages):
    with Watched(browser, pages["one"], reduced_motion="reduce") as watched:
        page = watched.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        page.locator("#commands button.copy").first.focus()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('said').textContent !== ''")
        assert page.locator("#said").text_content() in ("Copied", "Selected")
        assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


@pytest.mark.slow
def test_without_scripts_everything_is_there(browser: Any, pages: Pages):
    with Watched(browser, pages["one"], java_script_enabled=False) as watched:
        page = watched.page
        assert page.locator("svg.plot .line").count() > 10 and page.locator("button:visible").count() == 0
        page.locator("#alphas summary").first.click()
        assert page.locator("#alphas table").first.is_visible()
