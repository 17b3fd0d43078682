"""The output that the documents show is that of the shipped model and detector."""

from __future__ import annotations

import re

import pytest

from tests.support.commands import Fer
from tests.support.files import PHOTO, ROOT

SHOWN = "examples/astronaut.jpg  (512 x 512)\n"


@pytest.fixture
def lines(fer: Fer) -> list[str]:
    return [line.strip() for line in fer("infer", str(PHOTO)).out.splitlines()]


@pytest.mark.parametrize("page", ["README.md", "docs/get-started.md"])
def test_the_demo_shows_what_the_documents_show(page: str, lines: list[str]) -> None:
    _, is_shown, rest = (ROOT / page).read_text("utf-8").partition(SHOWN)
    assert is_shown
    shown = [line.strip() for line in rest.partition("```")[0].splitlines()]
    assert shown == lines[1 : 1 + len(shown)] != []


def test_sentences_name_the_label_that_the_demo_shows(lines: list[str]) -> None:
    label, percent = re.fullmatch(r"(\w+), (\d+%) sure", lines[1]).groups()  # type: ignore[union-attr]
    assert f'labelled "{label} {percent}"' in (ROOT / "README.md").read_text("utf-8")
    assert f'"{lines[1]}"' in (ROOT / "docs" / "raspberry-pi.md").read_text("utf-8")
