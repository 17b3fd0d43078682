"""Documents are short, plain, and lead to where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.documents import DOCUMENTS, FENCE, name_of, prose
from tests.support.files import ROOT
from tests.support.forbidden_words import IN_DOCUMENTS, find_forbidden_words

GENERATED = {
    "cli.md": None,
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
"""Pages that docs/hooks.py adds, and what they are made from."""
each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


@each_document
def test_lines_are_at_most_120_characters_long(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    # a row of a table can't be broken
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


@each_document
def test_it_uses_standard_terms(path: Path) -> None:
    assert find_forbidden_words(prose(path.read_text("utf-8")), IN_DOCUMENTS) == []


@each_document
def test_its_relative_links_lead_to_a_file_and_a_heading(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", path.read_text("utf-8"))):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        if page.parent == ROOT / "docs" and page.name in GENERATED:
            continue
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page), target


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_the_readme_is_under_700_words() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) < 700


def test_the_repository_is_named_in_one_place() -> None:
    """docs/hooks.py puts the address that README.md states into the other pages."""
    assert len(re.findall("git clone ", (ROOT / "README.md").read_text("utf-8"))) == 1
    for path in (ROOT / "docs").glob("*.md"):
        for address in re.findall(r"git clone (\S+)", path.read_text("utf-8")):
            assert address == "REPOSITORY", path
