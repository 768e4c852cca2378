"""Every space has a page with its pictures, and the page of all spaces says what is so."""

from __future__ import annotations

import pytest

from tests.support.space_pages import PAGE, ROOT, filled, names_of, page_of, pictures_of, refusals_table


@pytest.mark.parametrize("name", [names[0] for names in names_of().values()])
def test_a_space_has_a_page_with_its_pictures(name: str) -> None:
    assert page_of(name).is_file(), f"docs/spaces/{name}.md"
    text = page_of(name).read_text()
    assert text.startswith("# ") and f"`{name}`" in text
    pictures = pictures_of(name)
    assert pictures, f"python -m tests.support.space_pages --write --draw {name}"
    for picture in pictures:
        assert f"](pictures/{picture.name})" in text, f"{picture.relative_to(ROOT)} is not shown"


def test_the_page_of_all_spaces_says_who_refuses_what() -> None:
    assert refusals_table() in PAGE.read_text(), "python -m tests.support.space_pages --write"


@pytest.mark.slow
def test_the_page_of_all_spaces_is_made_of_them() -> None:
    text = PAGE.read_text()
    assert filled(text) == text, "python -m tests.support.space_pages --write"
